package faults

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/release-assay/assay/internal/lab"
	"github.com/release-assay/assay/internal/liar"
	"github.com/release-assay/assay/verdicts"
)

var seeds = flag.Int("seeds", 1, "random seeds with which the whole catalogue is played")

// harmful says what is wrong with the canary of a world.
type harmful bool

const harmless harmful = false

func scenarioOf(h harmful) lab.Scenario {
	name := "healthy"
	if h {
		name = "error-regression"
	}
	s, err := lab.Find(name)
	if err != nil {
		panic(err)
	}
	return s
}

// TestCatalogue plays every fault in every world that its row names. Telemetry of one
// seed is shared by all faults; seeds follow one another.
func TestCatalogue(t *testing.T) {
	var total tally
	began := time.Now()
	for seed := range uint64(*seeds) {
		worlds := newWorlds(seed + 1)
		t.Run(fmt.Sprint("seed ", seed+1), func(t *testing.T) {
			for i := range catalogue {
				f := &catalogue[i]
				for _, world := range []struct {
					harmful harmful
					allowed string
				}{{harmless, f.healthy}, {!harmless, f.harmful}} {
					if world.allowed == "" {
						continue
					}
					name := f.id + " " + f.name + ", healthy"
					if world.harmful {
						name = f.id + " " + f.name + ", harmful"
					}
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						total.add(t, f, worlds, world.harmful, world.allowed)
					})
				}
			}
		})
	}
	t.Logf("%s in %v", total.String(), time.Since(began).Round(time.Second))
}

// A tally counts runs by what came out.
type tally struct {
	mu                            sync.Mutex
	runs                          int
	words                         [4]int
	falsePromotes, falseRollbacks int
}

func (n *tally) String() string {
	return fmt.Sprintf("%d runs: %d promotes, %d rollbacks, %d holds; %d false promotes, %d false rollbacks", n.runs,
		n.words[verdicts.Promote], n.words[verdicts.Rollback], n.words[verdicts.Hold], n.falsePromotes, n.falseRollbacks)
}

// add plays a fault and counts and checks what came out. A promote is false where the
// canary is harmful or the row does not allow it, that is, where evidence is missing; a
// rollback where the canary is healthy, unless the fault is that it does not serve.
func (n *tally) add(t *testing.T, f *fault, worlds *worlds, h harmful, allowed string) {
	script, err := liar.Read([]byte(f.script))
	if err != nil {
		t.Fatal(err)
	}
	r := f.play(t, worlds.telemetry(h, f.pods), script)
	v := r.verdict
	word := v.Verdict.String() + " " + string(v.ReasonCode)
	options := strings.Split(allowed, " | ")
	var honest verdicts.Verdict
	if allowed == same {
		honest = worlds.honest(t, f, h)
		options = []string{honest.Verdict.String() + " " + string(honest.ReasonCode)}
	}
	ok := slices.Contains(options, word)
	n.count(v.Verdict, h, ok)
	if !ok {
		t.Fatalf("%s: %s\nwant %s\ncoverage %+v %+v", word, v.Reason, allowed, v.Checks.Coverage, v.Coverage)
	}
	if allowed == same {
		sameVerdict(t, v, honest)
	}
	f.details(t, r)
}

func (n *tally) count(word verdicts.Word, h harmful, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.runs++
	n.words[word]++
	if word == verdicts.Promote && (bool(h) || !ok) {
		n.falsePromotes++
	}
	if word == verdicts.Rollback && !bool(h) && !ok {
		n.falseRollbacks++
	}
}

// details checks what a row says beyond the verdict.
func (f *fault) details(t *testing.T, r run) {
	v := r.verdict
	if f.pending != "" && !r.pending[f.pending] {
		t.Errorf("%s was no reason on the way: %v", f.pending, r.pending)
	}
	if f.obeyedTo > 0 && r.wrong > f.obeyedTo {
		t.Errorf("%d questions were asked while the server wanted to be left alone, at most %d are right", r.wrong, f.obeyedTo)
	}
	if c := v.Coverage; f.whole && (c.Baseline.Received != c.Baseline.Expected || c.Canary.Received != c.Canary.Expected) {
		t.Errorf("samples were lost: %+v", c)
	}
	if f.says != "" && !strings.Contains(v.Reason, f.says) {
		t.Errorf("the reason does not say %q: %s", f.says, v.Reason)
	}
	if f.warns != "" && !slices.ContainsFunc(v.Warnings, func(w string) bool { return strings.HasPrefix(w, f.warns) }) {
		t.Errorf("no warning begins with %q: %q", f.warns, v.Warnings)
	}
}

// sameVerdict compares with the verdict without the fault: all but when it was issued
// and what follows from that.
func sameVerdict(t *testing.T, got, want verdicts.Verdict) {
	t.Helper()
	encode := func(v verdicts.Verdict) []byte {
		b, err := json.Marshal([]any{v.Verdict, v.ReasonCode, v.Reason, v.AsOf, v.Checks, v.Findings, v.Coverage, v.Warnings})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if a, b := encode(got), encode(want); !bytes.Equal(a, b) {
		t.Errorf("the verdict is not that without the fault:\n%s\n%s", a, b)
	}
	if got.IssuedAt.Before(*want.IssuedAt) {
		t.Errorf("issued at %v, without the fault at %v", got.IssuedAt, want.IssuedAt)
	}
}

// worlds are what the shop exported with one seed, and what is made of it where
// nothing goes wrong.
type worlds struct {
	seed uint64

	mu       sync.Mutex
	recorded map[worldKey]func() *liar.Telemetry
	judged   map[worldKey]*honest
}

type worldKey struct {
	harmful          harmful
	pods             int
	push, undeclared bool
}

type honest struct {
	once    sync.Once
	verdict verdicts.Verdict
}

func newWorlds(seed uint64) *worlds {
	return &worlds{seed: seed, recorded: map[worldKey]func() *liar.Telemetry{}, judged: map[worldKey]*honest{}}
}

func (w *worlds) telemetry(h harmful, pods int) *liar.Telemetry {
	key := worldKey{harmful: h, pods: pods}
	w.mu.Lock()
	play := w.recorded[key]
	if play == nil {
		play = sync.OnceValue(func() *liar.Telemetry {
			s := scenarioOf(h)
			s.CanaryPods = pods
			return liar.Record(s, w.seed, deployedAt, played)
		})
		w.recorded[key] = play
	}
	w.mu.Unlock()
	return play()
}

// honest returns the verdict of a row's world without its fault.
func (w *worlds) honest(t *testing.T, f *fault, h harmful) verdicts.Verdict {
	key := worldKey{h, f.pods, f.push, f.undeclared}
	w.mu.Lock()
	judged := w.judged[key]
	if judged == nil {
		judged = &honest{}
		w.judged[key] = judged
	}
	w.mu.Unlock()
	judged.once.Do(func() {
		without := &fault{pods: f.pods, push: f.push, undeclared: f.undeclared, canary: f.canary, baseline: f.baseline}
		judged.verdict = without.play(t, w.telemetry(h, f.pods), nil).verdict
	})
	if judged.verdict.AsOf == nil {
		t.Fatal("the run without the fault failed")
	}
	return judged.verdict
}
