package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/release-assay/assay/internal/config"
)

// unit reads the keys of the unit; a key may be there more than once.
func unit(t *testing.T) map[string][]string {
	t.Helper()
	keys := map[string][]string{}
	for _, line := range strings.Split(read(t, "systemd/assay.service"), "\n") {
		if key, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			keys[key] = append(keys[key], value)
		}
	}
	return keys
}

// TestUnit wants every door shut that Assay does not need, and its files to be
// where it looks.
func TestUnit(t *testing.T) {
	keys := unit(t)
	for key, want := range map[string]string{
		"DynamicUser": "yes", "StateDirectory": "assay", "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "AmbientCapabilities": "",
		"ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes", "PrivateUsers": "yes",
		"ProtectKernelTunables": "yes", "ProtectKernelModules": "yes", "ProtectKernelLogs": "yes", "ProtectControlGroups": "yes",
		"ProtectClock": "yes", "ProtectHostname": "yes", "ProtectProc": "invisible", "RestrictNamespaces": "yes", "RestrictRealtime": "yes",
		"RestrictSUIDSGID": "yes", "LockPersonality": "yes", "MemoryDenyWriteExecute": "yes", "RestrictAddressFamilies": "AF_INET AF_INET6",
		"SystemCallArchitectures": "native", "UMask": "0077", "RestartPreventExitStatus": "2", "WantedBy": "multi-user.target",
	} {
		if got := keys[key]; len(got) != 1 || got[0] != want {
			t.Errorf("%s=%v, want %q", key, got, want)
		}
	}
	if c, err := config.Load("systemd/assay.yaml"); err != nil || c.DataDir != "/var/lib/assay" || !strings.Contains(keys["ExecStart"][0], "--data-dir "+c.DataDir) {
		t.Errorf("the process file: %v, %v", c.DataDir, err)
	} else {
		ports(t, "systemd/assay.yaml", c)
	}
}

// TestUnitIsUnderstood asks systemd itself.
func TestUnitIsUnderstood(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatalf("%v: install the package systemd (make backends does it, as root on Debian)", err)
	}
	// The program is not installed here: name the one that was built.
	file := filepath.Join(t.TempDir(), "assay.service")
	text := strings.Replace(read(t, "systemd/assay.service"), "/usr/local/bin/assay ", program+" ", 1)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", "--recursive-errors=no", file).CombinedOutput(); err != nil || strings.Contains(string(out), "assay.service") {
		t.Errorf("verify: %v\n%s", err, out)
	}
	out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", file).CombinedOutput()
	m := regexp.MustCompile(`Overall exposure level for assay\.service: ([\d.]+)`).FindSubmatch(out)
	if err != nil || m == nil {
		t.Fatalf("security: %v\n%s", err, out)
	}
	exposure, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil || exposure > 1.5 {
		t.Errorf("exposure %s of 10, want at most 1.5 (9.6 is a unit without any of it)\n%s", m[1], out)
	}
	t.Logf("exposure %s of 10", m[1])
}
