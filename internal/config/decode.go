package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/release-assay/assay/analysis"
)

// The decoder below reads a node into a Go value whose type is the grammar:
// structs list the keys, with their yaml tags; a field tagged need:"true" must be
// there; a field of type later is a key that a later version will know, and its tag
// of:"..." may say what it belongs to. Values that are already set stay where the
// file says nothing, so defaults are laid under a file by decoding over them.

// later is the type of a key that is known, but not to this version.
type later struct{}

// An enum is a text with a list of legal values, and perhaps of values that a
// later version will know.
type enum interface {
	legal() (now, later []string)
}

// A selfDecoder reads its own node, where one grammar has several forms.
type selfDecoder interface {
	decodeNode(d *document, n *yaml.Node, path string)
}

// foreignDecoder is how configuration types written for older YAML packages
// (prometheus/common/config) decode themselves.
type foreignDecoder interface {
	UnmarshalYAML(unmarshal func(any) error) error
}

var (
	laterType    = reflect.TypeFor[later]()
	nodeType     = reflect.TypeFor[yaml.Node]()
	durationType = reflect.TypeFor[analysis.Duration]()
	timeDuration = reflect.TypeFor[time.Duration]()
)

// decode reads n, which stands at path, into the value that into points to.
func (d *document) decode(n *yaml.Node, path string, into any) {
	d.value(n, path, reflect.ValueOf(into).Elem())
}

func (d *document) value(n *yaml.Node, path string, v reflect.Value) {
	if d.places[path] == nil {
		d.places[path] = n
	}
	if isNull(n) {
		return
	}
	switch into := v.Addr().Interface().(type) {
	case *yaml.Node:
		*into = *n
		return
	case selfDecoder:
		into.decodeNode(d, n, path)
		return
	case enum:
		d.word(n, path, v, into)
		return
	case yaml.Unmarshaler, foreignDecoder:
		d.foreign(n, path, v)
		return
	}
	switch {
	case v.Type() == durationType || v.Type() == timeDuration:
		d.duration(n, path, v)
	case v.CanAddr() && implementsText(v):
		d.marshaledText(n, path, v)
	default:
		d.ordinary(n, path, v)
	}
}

func implementsText(v reflect.Value) bool {
	_, ok := v.Addr().Interface().(encoding.TextUnmarshaler)
	return ok
}

// ordinary decodes by the kind of the Go type.
func (d *document) ordinary(n *yaml.Node, path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(n, path, v.Elem())
	case reflect.Struct:
		d.structure(n, path, v)
	case reflect.Map:
		d.mapping(n, path, v)
	case reflect.Slice:
		d.list(n, path, v)
	case reflect.String:
		if s, ok := d.string(n, path); ok {
			v.SetString(s)
		}
	case reflect.Bool:
		if d.scalar(n, path, "true or false", "!!bool") {
			var b bool
			_ = n.Decode(&b) // the tag was checked
			v.SetBool(b)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if d.scalar(n, path, "a whole number", "!!int") {
			var i int64
			if err := n.Decode(&i); err != nil || v.OverflowInt(i) {
				d.reject(n, path, fmt.Sprintf("%s is too large a number", d.text(n)))
				return
			}
			v.SetInt(i)
		}
	case reflect.Float64:
		if f, ok := d.float(n, path); ok {
			v.SetFloat(f)
		}
	default:
		d.foreign(n, path, v)
	}
}

// A field is a key of a struct type.
type field struct {
	index  []int
	typ    reflect.Type
	needed bool
	of     string // what a key belongs to that a later version will know
}

// fields lists the keys of a struct type by name, in the way of the yaml package.
// A type with an inline map takes any other key too: rest is the type of its
// values, or nil.
func fields(t reflect.Type) (names []string, byName map[string]field, rest reflect.Type) {
	byName = map[string]field{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if strings.Contains(options, "inline") {
			if f.Type.Kind() == reflect.Map {
				rest = f.Type.Elem()
				continue
			}
			inner, innerByName, innerRest := fields(f.Type)
			for _, key := range inner {
				in := innerByName[key]
				in.index = append([]int{i}, in.index...)
				names, byName[key] = append(names, key), in
			}
			if innerRest != nil {
				rest = innerRest
			}
			continue
		}
		if name == "-" || !f.IsExported() {
			continue
		}
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		names = append(names, name)
		byName[name] = field{index: []int{i}, typ: f.Type, needed: f.Tag.Get("need") == "true", of: f.Tag.Get("of")}
	}
	return names, byName, rest
}

