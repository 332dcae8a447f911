package config

import (
	"sort"

	"go.yaml.in/yaml/v3"
)

// SourceKind is the product that a source speaks to.
type SourceKind string

const (
	KindPrometheus SourceKind = "prometheus" // and what speaks its API: Mimir, Thanos, VictoriaMetrics
	KindOTLP       SourceKind = "otlp"       // what is pushed to the listeners of this process
)

func (SourceKind) legal() (now, later []string) {
	return []string{string(KindPrometheus), string(KindOTLP)}, []string{"loki", "tempo", "jaeger", "replay"}
}

// OTLPSource is the name of the one source that is always there: what is pushed.
const OTLPSource = "otlp"

// A Source is a configured source. This package knows its kind only; the rest of
// its block belongs to the adapter.
type Source struct {
	Name string
	Kind SourceKind

	doc   *document
	path  string
	block *yaml.Node // without the key "type"; nil: nothing was written
}

// Written is where the source stands; of one that stands nowhere, empty.
func (s Source) Written() Place {
	if s.doc == nil {
		return Place{}
	}
	return s.doc.whereIs(s.path)
}

// Decode reads the options of the source into the struct that into points to, as
// strictly as everything else: an unknown key or a value of a wrong type is a
// fault with its position. What the file does not say stays as it was in the
// struct. The struct names its keys by yaml tags; strings, numbers, truth values,
// time.Duration, lists, maps, structs (inline too) and types that decode
// themselves from YAML or text are understood.
func (s Source) Decode(into any) error {
	if s.block == nil {
		return nil
	}
	d := &document{file: s.doc.file, root: s.block, places: map[string]*yaml.Node{s.path: s.doc.place(s.path)}, written: s.doc.written}
	d.decode(s.block, s.path, into)
	return d.faults.err()
}

// Fault returns what an adapter says against the options of a source as a fault in
// its place; nil if it says nothing.
func (s Source) Fault(err error) error {
	if err == nil || s.doc == nil {
		return err
	}
	return Faults{s.Written().Fault("%v", err)}
}

// decodeNode implements selfDecoder: the type is read, the rest is kept.
func (s *Source) decodeNode(d *document, n *yaml.Node, path string) {
	*s = Source{doc: d, path: path, block: &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: n.Line, Column: n.Column}}
	for _, e := range d.entries(n, path) {
		if e.name == "type" {
			d.decode(e.value, e.path, &s.Kind)
			continue
		}
		s.block.Content = append(s.block.Content, e.key, e.value)
	}
}

// Sources are the configured sources by name.
type Sources map[string]Source

// Names returns the names of the sources of a kind, sorted.
func (s Sources) Names(kind SourceKind) []string {
	var names []string
	for name, source := range s {
		if source.Kind == kind {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

func (s Sources) all() []string {
	names := make([]string, 0, len(s))
	for name := range s {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// name gives every source its own name, and sees that there is one receiver of
// pushed telemetry, called otlp.
func (s Sources) name(d *document) {
	for name, source := range s {
		path := join("sources", name)
		switch {
		case source.Kind == "":
			now, _ := source.Kind.legal()
			d.fail(join(path, "type"), "is required%s", legalList("", now))
		case source.Kind == KindOTLP && name != OTLPSource:
			d.fail(join(path, "type"), "the source of type otlp is what is pushed to this process; there is one, and its name is otlp")
		case source.Kind == KindPrometheus && name == OTLPSource:
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
