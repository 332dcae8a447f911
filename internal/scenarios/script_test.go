package scenarios

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/release-assay/assay/analysis"
)

const whole = `# Why.
origin somebody
objective errors ratio
during 1..3 both errors requests=10 bad=1
expect hold underpowered
`

func read(t *testing.T, text string) (Scenario, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "told.scenario")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return Read(name)
}

// TestFaultsOfScripts: a script with a fault is told where and what is legal; nothing
// is played with a default that nobody wrote.
func TestFaultsOfScripts(t *testing.T) {
	for line, want := range map[string]string{
		"promote all_safe":                             `:6: "promote" is no command (legal: origin, window`,
		"window cadence=1":                             ":6: cadence: time: missing unit",
		"window step=1m":                               `:6: "step=1m" is not one of cadence=, deadline=`,
		"pods canary=many":                             ":6: canary:",
		"objective":                                    ":6: an objective has a name and a shape",
		"objective cpu gauge":                          `:6: signal "cpu": shape "gauge" is not known`,
		"history cpu level=1":                          `:6: no objective is called "cpu"`,
		"history errors":                               ":6: a history has an objective and values",
		"during 3..1 both errors bad=1":                `:6: "3..1" are no folds`,
		"during 1 all errors bad=1":                    `:6: "all" is no arm`,
		"during 1 both errors":                         ":6: a scene has folds",
		"during 1 canary errors missing source_silent": ":6: a fold is missing for both arms",
		"during 1 both errors bad=gamma(1)":            `:6: bad: "gamma(1)" is no function`,
		"during 1 both errors bad=rate(1,2)":           ":6: bad: rate takes 1 arguments",
		"during 1 both errors bad=x":                   ":6: bad: strconv.ParseFloat",
		"during 1 both errors errors=1":                `:6: "errors=1" is not one of requests=`,
		"expect":                                       ":6: expect promote, rollback or hold",
		"expect perhaps all_safe":                      ":6: expect promote, rollback or hold",
		"expect hold by=3":                             ":6: a verdict is expected with its reason code",
		"kayenta errors":                               ":6: kayenta answers an objective with a label",
	} {
		if _, err := read(t, whole+line+"\n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an error with %q", line, err, want)
		}
	}
	for i, line := range strings.SplitAfter(whole, "\n") {
		if line == "" {
			continue
		}
		if _, err := read(t, strings.Replace(whole, line, "", 1)); err == nil {
			t.Errorf("a script without line %d is whole", i+1)
		}
	}
}

// TestLaterScenesReplaceEarlierOnes, and an arm of which nothing is said is silent.
func TestLaterScenesReplaceEarlierOnes(t *testing.T) {
	s, err := read(t, whole+"during 2 canary errors requests=10 bad=7\npods baseline=2 canary=2\n")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := s.plan(0)
	if err != nil {
		t.Fatal(err)
	}
	stage := s.newStage(0)
	var bad, exposure []float64
	rows := 0
	for k := 1; k <= 4; k++ {
		e := stage.evidence(&plan.Objectives[0], analysis.Fold{}, k)
		var b, n float64
		for _, r := range e.Rows {
			if r.Arm == analysis.Canary {
				b, n = b+r.Bad, n+r.Exposure
			}
		}
		bad, exposure, rows = append(bad, b), append(exposure, n), len(e.Rows)
	}
	if !reflect.DeepEqual(bad, []float64{1, 7, 1, 0}) || !reflect.DeepEqual(exposure, []float64{10, 10, 10, 0}) {
		t.Errorf("the canary counts %v of %v", bad, exposure)
	}
	if rows != 0 {
		t.Errorf("in a fold that no scene speaks of there are %d rows", rows)
	}
}

// TestSeedsDecide: the same seed plays the same, another one something else.
func TestSeedsDecide(t *testing.T) {
	s, err := read(t, strings.Replace(whole, "bad=1", "bad=rate(0.3)", 1)+"window deadline=3m\n")
	if err != nil {
		t.Fatal(err)
	}
	play := func(seed uint64) Played {
		p, err := s.Play(seed)
		if err != nil {
			t.Fatal(err)
		}
		p.Plan = nil
		return p
	}
	if a, b := play(1), play(1); !reflect.DeepEqual(a, b) {
		t.Errorf("%+v and %+v", a, b)
	}
	if a, b := play(1), play(2); reflect.DeepEqual(a.Points, b.Points) {
		t.Error("another seed plays the same")
	}
}

// TestParts: whatever is dealt over pods adds up.
func TestParts(t *testing.T) {
	for _, count := range []float64{0, 1, 7, 9, 10, 2.5} {
		sum := 0.0
		for i := range 3 {
			sum += part(count, i, 3)
		}
		if sum != count {
			t.Errorf("%v is dealt as %v", count, sum)
		}
	}
	if got := above([]float64{1, 2, 2, 3}, []float64{0, 2, 3}); !reflect.DeepEqual(got, []float64{4, 1, 0}) {
		t.Errorf("above 0, 2 and 3 lie %v", got)
	}
}
