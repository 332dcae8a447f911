package e2e

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// The memory that one process may occupy, in MiB.
const (
	idleLimit      = 48
	telemetryLimit = 96
)

// TestMemory measures the resident memory of an Assay with its embedded broker: idle,
// and with the telemetry of the demo's four shops over 3 h 20 min in its windows.
func TestMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("read from /proc")
	}
	a := serve(t, setup{})
	time.Sleep(20 * time.Second) // by hand: 38 MiB after a minute, 44 before the collection that comes after two
	a.measure("idle", idleLimit)
	w := worldOf(t, 20*time.Minute, "healthy", "error-regression", "environment", "telemetry-outage")
	w.push(a)
	a.measure("right after the telemetry of four shops", telemetryLimit)
	for _, s := range w.scenes {
		a.post(started(s.Name, w.deployed))
	}
	a.final("healthy", 20*time.Second)
	a.final("error-regression", 20*time.Second)
	time.Sleep(10 * time.Second)
	a.measure("holding the telemetry of four shops, releases judged", telemetryLimit)
	a.stop()
}

// measure logs what the process occupies and holds it against the limit.
func (a *assay) measure(when string, limit int) {
	a.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil {
		a.t.Fatal(err)
	}
	kib := func(name string) int {
		m := regexp.MustCompile(`(?m)^` + name + `:\s+(\d+) kB$`).FindSubmatch(text)
		if m == nil {
			a.t.Fatalf("no %s in /proc/PID/status", name)
		}
		n, _ := strconv.Atoi(string(m[1])) // digits
		return n
	}
	resident, anonymous, most := kib("VmRSS"), kib("RssAnon"), kib("VmHWM")
	a.t.Logf("%s: %.1f MiB resident (%.1f MiB of it anonymous, at most %.1f MiB so far)", when, float64(resident)/1024, float64(anonymous)/1024, float64(most)/1024)
	if resident > limit<<10 {
		a.t.Errorf("%s: %.1f MiB resident, at most %d are allowed", when, float64(resident)/1024, limit)
	}
}
