package config

import (
	"fmt"
	"sort"

	"go.yaml.in/yaml/v3"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/promql"
)

// A metricSource is a counter, a histogram or a gauge: where it is asked for, and a spec
// in the words of that source.
type metricSource struct {
	Type metricSourceType `yaml:"type"`
	Ref  string           `yaml:"metricSourceRef"`
	Spec yaml.Node        `yaml:"spec" need:"true"`
}

type metricSourceType string

const (
	typePrometheus metricSourceType = "Prometheus"
	typeOTLP       metricSourceType = "OTLP"
)

func (metricSourceType) legal() (now, later []string) {
	return []string{string(typePrometheus), string(typeOTLP)}, nil
}

func typeOf(kind SourceKind) metricSourceType {
	if kind == KindOTLP {
		return typeOTLP
	}
	return typePrometheus
}

func kindOf(t metricSourceType) SourceKind {
	if t == typeOTLP {
		return KindOTLP
	}
	return KindPrometheus
}

type prometheusSpec struct {
	Query string `yaml:"query" need:"true"`
}

// otlpSpec is a counter: a part of a pushed metric.
type otlpSpec struct {
	otlpMetric `yaml:",inline"`
	Field      otlpField `yaml:"field" need:"true"`
}

// otlpMetric is a pushed metric as a whole: all buckets of a histogram, or a gauge.
type otlpMetric struct {
	Metric string                  `yaml:"metric" need:"true"`
	Where  map[string][]whereValue `yaml:"where"`
}

type otlpField string

func (otlpField) legal() (now, later []string) {
	return []string{string(analysis.FieldCount), string(analysis.FieldSum), string(analysis.FieldValue)}, nil
}

// A whereValue is a literal value of an attribute, or a status class such as 5xx.
// Attributes may be numbers and truth values: they are compared as written.
type whereValue string

func (w *whereValue) decodeNode(d *document, n *yaml.Node, path string) {
	if d.scalar(n, path, "a value (a text, a whole number, true or false)", "!!str", "!!int", "!!bool") {
		*w = whereValue(n.Value)
	}
}

// source finds the configured source that m means. A PromQL query without a
// configured Prometheus is a mistake of the files, and must not look like missing
// data when a release is judged.
func (m metricSource) source(d *document, path string, sources Sources) (Source, bool) {
	if m.Ref != "" {
		s, known := sources.find(d, join(path, "metricSourceRef"), m.Ref, Metrics)
		if known && m.Type != "" && m.Type != typeOf(s.Kind) {
			d.fail(join(path, "type"), "%s is not what source %q is (%s)", m.Type, m.Ref, typeOf(s.Kind))
			return Source{}, false
		}
		return s, known
	}
	switch m.Type {
	case typeOTLP:
		return Source{Name: OTLPSource, Kind: KindOTLP}, true
	case typePrometheus:
		names := sources.Names(KindPrometheus)
		switch len(names) {
		case 1:
			return sources[names[0]], true
		case 0:
			d.fail(join(path, "type"), "a PromQL query needs a Prometheus, and none is configured; add one to sources in assay.yaml, or read the metric that is pushed (type: OTLP)")
		default:
			d.fail(join(path, "type"), "several Prometheus sources are configured; name one by metricSourceRef%s", legalList("", names))
		}
		return Source{}, false
	}
	now, _ := m.Type.legal()
	d.fail(path, "needs type or metricSourceRef%s", legalList("", now))
	return Source{}, false
}

// selector reads m into the counter that it selects and the name of its source.
func (m metricSource) selector(d *document, path string, sources Sources) (*analysis.Selector, string) {
	return m.read(d, path, sources, promql.Counter, func(spec string) *analysis.Selector {
		var o otlpSpec
		d.decode(&m.Spec, spec, &o)
		return o.selector(d, spec, analysis.Field(o.Field))
	})
}

// read reads m in the words of its source: a query by the given reader, or the spec of
// a pushed metric, which stands at spec.
func (m metricSource) read(d *document, path string, sources Sources, query func(string) (*analysis.Selector, error), pushed func(spec string) *analysis.Selector) (*analysis.Selector, string) {
	source, ok := m.source(d, path, sources)
	spec := join(path, "spec")
	switch kind := typeOf(source.Kind); {
	case isAbsent(m.Spec):
		return nil, source.Name
	case kind == typePrometheus && (ok || m.Type == typePrometheus):
		var p prometheusSpec
		d.decode(&m.Spec, spec, &p)
		if p.Query == "" {
			d.fail(join(spec, "query"), "must not be empty")
			return nil, source.Name
		}
		s, err := query(p.Query)
		if err != nil {
			d.fail(join(spec, "query"), "%v", err)
		}
		return s, source.Name
	case ok:
		return pushed(spec), source.Name
	}
	return nil, source.Name
}

// written is where the name of the metric stands.
func (m metricSource) written(d *document, path string) Place {
	spec := join(path, "spec")
	if query := join(spec, "query"); d.places[query] != nil {
		return d.whereIs(query)
	}
	return d.whereIs(join(spec, "metric"))
}

func isAbsent(n yaml.Node) bool { return n.Kind == 0 || isNull(&n) }

func (o otlpMetric) selector(d *document, path string, field analysis.Field) *analysis.Selector {
	if o.Metric == "" {
		d.fail(join(path, "metric"), "must not be empty")
		return nil
	}
	s := &analysis.Selector{Metric: o.Metric, Field: field}
	for name, values := range o.Where {
		where := join(join(path, "where"), name)
		if len(values) == 0 {
			d.fail(where, "lists no value, so that nothing would be counted; leave out the attribute to count everything")
		}
		if !attributeName.MatchString(name) {
			d.fail(where, "%s", badAttribute(name))
		}
		c := analysis.Condition{Name: name, Op: analysis.OpIn}
		seen := map[whereValue]bool{}
		for i, v := range values {
			if seen[v] {
				d.fail(at(where, i), "%s is listed twice", v)
			}
			seen[v] = true
			c.Values = append(c.Values, string(v))
		}
		sort.Strings(c.Values)
		s.Conditions = append(s.Conditions, c)
	}
	sort.Slice(s.Conditions, func(i, j int) bool { return s.Conditions[i].Name < s.Conditions[j].Name })
	return s
}

func badAttribute(name string) string {
	return fmt.Sprintf("%q is no attribute name (letters, digits and . _ - /, such as http.response.status_code)", name)
}
