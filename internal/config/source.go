package config

import (
	"sort"

	"go.yaml.in/yaml/v3"
)

// SourceKind is the product that a source speaks to.
type SourceKind string

const (
	KindPrometheus SourceKind = "prometheus" // and what speaks its API: Mimir, Thanos, VictoriaMetrics
	KindOTLP       SourceKind = "otlp"       // what is pushed to the listeners of this process: metrics, logs, spans
	KindLoki       SourceKind = "loki"       // logs
	KindTempo      SourceKind = "tempo"      // whole traces that show what a finding says
	KindJaeger     SourceKind = "jaeger"     // the same
)

func (SourceKind) legal() (now, later []string) {
	return []string{string(KindPrometheus), string(KindOTLP), string(KindLoki), string(KindTempo), string(KindJaeger)}, []string{"replay"}
}

// About is what a source can be asked about.
type About string

const (
	Metrics About = "metrics"
	Logs    About = "logs"
	Spans   About = "spans" // their rates and structure; single traces are looked at and never counted
)

// Answers reports whether sources of the kind answer questions that are judged by. Those
// of Tempo and Jaeger answer none: they show single traces.
func (k SourceKind) Answers(a About) bool {
	switch k {
	case KindOTLP:
		return true
	case KindPrometheus:
		return a == Metrics
	case KindLoki:
		return a == Logs
	}
	return false
}

// OTLPSource is the name of the one source that is always there: what is pushed.
const OTLPSource = "otlp"

// A Source is a configured source. This package knows its kind only; the rest of
// its block belongs to the adapter.
type Source struct {
	Name string
	Kind SourceKind

	options
}

// decodeNode implements selfDecoder: the type is read, the rest is kept.
func (s *Source) decodeNode(d *document, n *yaml.Node, path string) {
	*s = Source{}
	s.options = readOptions(d, n, path, &s.Kind)
}

// Sources are the configured sources by name.
type Sources map[string]Source

// Names returns the names of the sources of a kind, sorted.
func (s Sources) Names(kind SourceKind) []string {
	return s.where(func(source Source) bool { return source.Kind == kind })
}

// About returns the names of the sources that can be asked about something, sorted.
func (s Sources) About(a About) []string {
	return s.where(func(source Source) bool { return source.Kind.Answers(a) })
}

func (s Sources) all() []string { return s.where(func(Source) bool { return true }) }

func (s Sources) where(holds func(Source) bool) []string {
	names := []string{}
	for name, source := range s {
		if holds(source) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

// find returns the source of a name that stands at path, if it can be asked about
// something; else it says so.
func (s Sources) find(d *document, path, name string, a About) (Source, bool) {
	source, known := s[name]
	switch {
	case !known:
		d.fail(path, "no source is called %q%s", name, legalList(name, s.About(a)))
	case source.Kind == "": // its own fault
		return source, false
	case !source.Kind.Answers(a):
		what := ""
		if source.Kind == KindTempo || source.Kind == KindJaeger {
			what = ", which shows single traces and counts nothing"
		}
		d.fail(path, "source %q is of type %s%s: it answers no question about %s%s", name, source.Kind, what, a, legalList("", s.About(a)))
	default:
		return source, true
	}
	return Source{}, false
}

// name gives every source its own name, and sees that there is one receiver of
// pushed telemetry, called otlp.
func (s Sources) name(d *document) {
	for name, source := range s {
		path := join("sources", name)
		switch {
		case source.Kind == "":
			d.fail(join(path, "type"), "is required%s", legalList("", legalWords(source.Kind)))
		case source.Kind == KindOTLP && name != OTLPSource:
			d.fail(join(path, "type"), "the source of type otlp is what is pushed to this process; there is one, and its name is otlp")
		case source.Kind != KindOTLP && name == OTLPSource:
			d.fail(join(path, "type"), "the name otlp belongs to the source of type otlp")
		case !objectName.MatchString(name):
			d.fail(path, "%s", badName(name))
		}
		source.Name = name
		s[name] = source
	}
	if _, there := s[OTLPSource]; !there {
		s[OTLPSource] = Source{Name: OTLPSource, Kind: KindOTLP}
	}
}
