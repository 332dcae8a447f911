package config

import "go.yaml.in/yaml/v3"

// An options block is what a file says about a source or a sink beside its type. It is
// kept as it stands, for the adapter to decode.
type options struct {
	doc   *document
	path  string
	block *yaml.Node // without the key "type"; nil: nothing was written
}

// Written is where the block stands; of one that stands nowhere, empty.
func (o options) Written() Place {
	if o.doc == nil {
		return Place{}
	}
	return o.doc.whereIs(o.path)
}

// Decode reads the options into the struct that into points to, as strictly as
// everything else: an unknown key or a value of a wrong type is a fault with its
// position. What the file does not say stays as it was in the struct. The struct names
// its keys by yaml tags; strings, numbers, truth values, time.Duration, lists, maps,
// structs (inline too) and types that decode themselves from YAML or text are
// understood.
func (o options) Decode(into any) error {
	if o.block == nil {
		return nil
	}
	d := &document{file: o.doc.file, root: o.block, places: map[string]*yaml.Node{o.path: o.doc.place(o.path)}, written: o.doc.written}
	d.decode(o.block, o.path, into)
	return d.faults.err()
}

// Fault returns what an adapter says against the options as a fault in their place; nil
// if it says nothing.
func (o options) Fault(err error) error {
	if err == nil || o.doc == nil {
		return err
	}
	return Faults{o.Written().Fault("%v", err)}
}

// position is where the block stands, for messages.
func (o options) position() string {
	if o.doc == nil {
		return "always there"
	}
	return o.doc.position(o.path)
}

// readOptions keeps a mapping without its type, which it reads into kind.
func readOptions(d *document, n *yaml.Node, path string, kind any) options {
	out := options{doc: d, path: path, block: &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: n.Line, Column: n.Column}}
	for _, e := range d.entries(n, path) {
		if e.name == "type" {
			d.decode(e.value, e.path, kind)
			continue
		}
		out.block.Content = append(out.block.Content, e.key, e.value)
	}
	return out
}
