package analysis_test

import (
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

func TestSameTest(t *testing.T) {
	plan := func(change func(*analysis.Plan)) *analysis.Plan {
		p := &analysis.Plan{
			AlphaRollback: .01, Window: analysis.DefaultWindow(),
			Objectives: []analysis.PlannedObjective{{Objective: analysis.Objective{Name: "errors"}, Method: "ratio/1", Weight: 1}},
		}
		change(p)
		return p
	}
	same := plan(func(*analysis.Plan) {})
	for _, test := range []struct {
		name   string
		change func(*analysis.Plan)
		want   bool
	}{
		{"the same", func(*analysis.Plan) {}, true},
		{"another deployment and history", func(p *analysis.Plan) {
			p.Validation, p.Objectives[0].History.Bad = "v2", 7
		}, true},
		{"another error rate", func(p *analysis.Plan) { p.AlphaRollback = .05 }, false},
		{"another deadline", func(p *analysis.Plan) { p.Window.Deadline = analysis.Duration(time.Minute) }, false},
		{"another method", func(p *analysis.Plan) { p.Objectives[0].Method = "ratio/2" }, false},
		{"one more objective", func(p *analysis.Plan) { p.Objectives = append(p.Objectives, p.Objectives[0]) }, false},
		{"another null hypothesis", func(p *analysis.Plan) { p.Objectives[0].Null = analysis.NullAffine }, false},
	} {
		if got := same.SameTest(plan(test.change)); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}