// An entry is one key of a mapping and its value.
type entry struct {
	name       string
	path       string
	key, value *yaml.Node
}

// entries lists a mapping, and rejects what cannot be a key and what is there twice.
func (d *document) entries(n *yaml.Node, path string) []entry {
	if n.Kind != yaml.MappingNode {
		d.reject(n, path, fmt.Sprintf("is %s, must be a mapping (key: value)", d.what(n)))
		return nil
	}
	var out []entry
	first := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge":
			d.reject(key, path, "merge keys (<<) are not read: write the values out")
		case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str":
			d.reject(key, path, fmt.Sprintf("has %s as a key, must be a text (write it in quotes)", d.what(key)))
		case first[key.Value] != nil:
			d.reject(key, join(path, key.Value), fmt.Sprintf("duplicate key, first on line %d", first[key.Value].Line))
		default:
			first[key.Value] = key
			e := entry{name: key.Value, path: join(path, key.Value), key: key, value: value}
			d.places[e.path] = value
			if value.Kind != yaml.ScalarNode {
				d.places[e.path] = key
			}
			out = append(out, e)
		}
	}
	return out
}

func (d *document) structure(n *yaml.Node, path string, v reflect.Value) {
	names, byName, rest := fields(v.Type())
	if rest != nil {
		d.foreign(n, path, v)
		return
	}
	seen := map[string]bool{}
	for _, e := range d.entries(n, path) {
		f, known := byName[e.name]
		switch {
		case !known:
			d.unknownKey(e, names, byName)
		case f.typ == laterType:
			d.reject(e.key, e.path, strings.TrimSuffix("is not known to this version: "+f.of, ": "))
		default:
			seen[e.name] = !isNull(e.value)
			d.value(e.value, e.path, v.FieldByIndex(f.index))
		}
	}
	if n.Kind != yaml.MappingNode {
		return
	}
	for _, name := range names {
		if byName[name].needed && !seen[name] && !d.faulty(join(path, name)) {
			d.reject(d.place(path), join(path, name), "is required")
		}
	}
}

func (d *document) unknownKey(e entry, names []string, byName map[string]field) {
	var legal []string
	for _, name := range names {
		if byName[name].typ != laterType {
			legal = append(legal, name)
		}
	}
	d.reject(e.key, e.path, "unknown key"+legalList(e.name, legal))
}

func (d *document) mapping(n *yaml.Node, path string, v reflect.Value) {
	if v.Type().Key().Kind() != reflect.String {
		d.foreign(n, path, v)
		return
	}
	out := reflect.MakeMap(v.Type())
	for _, e := range d.entries(n, path) {
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(e.value, e.path, item)
		out.SetMapIndex(reflect.ValueOf(e.name).Convert(v.Type().Key()), item)
	}
	if n.Kind == yaml.MappingNode {
		v.Set(out)
	}
}

func (d *document) list(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.reject(n, path, fmt.Sprintf("is %s, must be a list", d.what(n)))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		if isNull(item) {
			d.reject(item, at(path, i), "is empty")
			continue
		}
		d.value(item, at(path, i), out.Index(i))
	}
	v.Set(out)
}

// scalar reports whether n is a scalar of one of the tags, and rejects it otherwise.
func (d *document) scalar(n *yaml.Node, path, want string, tags ...string) bool {
	if n.Kind == yaml.ScalarNode {
		for _, tag := range tags {
			if n.ShortTag() == tag {
				return true
			}
		}
	}
	message := fmt.Sprintf("is %s, must be %s", d.what(n), want)
	if want == aText && n.Kind == yaml.ScalarNode {
		message += ": write it in quotes"
	}
	d.reject(n, path, message)
	return false
}

