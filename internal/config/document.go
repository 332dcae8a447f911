package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds a configuration file; the largest real ones are a hundredth of it.
const maxFile = 1 << 20

// maxDepth bounds the nesting of a document.
const maxDepth = 64

// A document is one YAML document of a file: its nodes, where every field
// stands, and the faults found in it so far.
type document struct {
	file   string
	root   *yaml.Node // nil: empty
	places map[string]*yaml.Node
	// written holds the text of the scalars whose references were resolved, so
	// that no message repeats a secret.
	written map[*yaml.Node]string
	// references holds the same by the path of the field.
	references map[string]string
	faults     Faults
}

// readFile reads a regular file of bounded size.
func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("is larger than %d bytes", maxFile)
	}
	return data, err
}

// parseDocuments splits a file into its documents. The last one carries the
// syntax error, if there is one. Empty documents are left out.
func parseDocuments(file string, data []byte) []*document {
	var docs []*document
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		d := &document{file: file, places: map[string]*yaml.Node{}, written: map[*yaml.Node]string{}}
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			d.faults = append(d.faults, syntaxFault(file, data, err))
			return append(docs, d)
		}
		if len(node.Content) == 0 || isNull(node.Content[0]) {
			continue
		}
		d.root = node.Content[0]
		d.plain(d.root, 0)
		docs = append(docs, d)
	}
}

var (
	yamlLine   = regexp.MustCompile(`^yaml: line (\d+): `)
	yamlAnchor = regexp.MustCompile(`^yaml: unknown anchor '(.*)' referenced`)
)

// syntaxFault takes the place out of the text of the YAML parser, which offers it
// nowhere else: a line, or the name of an alias; it knows no column.
func syntaxFault(file string, data []byte, err error) Fault {
	f := Fault{File: file, Line: 1, Column: 1, Message: "is no YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		f.Message = "is no YAML: " + err.Error()[len(m[0]):]
		line, _ := strconv.Atoi(m[1])
		f.Line = max(line, 1)
	}
	if m := yamlAnchor.FindStringSubmatch(err.Error()); m != nil {
		if before, _, found := strings.Cut(string(data), "*"+m[1]); found {
			f.Line = strings.Count(before, "\n") + 1
			f.Column = len(before) - strings.LastIndex(before, "\n")
		}
		f.Message = fmt.Sprintf("*%s is an alias to YAML; a pattern that begins with * is written in quotes", m[1])
	}
	return f
}

// plain refuses what would make a value stand in another place than where it is
// read: anchors, aliases and merge keys. It also bounds the nesting.
func (d *document) plain(n *yaml.Node, depth int) {
	switch {
	case depth > maxDepth:
		d.reject(n, "", fmt.Sprintf("is nested more than %d levels deep", maxDepth))
		n.Content = nil
	case n.Kind == yaml.AliasNode:
		d.reject(n, "", "aliases are not read: write the value out")
		*n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: n.Line, Column: n.Column}
	case n.Anchor != "":
		d.reject(n, "", "anchors are not read: write the value out where it is needed")
	}
	for _, c := range n.Content {
		d.plain(c, depth+1)
	}
}

// reject records a fault at a node.
func (d *document) reject(n *yaml.Node, path, message string) {
	d.faults = append(d.faults, Fault{File: d.file, Line: max(n.Line, 1), Column: max(n.Column, 1), Path: path, Message: message})
}

// fail records a fault about the field at path; it is reported where the field
// stands, or at the nearest parent that exists. If something is already wrong
// with the field or inside it, that fault is enough: this one may only follow
// from it.
func (d *document) fail(path, format string, args ...any) {
	if d.faulty(path) {
		return
	}
	d.reject(d.place(path), path, fmt.Sprintf(format, args...))
}

// faulty reports whether a fault is known at path or inside it.
func (d *document) faulty(path string) bool {
	for _, f := range d.faults {
		if rest, inside := strings.CutPrefix(f.Path, path); inside && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

// place returns the node of the field at path, or of the nearest parent.
func (d *document) place(path string) *yaml.Node {
	for {
		if n := d.places[path]; n != nil {
			return n
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return d.root
		}
		path = path[:cut]
	}
}

// position is where a field stands, for messages about another place.
func (d *document) position(path string) string {
	n := d.place(path)
	return fmt.Sprintf("%s:%d:%d", d.file, n.Line, n.Column)
}

// text is the scalar as its author wrote it.
func (d *document) text(n *yaml.Node) string {
	if s, resolved := d.written[n]; resolved {
		return s
	}
	return n.Value
}

// isNull reports whether a value was left empty, which is the same as leaving
// out its key.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// join returns the path of a field.
func join(path, key string) string {
	switch {
	case !plainKey.MatchString(key):
		return fmt.Sprintf("%s[%q]", path, key)
	case path == "":
		return key
	}
	return path + "." + key
}

// at returns the path of an item of a list.
func at(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
