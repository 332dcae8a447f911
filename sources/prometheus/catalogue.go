package prometheus

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// The limits of a catalogue. It is for a person who looks for a name: the first
// few hundred names are enough, and the server must not notice.
const (
	catalogueTime     = 20 * time.Second
	catalogueValues   = 10_000 // values of one label that are looked through
	catalogueCounters = 25     // counters that are looked into
	catalogueNear     = 8      // names that are offered instead
	versionsShown     = 50
	versionLabels     = 4 // labels of one counter that are looked into for versions
	serviceLabels     = 3 // labels that name the service which are looked into
)

// A CatalogueQuery asks what a server has of a service between From and To. The
// server keeps names by blocks of time, so that they may be some hours older.
type CatalogueQuery struct {
	Service  string
	Versions []string // that are looked for
	From, To time.Time
}

// A Catalogue is what a server has of a service, under whatever names: for people
// who do not know what their metrics and labels are called.
type Catalogue struct {
	// Label names the service and carries Service: the name that was asked for, or
	// "namespace/name" as job has it. Empty: the service is not known.
	Label, Service string
	Near           []string  // where the service is not known: names that services have, nearest first
	Counters       []Counter // those that can be judged first
	Omitted        int       // counters that were not looked into
	// TargetInfo is the label of target_info that carries a version of the service,
	// where no counter carries one.
	TargetInfo string
}

// A Counter is a counter of a service.
type Counter struct {
	Metric       string
	VersionLabel string // empty: none of its labels looks like a version
	Versions     []string
	StatusLabel  string // empty: none of its labels tells how a request ended
	Statuses     []string
	Bad          string // the PromQL of those that failed; empty: cannot be guessed
	// Judgeable says that the counter tells the versions that were looked for from
	// each other, all of them, and the failed from the others.
	Judgeable bool
	found     int // versions that were looked for and are there
}

// Catalogue looks for the counters of a service by the labels that services and
// versions usually have. It asks for names and label values only, one question
// after the other, within fixed limits; what is beyond them is left out.
func (s *Source) Catalogue(ctx context.Context, q CatalogueQuery) (Catalogue, error) {
	ctx, cancel := context.WithTimeout(ctx, catalogueTime)
	defer cancel()
	a := &almanac{Source: s, CatalogueQuery: q}
	places, near, err := a.places(ctx)
	if err != nil || len(places) == 0 {
		return Catalogue{Near: near}, err
	}
	var best Catalogue
	for _, place := range places[:min(len(places), serviceLabels)] {
		c, err := a.counters(ctx, place)
		if err != nil {
			return best, err
		}
		if best.Label == "" || c.worth() > best.worth() {
			best = c
		}
	}
	return best, nil
}

// worth orders the catalogues under different labels of one service.
func (c Catalogue) worth() int {
	if len(c.Counters) == 0 {
		return -1
	}
	return worth(c.Counters[0])
}

// An almanac is a catalogue while it is being made.
type almanac struct {
	*Source
	CatalogueQuery
}

// values returns the values of a label among the series that carry ms.
func (a *almanac) values(ctx context.Context, label string, limit int, ms ...*labels.Matcher) ([]string, error) {
	var match []string
	if len(ms) > 0 {
		text, err := render(ms, 0)
		if err != nil {
			return nil, a.rejected("catalogue", err)
		}
		match = []string{text}
	}
	found, _, _, err := a.api.LabelValues(ctx, label, match, a.From, a.To, v1.WithLimit(uint64(limit)))
	if err != nil {
		return nil, a.fault("catalogue", err)
	}
	out := make([]string, 0, len(found))
	for _, v := range found[:min(len(found), limit)] { // older servers know no limit
		out = append(out, string(v))
	}
	return out, nil
}

// places returns the labels that carry the service's name, each with the value that
// does; and, where there are none, the names that come nearest.
func (a *almanac) places(ctx context.Context) (places []*labels.Matcher, near []string, err error) {
	for _, label := range unrepeated(append([]string{a.labels.of(analysis.AttrService)}, serviceNames...)) {
		values, err := a.values(ctx, label, catalogueValues)
		if err != nil {
			return nil, nil, err
		}
		for _, v := range values {
			if v == a.Service || label == model.JobLabel && strings.HasSuffix(v, "/"+a.Service) {
				m, err := literal(label, []string{v})
				if err != nil {
					return nil, nil, a.rejected("catalogue", err)
				}
				places = append(places, m)
			}
		}
		near = append(near, values...)
	}
	if len(places) > 0 {
		return places, nil, nil
	}
	near = unique(near)
	sources.Nearest(a.Service, near)
	return nil, near[:min(len(near), catalogueNear)], nil
}