const aText = "a text"

func (d *document) string(n *yaml.Node, path string) (string, bool) {
	// An unquoted date is a text to everybody but YAML.
	return n.Value, d.scalar(n, path, aText, "!!str", "!!timestamp")
}

func (d *document) float(n *yaml.Node, path string) (float64, bool) {
	var f float64
	if !d.scalar(n, path, "a number", "!!int", "!!float") {
		return 0, false
	}
	if err := n.Decode(&f); err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		d.reject(n, path, fmt.Sprintf("%s is no finite number", d.text(n)))
		return 0, false
	}
	return f, true
}

func (d *document) word(n *yaml.Node, path string, v reflect.Value, e enum) {
	s, ok := d.string(n, path)
	if !ok {
		return
	}
	now, afterwards := e.legal()
	for _, legal := range now {
		if s == legal {
			v.SetString(s)
			return
		}
	}
	for _, word := range afterwards {
		if s == word {
			d.reject(n, path, fmt.Sprintf("%q is not known to this version%s", s, legalList("", now)))
			return
		}
	}
	d.reject(n, path, fmt.Sprintf("unknown value %q%s", d.text(n), legalList(s, now)))
}

func (d *document) duration(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		d.scalar(n, path, "a duration (90s, 15m, 1h, 7d)")
		return
	}
	parsed, err := parseDuration(n.Value)
	if err != nil {
		d.refuse(n, path, err)
		return
	}
	v.SetInt(int64(parsed))
}

func (d *document) marshaledText(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		d.scalar(n, path, aText)
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value)); err != nil {
		d.refuse(n, path, err)
	}
}

// foreign lets a type decode itself. Its keys are checked first, since the yaml
// package skips the unknown ones when it hands a node to such a type.
func (d *document) foreign(n *yaml.Node, path string, v reflect.Value) {
	before := len(d.faults)
	d.keys(n, path, v.Type())
	if len(d.faults) > before {
		return
	}
	if err := n.Decode(v.Addr().Interface()); err != nil {
		d.refuse(n, path, err)
	}
}

// keys checks the keys below n against the fields of t and sets nothing.
func (d *document) keys(n *yaml.Node, path string, t reflect.Type) {
	switch {
	case t.Kind() == reflect.Pointer:
		d.keys(n, path, t.Elem())
	case t.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		for i, item := range n.Content {
			d.keys(item, at(path, i), t.Elem())
		}
	case t.Kind() == reflect.Map && n.Kind == yaml.MappingNode:
		for _, e := range d.entries(n, path) {
			d.keys(e.value, e.path, t.Elem())
		}
	case t.Kind() == reflect.Struct && n.Kind == yaml.MappingNode && t != nodeType:
		names, byName, rest := fields(t)
		for _, e := range d.entries(n, path) {
			switch f, known := byName[e.name]; {
			case known:
				d.keys(e.value, e.path, f.typ)
			case rest != nil:
				d.keys(e.value, e.path, rest)
			default:
				d.unknownKey(e, names, byName)
			}
		}
	}
}

// refuse rejects a value with the words of the one who could not read it, unless
// these might repeat a secret.
func (d *document) refuse(n *yaml.Node, path string, err error) {
	if d.holdsReference(n) {
		d.reject(n, path, "is not legal here once its references are resolved")
		return
	}
	text := err.Error()
	var typeErr *yaml.TypeError
	if errors.As(err, &typeErr) {
		text = strings.Join(typeErr.Errors, "; ")
	}
	d.reject(n, path, text)
}

func (d *document) holdsReference(n *yaml.Node) bool {
	if _, resolved := d.written[n]; resolved {
		return true
	}
	for _, c := range n.Content {
		if d.holdsReference(c) {
			return true
		}
	}
	return false
}

// what names a node in messages.
func (d *document) what(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "the number " + d.text(n)
	case "!!bool":
		return "the truth value " + d.text(n)
	case "!!null":
		return "empty"
	}
	return fmt.Sprintf("the text %q", d.text(n))
}
