package store

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// ids returns the deployment ids of validations, in their order.
func ids(validations []Validation) []string {
	var of []string
	for _, v := range validations {
		of = append(of, string(v.Deployment.ID))
	}
	return of
}

func TestReads(t *testing.T) {
	s := openTest(t)
	ctx := t.Context()
	versioned := func(id string, minutes int, version string, change func(*analysis.Deployment)) analysis.Deployment {
		d := checkout(id, minutes)
		d.Release.Version = version
		if change != nil {
			change(&d)
		}
		return d
	}
	elsewhere := func(d *analysis.Deployment) { d.Release.Namespace = "other" }
	for _, d := range []analysis.Deployment{
		versioned("late", 30, "v1", nil), // accepted first, started last
		versioned("early", 10, "v1", nil),
		versioned("elsewhere", 20, "v1", elsewhere),
		versioned("past", 50, "v9", func(d *analysis.Deployment) { d.Mode = analysis.Retrospective }),
		versioned("shadow", 60, "v1", func(d *analysis.Deployment) { d.Mode = analysis.Shadow }),
		versioned("again", 5, "v2", nil),
		versioned("again", 40, "v2", func(d *analysis.Deployment) { d.Attempt = 2 }),
	} {
		v := opening(d)
		v.Plan = []byte("plan")
		apply(t, s, Change{Open: []Validation{v}})
	}
	finals := []Final{ending(versioned("early", 10, "v1", nil), "promote"), ending(versioned("again", 5, "v2", nil), "promote"), ending(versioned("past", 50, "v9", nil), "promote")}
	apply(t, s, Change{Finals: finals})

	after := func(minutes int) *time.Time { at := t0.Add(time.Duration(minutes) * time.Minute); return &at }
	for name, test := range map[string]struct {
		read func() ([]Validation, error)
		want []string
	}{
		"open":                   {func() ([]Validation, error) { return s.OpenValidations(ctx) }, []string{"late", "elsewhere", "shadow", "again"}},
		"by deployment":          {func() ([]Validation, error) { return s.ByDeployment(ctx, "again") }, []string{"again", "again"}},
		"by deployment, none":    {func() ([]Validation, error) { return s.ByDeployment(ctx, "x") }, nil},
		"newest live":            {func() ([]Validation, error) { return s.NewestLive(ctx, "prod-eu1", "shop", "checkout", "v1", nil) }, []string{"late"}},
		"newest live, ambiguous": {func() ([]Validation, error) { return s.NewestLive(ctx, "prod-eu1", "", "checkout", "v1", nil) }, []string{"elsewhere", "late"}},
		"newest live after":      {func() ([]Validation, error) { return s.NewestLive(ctx, "prod-eu1", "", "checkout", "v1", after(25)) }, []string{"late"}},
		"newest live at": {func() ([]Validation, error) {
			return s.NewestLive(ctx, "prod-eu1", "shop", "checkout", "v1", after(30))
		}, []string{"late"}},
		"newest live after everything": {func() ([]Validation, error) {
			return s.NewestLive(ctx, "prod-eu1", "shop", "checkout", "v1", after(31))
		}, nil},
		"newest live, other version": {func() ([]Validation, error) { return s.NewestLive(ctx, "prod-eu1", "shop", "checkout", "v", nil) }, nil},
		"open of a service":          {func() ([]Validation, error) { return s.OpenOf(ctx, "prod-eu1", "shop", "checkout") }, []string{"again", "late"}},
		"list":                       {func() ([]Validation, error) { return s.Validations(ctx, Filter{}) }, []string{"again", "again", "shadow", "past", "elsewhere", "early", "late"}},
		"list by word":               {func() ([]Validation, error) { return s.Validations(ctx, Filter{Word: "promote"}) }, []string{"again", "past", "early"}},
		"list of what is pending": {func() ([]Validation, error) {
			return s.Validations(ctx, Filter{Word: "pending", Namespace: "shop", Version: "v1"})
		}, []string{"shadow", "late"}},
		"list by phase": {func() ([]Validation, error) { return s.Validations(ctx, Filter{Phase: PhaseFinal, Limit: 2}) }, []string{"again", "past"}},
		"list by deployment": {func() ([]Validation, error) {
			return s.Validations(ctx, Filter{Deployment: "late", Service: "checkout", Environment: "prod-eu1"})
		}, []string{"late"}},
		"second page": {func() ([]Validation, error) {
			return s.Validations(ctx, Filter{Before: versioned("elsewhere", 20, "v1", elsewhere).Validation(), Limit: 1})
		}, []string{"early"}},
	} {
		if got, err := test.read(); err != nil || !reflect.DeepEqual(ids(got), test.want) {
			t.Errorf("%s: %v, %v, want %v", name, ids(got), err, test.want)
		}
	}
	if of, err := s.ByDeployment(ctx, "again"); err != nil || of[0].Deployment.Attempt != 2 || string(of[0].Plan) != "plan" {
		t.Errorf("the newest attempt comes first, with its plan: %+v, %v", of, err)
	}
	// The retrospective promote and the promote of an earlier start do not count.
	if version, ok, err := s.LastPromoted(ctx, "prod-eu1", "shop", "checkout"); version != "v1" || !ok || err != nil {
		t.Errorf("last promoted is %q, %v, %v, want v1", version, ok, err)
	}
	if version, ok, err := s.LastPromoted(ctx, "prod-eu1", "", "checkout"); version != "" || ok || err != nil {
		t.Errorf("last promoted of another service is %q, %v, %v", version, ok, err)
	}
	if _, final, err := s.FinalVerdict(ctx, checkout("late", 30).Validation()); final || err != nil {
		t.Errorf("an open validation has a final: %v, %v", final, err)
	}
	for name, err := range map[string]error{
		"validation": second(s.Validation(ctx, "x")), "page": second(s.Validations(ctx, Filter{Before: "x"})),
		"final": func() error { _, _, err := s.FinalVerdict(ctx, "x"); return err }(),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: got %v, want ErrNotFound", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
