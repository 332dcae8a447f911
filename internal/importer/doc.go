// Package importer translates what other tools were told about a service into what
// Assay reads: OpenSLO objects for what is promised, a ReleaseValidation for how
// releases are held to it.
//
// Three formats are read: sloth's service levels (and the rules that it generates),
// pyrra's ServiceLevelObjectives, and the canary configurations of Kayenta. Wherever
// the meaning changes, or something cannot be said in Assay's words, there is a [Note]
// with the place; what a note calls "not imported" is not in the objects. Nothing is
// dropped silently.
//
// The package reads text and writes text. It does not check that the queries find
// anything (`assay check` asks the live source) and loads no policies.
package importer

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Note says where the meaning changes.
type Note struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"` // 0: unknown
	Message string `json:"message"`
}

func (n Note) String() string {
	if n.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", n.File, n.Line, n.Message)
	}
	return fmt.Sprintf("%s: %s", n.File, n.Message)
}

// A Result is what was imported.
type Result struct {
	objects []any
	Notes   []Note
}

// Empty reports whether nothing could be imported.
func (r *Result) Empty() bool { return len(r.objects) == 0 }

// YAML returns the objects as documents of one file; nothing where r is empty.
func (r *Result) YAML() ([]byte, error) {
	if r.Empty() {
		return nil, nil
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	for _, o := range r.objects {
		if err := e.Encode(o); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), e.Close()
}

func (r *Result) note(file string, line int, format string, args ...any) {
	r.Notes = append(r.Notes, Note{file, line, fmt.Sprintf(format, args...)})
}

// text is a scalar and the line that it stands on.
type text struct {
	Value string
	Line  int
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (t *text) UnmarshalYAML(n *yaml.Node) error {
	t.Line = n.Line
	return n.Decode(&t.Value)
}

var unknownKey = regexp.MustCompile(`field (\S+) not found`)

// strict decodes a node and refuses keys that the format does not have.
func strict(n *yaml.Node, into any) error {
	if err := n.Decode(into); err != nil {
		return err
	}
	// Only a decoder of text knows of unknown keys; the lines are those of the node.
	plain, err := yaml.Marshal(n)
	if err != nil {
		return err
	}
	d := yaml.NewDecoder(bytes.NewReader(plain))
	d.KnownFields(true)
	err = d.Decode(into)
	if m := unknownKey.FindStringSubmatch(fmt.Sprint(err)); m != nil {
		return fmt.Errorf("line %d: unknown key %q", lineOf(n, m[1]), m[1])
	}
	if err != nil {
		return err
	}
	return n.Decode(into) // again, for the lines
}

// lineOf is the line of the first key of a name below a node.
func lineOf(n *yaml.Node, key string) int {
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && c.Value == key {
			return c.Line
		}
		if line := lineOf(c, key); line > 0 {
			return line
		}
	}
	return 0
}

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// objectName makes a name of Assay's out of any text.
func objectName(parts ...string) string {
	name := strings.Trim(notInName.ReplaceAllString(strings.ToLower(strings.Join(parts, "-")), "-"), "-")
	if len(name) > 63 {
		name = strings.TrimRight(name[:63], "-")
	}
	return name
}

// share turns per cent into a target, without the noise of binary fractions.
func share(percent float64) float64 { return math.Round(percent*1e10) / 1e12 }
