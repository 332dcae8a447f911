package loki

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
)

// lineSpacing is how far apart folds of lines are: lines come with requests and have no
// clock of their own (statistics 2.3).
const lineSpacing = 15 * time.Second

// Spacing returns the spacing of folds of lines where there are any in [From, To), and 0
// where there are none. The last ten minutes are looked at first.
func (s *Source) Spacing(ctx context.Context, q analysis.SpacingQuery) (time.Duration, error) {
	const op = "spacing"
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	e, err := s.ask(op, q.Signal, q.Matches)
	if err != nil {
		return 0, err
	}
	whole := q.To.Sub(q.From).Truncate(time.Second)
	for _, over := range []time.Duration{min(whole, 10*time.Minute), whole} {
		if over <= 0 {
			break
		}
		i := &inquiry{Source: s, op: op}
		query, err := e.count(over, s.labels.of(analysis.AttrService))
		if err != nil {
			return 0, s.rejected(op, err)
		}
		found, err := i.instant(ctx, query, q.To.Add(-1))
		if err != nil {
			return 0, err
		}
		for _, p := range found {
			if p.value > 0 {
				return lineSpacing, nil
			}
		}
	}
	return 0, nil
}

// Seen returns the releases that wrote lines in [From, To). Their exposure is the number
// of lines: it tells the large from the small.
func (s *Source) Seen(ctx context.Context, q analysis.SeenQuery) ([]analysis.Seen, error) {
	const op = "seen"
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var service []analysis.Match
	if q.Service != "" {
		service = []analysis.Match{{Name: analysis.AttrService, Values: []string{q.Service}}}
	}
	e, err := s.ask(op, q.Signal, service)
	if err != nil {
		return nil, err
	}
	attributes := []string{analysis.AttrService, analysis.AttrNamespace, analysis.AttrEnvironment, analysis.AttrVersion}
	i := &inquiry{Source: s, op: op}
	query, err := e.count(q.To.Sub(q.From).Truncate(time.Second), s.labels.who(attributes...))
	if err != nil {
		return nil, s.rejected(op, err)
	}
	found, err := i.instant(ctx, query, q.To.Add(-1))
	if err != nil {
		return nil, err
	}
	releases := map[analysis.Seen]*analysis.Seen{}
	pods := map[analysis.Seen]map[string]bool{}
	for k := range found {
		p := &found[k]
		if p.value == 0 {
			continue
		}
		v := s.labels.values(p.label, attributes)
		key := analysis.Seen{Service: v[0], Namespace: v[1], Environment: v[2], Version: v[3]}
		if releases[key] == nil {
			releases[key], pods[key] = &analysis.Seen{Service: v[0], Namespace: v[1], Environment: v[2], Version: v[3]}, map[string]bool{}
		}
		releases[key].Exposure += p.value
		pods[key][s.labels.pod(p.label)] = true
	}
	seen := make([]analysis.Seen, 0, len(releases))
	for key, r := range releases {
		r.Pods = len(pods[key])
		seen = append(seen, *r)
	}
	slices.SortFunc(seen, func(a, b analysis.Seen) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Namespace, b.Namespace),
			cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Version, b.Version))
	})
	return seen, nil
}
