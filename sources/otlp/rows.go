package otlp

import (
	"slices"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
)

// rows returns what the picked series of a window were in the query's fold, a row for
// each stratum, and a warning that goes on after the pod's name. There are no rows
// where nothing of the pod was heard of in the fold, or what was heard is not known.
func (s *selection) rows(w *window, picked []counted, q analysis.Query) (rows []analysis.Row, warning string) {
	fresh := w.freshIn(q.Fold, picked)
	groups := stratify(w, picked, q.Strata)
	if s.shape == analysis.ShapeLevel {
		start := w.startedIn(q.Fold)
		for _, g := range groups {
			row := analysis.Row{Stratum: g.stratum, PodStart: start, Fresh: fresh}
			row.Level, row.Received = s.newest(g.members(picked), q.Fold)
			rows = append(rows, row)
		}
		return heard(rows, start, fresh), ""
	}

	stretch := stretchOf(picked, q.Fold, q.Since)
	var above *grid
	if s.shape == analysis.ShapeDistribution && len(q.Bounds) > 0 {
		for _, b := range stretch.buckets() {
			switch {
			case b == nil:
				return nil, " left out: buckets of " + s.total.metric + " are kept only since an objective that is loaded names it"
			case b.odd != noOddity:
				warning = ": " + s.total.metric + " has " + b.odd.String()
			}
		}
		above = bounded(q.Bounds)
	}
	target := stretch.target(above)
	start := newestStart(stretch.cuts)
	for _, g := range groups {
		row := analysis.Row{Stratum: g.stratum, PodStart: start, Fresh: fresh}
		row.Increase, row.Received = analysis.IncreaseOf(stretch.only(target, g.in), q.Fold, s.good)
		rows = append(rows, row)
	}
	return heard(rows, start, fresh), warning
}

// heard leaves out the strata of which nothing was heard. A pod of which something
// else was heard has a row without a stratum, if it has no other.
func heard(rows []analysis.Row, start time.Time, fresh bool) []analysis.Row {
	rows = slices.DeleteFunc(rows, func(r analysis.Row) bool { return r.Received == 0 })
	if len(rows) == 0 && fresh {
		rows = append(rows, analysis.Row{PodStart: start, Fresh: true})
	}
	return rows
}

// exposure is what releases are known by: requests or observations. A level has none.
func (s *selection) exposure(picked []counted, fold analysis.Fold) (exposure float64, received int) {
	if s.shape == analysis.ShapeLevel {
		_, received = s.newest(picked, fold)
		return 0, received
	}
	inc, received, _ := increase(picked, fold, fold.Start.Add(-lookback), s.good)
	return inc.Exposure, received
}

// A group is the series of one stratum of a window.
type group struct {
	stratum []string
	in      map[*series]bool // nil: all
}

func (g group) members(picked []counted) []counted {
	if g.in == nil {
		return picked
	}
	return slices.DeleteFunc(slices.Clone(picked), func(c counted) bool { return !g.in[c.series] })
}

// stratify groups the picked series by the values of attributes, of the data point or
// else of the resource.
func stratify(w *window, picked []counted, strata []string) []group {
	if len(strata) == 0 {
		return []group{{}}
	}
	var groups []group
	byKey := map[string]int{}
	for _, c := range picked {
		stratum := make([]string, len(strata))
		for i, name := range strata {
			if stratum[i] = c.attribute(name); stratum[i] == "" {
				stratum[i] = w.attribute(name)
			}
		}
		key := strings.Join(stratum, "\x00")
		i, known := byKey[key]
		if !known {
			i = len(groups)
			byKey[key] = i
			groups = append(groups, group{stratum: stratum, in: map[*series]bool{}})
		}
		groups[i].in[c.series] = true
	}
	return groups
}

// only is the target in which the series of a stratum alone are counted. The others
// still tell whether the target is new, and when it restarted.
func (s stretch) only(target analysis.Target, in map[*series]bool) analysis.Target {
	if in == nil {
		return target
	}
	target.Series = slices.Clone(target.Series)
	for i, c := range s.cuts {
		if !in[c.series] {
			target.Series[i].Event, target.Series[i].Total = false, false
		}
	}
	return target
}
