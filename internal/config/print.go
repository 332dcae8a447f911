package config

import (
	"bytes"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Print writes the effective process file: every key with the value that holds, the
// defaults too. What came from a reference is written as the reference; any other
// secret as <secret>. What the adapters have decoded their blocks into are, by the name of
// a source, sources, and by the place of a sink in the file, sinks.
func (c Config) Print(sources map[string]any, sinks map[int]any) ([]byte, error) {
	var root yaml.Node
	if err := root.Encode(c); err != nil {
		return nil, err
	}
	list := child(&root, "sources")
	for i := 0; i+1 < len(list.Content); i += 2 {
		if err := appendBlock(list.Content[i+1], sources[list.Content[i].Value]); err != nil {
			return nil, fmt.Errorf("source %q: %w", list.Content[i].Value, err)
		}
	}
	for i, sink := range child(&root, "sinks").Content {
		if err := appendBlock(sink, sinks[i]); err != nil {
			return nil, fmt.Errorf("sink %d: %w", i, err)
		}
	}
	c.asWritten(&root, "")
	return printed(&root)
}

// appendBlock adds the options of an adapter, nil for none, to what this package knows.
func appendBlock(n *yaml.Node, options any) error {
	if options == nil {
		return nil
	}
	var block yaml.Node
	if err := block.Encode(options); err != nil {
		return err
	}
	n.Content = append(n.Content, block.Content...)
	return nil
}

// MarshalYAML implements yaml.Marshaler: what this package knows of a source.
func (s Source) MarshalYAML() (any, error) {
	return map[string]SourceKind{"type": s.Kind}, nil
}

// asWritten puts the references back in the place of what they were resolved to.
func (c Config) asWritten(n *yaml.Node, path string) {
	if original, resolved := c.references[path]; resolved && n.Kind == yaml.ScalarNode {
		n.SetString(original)
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			c.asWritten(n.Content[i+1], join(path, n.Content[i].Value))
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			c.asWritten(item, at(path, i))
		}
	}
}

// child returns the value of a key of a mapping; an empty node if it is not there.
func child(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return &yaml.Node{}
}

// printed is the text of some documents.
func printed(docs ...*yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	var errs []error
	for _, d := range docs {
		errs = append(errs, e.Encode(d))
	}
	errs = append(errs, e.Close())
	return b.Bytes(), errors.Join(errs...)
}