// counters returns the counters of the service where it goes by one label.
func (a *almanac) counters(ctx context.Context, place *labels.Matcher) (Catalogue, error) {
	c := Catalogue{Label: place.Name, Service: place.Value}
	all, err := a.values(ctx, labels.MetricName, catalogueValues, place)
	if err != nil {
		return c, err
	}
	names := slices.DeleteFunc(all, func(name string) bool {
		return !strings.HasSuffix(name, "_total") && !strings.HasSuffix(name, "_count") || strings.Contains(name, ":")
	})
	slices.SortStableFunc(names, func(x, y string) int { return cmp.Compare(requestLike(y), requestLike(x)) })
	c.Omitted = max(0, len(names)-catalogueCounters)
	versioned := false
	for _, name := range names[:min(len(names), catalogueCounters)] {
		counter, err := a.counter(ctx, name, place)
		if err != nil {
			return c, err
		}
		versioned = versioned || counter.VersionLabel != ""
		c.Counters = append(c.Counters, counter)
	}
	slices.SortStableFunc(c.Counters, func(x, y Counter) int { return cmp.Compare(worth(y), worth(x)) })
	if len(c.Counters) > 0 && !versioned {
		info, err := a.counter(ctx, "target_info", place)
		if err != nil {
			return c, err
		}
		c.TargetInfo = info.VersionLabel
	}
	return c, nil
}

// counter looks into one metric of the service.
func (a *almanac) counter(ctx context.Context, name string, place *labels.Matcher) (Counter, error) {
	c := Counter{Metric: name}
	of := []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, name), place}
	text, err := render(of, 0)
	if err != nil {
		return c, a.rejected("catalogue", err)
	}
	found, _, _, err := a.api.LabelNames(ctx, []string{text}, a.From, a.To, v1.WithLimit(catalogueValues))
	if err != nil {
		return c, a.fault("catalogue", err)
	}
	carried := make([]string, 0, len(found))
	for _, label := range found {
		carried = append(carried, string(label))
	}
	if err := a.findVersion(ctx, &c, carried, of); err != nil {
		return c, err
	}
	for _, label := range statusNames {
		if !slices.Contains(carried, label) {
			continue
		}
		values, err := a.values(ctx, label, versionsShown, of...)
		if err != nil {
			return c, err
		}
		if bad := failing(label, values); c.StatusLabel == "" || bad != "" {
			c.StatusLabel, c.Statuses, c.Bad = label, values, ""
			if bad != "" && model.LegacyValidation.IsValidMetricName(name) {
				c.Bad = fmt.Sprintf("%s{%s=~%q}", name, label, bad)
				break
			}
		}
	}
	c.Judgeable = c.found > 0 && c.found == len(a.CatalogueQuery.Versions) && c.Bad != ""
	return c, nil
}

// findVersion finds the label of a counter that carries most of the versions that
// are looked for; where none does, the first that is called like one.
func (a *almanac) findVersion(ctx context.Context, c *Counter, carried []string, of []*labels.Matcher) error {
	own := a.labels.of(analysis.AttrVersion)
	candidates := slices.DeleteFunc(unrepeated(slices.Concat([]string{own}, versionNames, carried)), func(label string) bool {
		return !slices.Contains(carried, label) || label != own && !versionLike(label)
	})
	for _, label := range candidates[:min(len(candidates), versionLabels)] {
		values, err := a.values(ctx, label, catalogueValues, of...)
		if err != nil {
			return err
		}
		hit := 0
		for _, v := range a.CatalogueQuery.Versions {
			if slices.Contains(values, v) {
				hit++
			}
		}
		if len(values) > 0 && (c.VersionLabel == "" || hit > c.found) {
			c.VersionLabel, c.Versions, c.found = label, values[:min(len(values), versionsShown)], hit
		}
	}
	return nil
}
