package validation

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/verdicts"
)

// poisonedEnv tells a process of this test binary in which directory it works, on
// which validation, and at which of its looks (0: when its plan is made) it kills
// itself, as one does that takes all memory.
const poisonedEnv = "ASSAY_VALIDATION_POISONED"

// TestPoisonedProcess is the process of TestKillerIsParked and does nothing by itself.
func TestPoisonedProcess(t *testing.T) {
	task := os.Getenv(poisonedEnv)
	if task == "" {
		return
	}
	var dir, id string
	var nth int
	if _, err := fmt.Sscan(task, &dir, &id, &nth); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), filepath.Join(dir, "assay.db"), start)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, dir: dir, source: mustReplay(t, healthy())}
	config := b.config(st)
	taken := map[string]bool{} // each look once, however often it is taken
	config.Passed = func(step string) {
		planning := strings.HasSuffix(step, " -1")
		if !strings.HasPrefix(step, "taking "+id) || planning != (nth == 0) {
			return
		}
		if taken[step] = true; len(taken) >= nth {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	if b.Runner, err = Open(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	b.live(0, 12*time.Minute)
	b.close()
	fmt.Println("worked to the end")
}

// TestKillerIsParked (F50): a validation that kills the process is taken up once more,
// and when it does so again it is parked: it ends with hold(analyzer_fault), what was
// judged of it before stays its evidence, and nobody else notices.
func TestKillerIsParked(t *testing.T) {
	for _, c := range []struct {
		name        string
		nth, deaths int
		evidence    bool
	}{{"while its plan is made", 0, planParkedAfter, false}, {"at its fourth look", 4, parkedAfter, true}} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, mustReplay(t, healthy()))
			b.deploy(deployment(analysis.Live))
			b.deploy(called(deployment(analysis.Shadow), "other"))
			b.close()
			id := deployment("").Deployment(1).Validation()
			for death := range c.deaths {
				if out, killed := b.poisoned(id, c.nth); !killed {
					t.Fatalf("the process outlived start %d:\n%s", death+1, out)
				}
			}
			if out, killed := b.poisoned(id, 1000); killed || !bytes.Contains(out, []byte("worked to the end")) {
				t.Fatalf("the next start: killed %v\n%s", killed, out)
			}
			b.open()
			b.wants("d1", verdicts.Hold, analysis.AnalyzerFault)
			row, v := b.of("d1")
			if !strings.Contains(v.Reason, fmt.Sprintf("died %d times", c.deaths)) || c.evidence != (row.Looks > 1) {
				t.Errorf("%d looks: %s", row.Looks, v.Reason)
			}
			b.rejudged(v)
			b.wants("other", verdicts.Promote, analysis.AllSafe)
		})
	}
}

// poisoned runs a process on the bench's data and reports whether it killed itself.
func (b *bench) poisoned(id analysis.ValidationID, nth int) (out []byte, killed bool) {
	b.t.Helper()
	cmd := exec.CommandContext(b.t.Context(), os.Args[0], "-test.run=^TestPoisonedProcess$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d", poisonedEnv, b.dir, id, nth))
	out, err := cmd.CombinedOutput()
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if err != nil && !(ok && status.Signal() == syscall.SIGKILL) {
		b.t.Fatalf("%v\n%s", err, out)
	}
	return out, err != nil
}

// A process that is killed by others while it works, again and again, parks nothing:
// what it was working on is taken up and does no harm.
func TestKilledByOthersParksNothing(t *testing.T) {
	b := newBench(t, mustReplay(t, healthy()))
	b.deploy(deployment(analysis.Live))
	id := deployment("").Deployment(1).Validation()
	for now := start; now.Before(start.Add(12 * time.Minute)); now = now.Add(5 * time.Second) {
		if now.Second() == 0 && now.After(start) {
			// The process dies within a look, the mark is left.
			b.working.begin(id, b.spools.size(id))
			b.close()
			b.open()
			if row, _ := b.of("d1"); row.Poison != 0 && row.Plan != nil {
				t.Fatalf("at %v it is suspected %d times", now, row.Poison)
			}
		}
		b.advance(now)
	}
	b.wants("d1", verdicts.Promote, analysis.AllSafe)
}

// What a process was killed too soon to say of a validation, that it did no harm or
// that it is parked, the next one says: neither an old suspicion stays, nor is what
// was parked planned anew.
func TestKilledBeforeTheWord(t *testing.T) {
	for times, parks := range map[int]bool{1: false, 2: false, planParkedAfter: true, planParkedAfter + 1: true} {
		b, _ := restarted(t, func(b *bench, id analysis.ValidationID) {
			for range times {
				if _, err := b.Store.IncrementPoison(t.Context(), id, start); err != nil {
					t.Fatal(err)
				}
			}
		})
		b.live(4*time.Minute, 5*time.Minute)
		if row, _ := b.of("d1"); !parks && row.Poison != 0 {
			t.Errorf("it is still suspected %d times", row.Poison)
		}
		b.live(5*time.Minute, 12*time.Minute)
		if !parks {
			b.wants("d1", verdicts.Promote, analysis.AllSafe)
			continue
		}
		b.wants("d1", verdicts.Hold, analysis.AnalyzerFault)
		row, v := b.of("d1")
		if want := row.Poison == planParkedAfter; (row.Looks > 1) != want {
			t.Errorf("after %d deaths %d looks of evidence", times, row.Looks)
		}
		b.rejudged(v)
	}
}

// A file of marks that is damaged says nothing, and stops nothing.
func TestDamagedMarks(t *testing.T) {
	for _, damage := range []string{"", "x", strings.Repeat("\x00", 640), strings.Repeat(" ", 64), "id 99999999999999999999" + strings.Repeat(" ", 41), "id -2" + strings.Repeat(" ", 59), strings.Repeat("d", 64)} {
		if left := underWay([]byte(damage)); len(left) != 0 {
			t.Errorf("%q: %v", damage, left)
		}
	}
	path := filepath.Join(t.TempDir(), "working")
	w, _, err := openWorking(path)
	if err != nil {
		t.Fatal(err)
	}
	w.end(w.begin("gone", 7))
	w.begin("first", notALook)
	second := w.begin("second", 12)
	w.move(second, "second", 1<<40)
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	w, left, err := openWorking(path)
	if err != nil || len(left) != 2 || left["first"] != notALook || left["second"] != 1<<40 {
		t.Errorf("%v, %v", left, err)
	}
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	if _, left, err := openWorking(path); err != nil || len(left) != 0 {
		t.Errorf("what was read is still there: %v, %v", left, err)
	}
}
