package validation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
)

// seenBefore asks, for each signal, which releases were heard of in the hour
// before the deployment; where the service was not, in the first ten minutes of it,
// and then in the last ten.
func (r *Runner) seenBefore(ctx context.Context, objectives []analysis.Objective, d analysis.Deployment, now time.Time) (map[string][]analysis.Seen, error) {
	out := map[string][]analysis.Seen{}
	var errs []error
	for _, o := range objectives {
		windows := [][2]time.Time{{d.StartedAt.Add(-time.Hour), d.StartedAt}}
		if now.After(d.StartedAt) {
			windows = append(windows, [2]time.Time{d.StartedAt, earlier(now, d.StartedAt.Add(firstHeard))})
		}
		if now.After(d.StartedAt.Add(firstHeard)) && d.Mode != analysis.Retrospective {
			windows = append(windows, [2]time.Time{now.Add(-firstHeard), now})
		}
		for _, w := range windows {
			rows, err := r.seen(ctx, o.Signal, d.Release.Service, w[0], w[1])
			if err != nil {
				errs = append(errs, err)
				break
			}
			if len(rows) > 0 {
				out[o.Name] = rows
			}
			if len(ofService(rows, d.Release.Service)) > 0 {
				break
			}
		}
	}
	return out, errors.Join(errs...)
}

// firstHeard is how long after its start a deployment may first be heard of, for one
// question.
const firstHeard = 10 * time.Minute

// ofService leaves out what is known to come from another service.
func ofService(seen []analysis.Seen, service string) []analysis.Seen {
	return slices.DeleteFunc(slices.Clone(seen), func(s analysis.Seen) bool { return s.Service != "" && s.Service != service })
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// seen asks for the releases of a service; where none carries its name, for all,
// since telemetry may not name the service at all.
func (r *Runner) seen(ctx context.Context, signal analysis.Signal, service string, from, to time.Time) ([]analysis.Seen, error) {
	rows, err := r.Gatherer.Seen(ctx, analysis.SeenQuery{Signal: signal, Service: service, From: from, To: to})
	if err != nil || len(rows) > 0 {
		return rows, err
	}
	return r.Gatherer.Seen(ctx, analysis.SeenQuery{Signal: signal, From: from, To: to})
}

// keepSeen returns the candidates whose signal the service was heard of with; none
// without a critical one, which may still come: a plan that lacked it could not promote.
func keepSeen(candidates []analysis.Objective, seen map[string][]analysis.Seen) []analysis.Objective {
	var out []analysis.Objective
	critical := false
	for _, o := range candidates {
		if slices.ContainsFunc(seen[o.Name], func(s analysis.Seen) bool { return s.Service != "" }) {
			out = append(out, o)
			critical = critical || o.Role == analysis.Critical
		}
	}
	if !critical {
		return nil
	}
	return out
}

func flatten(seen map[string][]analysis.Seen) []analysis.Seen {
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	sort.Strings(names)
	var out []analysis.Seen
	for _, name := range names {
		out = append(out, seen[name]...)
	}
	return out
}

// Heard says what was seen instead: "checkout: versions 1.5.0, 1.4.9; environments
// production; the event says prod-eu1".
func Heard(release analysis.Release, seen []analysis.Seen) string {
	var own, others []analysis.Seen
	for _, s := range seen {
		if s.Service == "" || s.Service == release.Service {
			own = append(own, s)
		} else {
			others = append(others, s)
		}
	}
	says := fmt.Sprintf("the event says %s %s", release.Service, release.Version)
	if release.Environment != "" {
		says += " in " + release.Environment
	}
	switch {
	case len(own) > 0:
		line := release.Service + ": versions " + listed(own, func(s analysis.Seen) string { return s.Version })
		if e := listed(own, func(s analysis.Seen) string { return s.Environment }); e != none {
			line += "; environments " + e
		}
		return line + "; " + says
	case len(others) > 0:
		return "services " + listed(others, func(s analysis.Seen) string { return s.Service }) + "; " + says
	}
	return "nothing at all; " + says
}

const none = "(none)"

// listed joins up to five distinct values.
func listed(seen []analysis.Seen, value func(analysis.Seen) string) string {
	var values []string
	for _, s := range seen {
		if v := value(s); v != "" && !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	sort.Strings(values)
	if len(values) == 0 {
		return none
	}
	if len(values) > 5 {
		values = append(values[:5], "…")
	}
	return strings.Join(values, ", ")
}

// seenAnswer is what was seen instead of a silent arm.
type seenAnswer struct {
	v    *run
	text string
}

// seenAgain is how often, in event time, it is asked what was seen instead.
const seenAgain = 5 * time.Minute

// askSeen asks what was seen instead where an arm was never heard of.
func (r *Runner) askSeen(v *run) {
	state := v.judge.State()
	asOf := state.AsOf()
	if !state.Uncovered() || !v.seenAsked.IsZero() && asOf.Before(v.seenAsked.Add(seenAgain)) {
		return
	}
	v.seenAsked = asOf
	v.asking++
	signal, d := v.plan.Objectives[0].Signal, v.plan.Deployment
	r.answer(func(ctx context.Context) answer {
		text := ""
		fault := guarded(func() error {
			rows, err := r.seen(ctx, signal, d.Release.Service, d.StartedAt.Add(-10*time.Minute), asOf)
			if err == nil {
				text = Heard(d.Release, rows)
			}
			return nil
		})
		if fault != nil { // it is a hint for people: without it the verdict is the same
			r.Log.Error("what was seen instead cannot be said", "validation", v.row.ID, "error", fault)
		}
		return answer{seen: &seenAnswer{v, text}}
	})
}
