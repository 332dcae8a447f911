package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/internal/store/disktest"
	"github.com/release-assay/assay/verdicts"
)

// badDiskEnv makes this test program stand for another: it lets every write at or
// behind an offset fail, and then becomes that other program.
const badDiskEnv = "ASSAY_E2E_BAD_DISK"

func init() {
	offset, target, found := strings.Cut(os.Getenv(badDiskEnv), " ")
	if !found {
		return
	}
	n, err := strconv.ParseUint(offset, 10, 32)
	if err == nil {
		err = disktest.FailWrites(uint32(n))
	}
	if err == nil {
		err = syscall.Exec(target, append([]string{target}, os.Args[1:]...), os.Environ())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(99)
}

// TestDiskThatFails (F44): the first write that ends with EIO ends the process at
// once; a new one has every event that was acknowledged, each once, and the chain of
// the audit log is whole.
func TestDiskThatFails(t *testing.T) {
	a := prepare(t, setup{noKafka: true})
	good := a.program
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a.program = self
	a.start(fmt.Sprintf("%s=%d %s", badDiskEnv, 512<<10, good))
	a.program = good

	now := time.Now().UTC().Truncate(time.Second)
	acknowledged := map[string]bool{}
	began := time.Now()
	var failed time.Time
	for i := 0; failed.IsZero(); i++ {
		id := fmt.Sprint("d-", i)
		header, body := encode(t, started(id, now)).HTTP()
		switch status, answer, err := a.ask(http.MethodPost, "/v1/events", header, body); {
		case err == nil && status == http.StatusAccepted:
			acknowledged[id] = true
		case err == nil && status == http.StatusServiceUnavailable, err != nil:
			failed = time.Now()
		default:
			t.Fatalf("%d %s %v", status, answer, err)
		}
		if time.Since(began) > time.Minute {
			t.Fatal("no write failed within a minute")
		}
	}
	select {
	case <-a.exited:
	case <-time.After(10 * time.Second):
		t.Fatalf("the process lives on after a write that failed\n%s", a.logTail(20))
	}
	took := time.Since(failed)
	if code := a.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(a.logTail(3), "the disk of the store failed") {
		t.Errorf("it ended with code %d:\n%s", code, a.logTail(5))
	}
	a.cmd = nil

	a.start()
	a.eventually(20*time.Second, "all that was acknowledged is open", func() error {
		have := map[string]int{}
		for _, v := range a.validations("") {
			have[string(v.Deployment.ID)]++
		}
		for id := range acknowledged {
			if have[id] != 1 {
				return fmt.Errorf("%s is there %d times", id, have[id])
			}
		}
		return nil
	})
	a.stop()
	a.verifyAudit()
	t.Logf("%d events were acknowledged before the disk failed, the process ended %v after that", len(acknowledged), took.Round(time.Millisecond))
}

// TestDiskThatIsFull (F43): a full disk stops the taking of events and nothing else,
// every pending verdict says so, and with space everything goes on by itself.
func TestDiskThatIsFull(t *testing.T) {
	disktest.Run(t, 48<<20, func(disk string) {
		a := prepare(t, setup{noKafka: true})
		a.write("assay.yaml", string(mustRead(t, filepath.Join(a.dir, "assay.yaml")))+"store: {reserveMiB: 8}\n")
		if err := os.Symlink(disk, a.data()); err != nil {
			t.Fatal(err)
		}
		a.start()
		a.awaitReady()
		w := worldOf(t, 12*time.Minute, "error-regression", "healthy")
		w.push(a)
		a.post(started("error-regression", w.deployed))
		judged, bytes := a.final("error-regression", 20*time.Second)
		a.post(started("waits", time.Now().UTC().Truncate(time.Second))) // nothing is heard of it: pending
		drop := disktest.Ballast(t, disk, 1<<20)
		full := func() bool { v, _ := a.verdict("waits"); return v.ReasonCode == analysis.StoreFull }
		posted, began := 0, time.Now()
		for i := 0; !full(); i++ {
			header, body := encode(t, started(fmt.Sprint("more-", i), time.Now().UTC().Truncate(time.Second))).HTTP()
			if status, answer, err := a.ask(http.MethodPost, "/v1/events", header, body); err != nil || status != http.StatusAccepted && status != http.StatusServiceUnavailable {
				t.Fatalf("%d %s %v", status, answer, err)
			} else if status == http.StatusAccepted {
				posted++
			}
			if time.Since(began) > time.Minute {
				t.Fatal("the disk is not full after a minute")
			}
		}
		v, _ := a.verdict("waits")
		if v.Verdict != verdicts.Pending || v.Final || !strings.Contains(v.Reason, "full") {
			t.Errorf("waits: %s (%s: %s)", v.Verdict, v.ReasonCode, v.Reason)
		}
		header, body := encode(t, started("healthy", w.deployed)).HTTP()
		if status, answer, err := a.ask(http.MethodPost, "/v1/events", header, body); err != nil || status != http.StatusServiceUnavailable {
			t.Errorf("an event on a full disk: %d %s %v, want 503", status, answer, err)
		}
		if again, same := a.verdict("error-regression"); string(same) != string(bytes) || again.Verdict != judged.Verdict {
			t.Errorf("the final verdict on a full disk: %s", same)
		}
		if status, _, err := a.ask(http.MethodGet, "/-/ready", nil, nil); err != nil || status != http.StatusServiceUnavailable {
			t.Errorf("/-/ready on a full disk: %d %v, want 503", status, err)
		}
		if got := a.status().part("store"); !strings.Contains(got, "full") {
			t.Errorf("/v1/status says of the store %q", got)
		}

		drop()
		took := a.eventually(15*time.Second, "it takes events again by itself", func() error {
			if full() {
				return fmt.Errorf("still full")
			}
			return a.answers("/-/ready")
		})
		a.post(started("healthy", w.deployed))
		if v, _ := a.final("healthy", 20*time.Second); v.Verdict != verdicts.Promote {
			t.Errorf("healthy: %s (%s: %s)", v.Verdict, v.ReasonCode, v.Reason)
		}
		a.proven("healthy")
		t.Logf("%d events until it was full, %v from space to work", posted, took.Round(time.Millisecond))
		a.stop()
		a.verifyAudit()
	})
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPoisonIsParked (F50): a release on which the process dies is taken up once more;
// at the second death it is parked, the others of the same process are judged, and no
// start is needed after that.
func TestPoisonIsParked(t *testing.T) {
	w := worldOf(t, 12*time.Minute, "error-regression", "healthy")
	prom := w.prometheus(t)
	a := prepare(t, setup{noKafka: true, prometheus: prom.URL, policies: overPrometheus})
	poison := started("healthy", w.deployed)
	step := fmt.Sprintf("taking %s 0", poison.Deployment(1).Validation())
	a.start("ASSAY_KILL_AT=" + step)
	a.post(started("error-regression", w.deployed))
	a.post(poison)
	a.awaitSuicide(step)
	if err := a.launch("ASSAY_KILL_AT=" + step); err != nil {
		t.Fatal(err)
	}
	a.awaitSuicide(step)
	a.start() // if it took that look again, it would promote
	v, _ := a.final("healthy", 20*time.Second)
	if v.Verdict != verdicts.Hold || v.ReasonCode != analysis.AnalyzerFault || !strings.Contains(v.Reason, "died 2 times") {
		t.Errorf("the poison: %s (%s: %s)", v.Verdict, v.ReasonCode, v.Reason)
	}
	if v, _ := a.final("error-regression", 20*time.Second); v.Verdict != verdicts.Rollback {
		t.Errorf("the other: %s (%s: %s)", v.Verdict, v.ReasonCode, v.Reason)
	}
	a.proven("healthy")
	a.proven("error-regression")
	a.stop()
	a.withStore(func(ctx context.Context, s *store.Store) {
		if open, err := s.OpenValidations(ctx); err != nil || len(open) > 0 {
			t.Errorf("%d open, %v", len(open), err)
		}
	})
	a.verifyAudit()
}
