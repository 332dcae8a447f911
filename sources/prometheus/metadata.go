package prometheus

import (
	"context"
	"slices"
	"strings"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// Part is how series of a histogram or a summary are told from others.
type Part string

const (
	Whole  Part = ""
	Bucket Part = "_bucket"
	Count  Part = "_count"
	Sum    Part = "_sum"
)

// PartOf returns the part of a histogram or summary that a name stands for, if it is
// one of these.
func PartOf(metric string) Part {
	for _, part := range []Part{Bucket, Count, Sum} {
		if strings.HasSuffix(metric, string(part)) {
			return part
		}
	}
	return Whole
}

// Metric asks what is known of a metric. Its type is what the targets that are scraped
// now declare; what was pushed or loaded has none. The server keeps names by blocks of
// time, so that series may be some hours older than from.
func (s *Source) Metric(ctx context.Context, name string, from, to time.Time) (sources.Metric, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var m sources.Metric
	text, err := render([]*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, name)}, 0)
	if err != nil {
		return m, s.rejected("metadata", err)
	}
	carried, _, _, err := s.api.LabelNames(ctx, []string{text}, from, to, v1.WithLimit(catalogueValues))
	if err != nil {
		return m, s.fault("metadata", err)
	}
	for _, label := range carried {
		if string(label) != labels.MetricName {
			m.Labels = append(m.Labels, string(label))
		}
	}
	if len(carried) == 0 {
		m.Near, err = s.near(ctx, name, from, to)
		return m, err
	}
	m.Type, err = s.declared(ctx, name)
	return m, err
}

// Values returns up to ten values that a label has on series of a metric.
func (s *Source) Values(ctx context.Context, metric, label string, from, to time.Time) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	a := &almanac{Source: s, CatalogueQuery: CatalogueQuery{From: from, To: to}}
	return a.values(ctx, label, 10, labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, metric))
}

// Label returns the label that carries an attribute.
func (s *Source) Label(attribute string) string { return s.labels.of(attribute) }

// near returns the names of metrics that come nearest to one that is not there.
func (s *Source) near(ctx context.Context, name string, from, to time.Time) ([]string, error) {
	a := &almanac{Source: s, CatalogueQuery: CatalogueQuery{From: from, To: to}}
	names, err := a.values(ctx, labels.MetricName, catalogueValues)
	if err != nil {
		return nil, err
	}
	sources.Nearest(name, names)
	return names[:min(len(names), catalogueNear)], nil
}

// declared returns the type of a metric that its targets agree on. The family of a
// counter may be called without _total (OpenMetrics), and that of a histogram is
// called without the name of the part.
func (s *Source) declared(ctx context.Context, name string) (string, error) {
	families := []string{name, strings.TrimSuffix(name, "_total")}
	if part := PartOf(name); part != Whole {
		families = append(families, strings.TrimSuffix(name, string(part)))
	}
	for i, family := range families {
		if i > 0 && family == name {
			continue
		}
		answer, err := s.api.Metadata(ctx, family, "")
		if err = s.unlessUnknown(err); err != nil {
			return "", err
		}
		agreed := ""
		for k, entry := range answer[family] {
			if k > 0 && agreed != string(entry.Type) {
				return "", nil
			}
			agreed = string(entry.Type)
		}
		whole := agreed == string(v1.MetricTypeHistogram) || agreed == string(v1.MetricTypeSummary)
		switch {
		case agreed == "" || agreed == string(v1.MetricTypeUnknown):
		case i == 0, i == 1 && agreed == string(v1.MetricTypeCounter), i == 2 && whole:
			return agreed, nil
		}
	}
	return "", nil
}

// unlessUnknown drops the refusal of a server that offers no metadata.
func (s *Source) unlessUnknown(err error) error {
	if err == nil {
		return nil
	}
	if err = s.fault("metadata", err); sources.KindOf(err) == sources.Rejected {
		return nil
	}
	return err
}

// Carries reports whether a condition can hold for series that carry only the given
// labels: one that wants a value of a label that is not there never holds.
func Carries(carried []string, c analysis.Condition) bool {
	m, err := condition(c)
	return err == nil && (slices.Contains(carried, c.Name) || m.Matches(""))
}
