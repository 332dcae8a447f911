package peers

import (
	"math"
	"testing"
)

func in(group string, labels ...Label) []Result {
	var out []Result
	for _, l := range labels {
		out = append(out, Result{Groups: []string{group}, Label: l})
	}
	return out
}

func join(all ...[]Result) []Result {
	var out []Result
	for _, r := range all {
		out = append(out, r...)
	}
	return out
}

func asCritical(r Result) []Result {
	r.Critical = true
	return []Result{r}
}

// The cases of Kayenta's scorer tests, and what users ran into.
func TestScore(t *testing.T) {
	for _, c := range []struct {
		name    string
		results []Result
		weights map[string]float64
		want    float64
	}{
		{"one pass", in("a", Pass), nil, 100},
		{"one high", in("a", High), nil, 0},
		{"one without data", in("a", NoData), nil, 0},
		{"a group without data counts as 100", join(in("a", Pass, Pass), in("b", NoData)), nil, 100},
		{"half without data", join(in("a", Pass), in("b", NoData)), nil, 0},
		{"1 of 2", in("a", Pass, High), nil, 50},
		{"1 of 3", in("a", Pass, High, Low), nil, 33.33},
		{"weights 75 and 25", join(in("a", Pass, Pass), in("b", High)), map[string]float64{"a": 75, "b": 25}, 75},
		{"weights 50 and 50", join(in("a", Pass, High), in("b", High)), map[string]float64{"a": 50, "b": 50}, 25},
		{"weights 50 and 50, no data", join(in("a", Pass, NoData), in("b", High)), map[string]float64{"a": 50, "b": 50}, 50},
		{"critical high", join(asCritical(in("a", High)[0]), in("a", Pass, Pass)), nil, 0},
		{"critical pass", join(asCritical(in("a", Pass)[0]), in("a", Low)), nil, 50},
		{"critical without data", join(asCritical(in("a", NoData)[0]), in("a", Pass, Pass)), nil, 0},
		{"weights 15 and 85", join(in("a", High, Low, Pass), in("b", High)), map[string]float64{"a": 15, "b": 85}, 5},
		{"a lone error passes", in("a", Error), nil, 100},
		{"a critical error lost its mark", join(in("a", Error), in("a", Pass)), nil, 100},
		{"the weight of an absent group is lost", in("a", Pass), map[string]float64{"a": 50, "b": 50}, 50},
		{"60 and 60", join(in("a", Pass), in("b", Pass)), map[string]float64{"a": 60, "b": 60}, 120},
		{"unlisted groups take what is left, even less than nothing", join(in("a", High), in("b", Pass)), map[string]float64{"a": 120}, -20},
		{"no group", []Result{{Label: Pass}}, nil, 0},
		{"muted", []Result{{Groups: []string{"a"}, Label: High, Muted: true}, {Groups: []string{"a"}, Label: Pass}}, nil, 100},
		{"all muted", []Result{{Groups: []string{"a"}, Label: Pass, Muted: true}}, nil, 0},
	} {
		if got := Score(c.results, c.weights); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: score %v, want %v", c.name, got, c.want)
		}
	}
}

func TestGrade(t *testing.T) {
	limits := Thresholds{Pass: 95, Marginal: 75}
	for score, want := range map[float64]Grade{95: GradePass, 94.99: GradeMarginal, 75: GradeMarginal, 74.99: GradeFail} {
		if got := limits.Grade(score); got != want {
			t.Errorf("score %v: %s, want %s", score, got, want)
		}
	}
}
