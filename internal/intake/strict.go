package intake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Numbers of an event are weights, counters and instants. What is larger is an
// attack on somebody's parser.
const (
	maxNumber      = 1e21
	maxNumberBytes = 40
)

// vocabulary is every name that customData.assay knows, by its lower case, and the
// name of assay itself: objects that stay open for others, where a slip of the
// shift key would pass for somebody else's name.
var vocabulary = func() map[string]string {
	m := map[string]string{}
	for _, name := range []string{
		"assay", "deploymentId", "namespace", "mode", "strategy", "phase", "step", "index", "total", "weight", "canary", "baseline",
		"version", "selector", "startedAt", "warmup", "maxDuration", "policyRef", "changeId", "expectLines", "callbackUrl", "labels",
	} {
		m[strings.ToLower(name)] = name
	}
	return m
}()

// scanned tells decoders that scan has looked for duplicates already.
var scanned = jsontext.AllowDuplicateNames(true)

// A scanner reads a JSON value once, before anything is decoded from it.
type scanner struct {
	at      string // what paths begin with
	limits  Limits
	members int
	// Of the open objects and arrays, one after the other: the names seen so far, in
	// lower case and as they were written.
	names  []spelling
	frames []frame
	slips  bool // some name is one of the vocabulary but for its case
}

type spelling struct{ lower, written string }

type frame struct {
	first int            // of its names
	index map[string]int // of many names, by lower case
}

// manyNames is where looking through all names of an object costs more than a map.
const manyNames = 24

// scan refuses what two parsers could understand in two ways or what costs too
// much: duplicate names and names that differ only in case, invalid UTF-8, trailing
// bytes, deep nesting, huge numbers, too many members. The root must be an object.
// All of this is Malformed. It reports whether a name may be misspelt.
func scan(data []byte, at string, l Limits) (slips bool, rejection *Rejection) {
	s := scanner{at: at, limits: l, names: make([]spelling, 0, 32), frames: make([]frame, 0, 8)}
	rejection = s.scan(data)
	return s.slips, rejection
}

func (s *scanner) refuse(path jsontext.Pointer, format string, args ...any) *Rejection {
	return &Rejection{Reason: Malformed, Path: join(s.at, path), Detail: fmt.Sprintf(format, args...)}
}

func (s *scanner) scan(data []byte) *Rejection {
	// Invalid UTF-8 is refused by the decoder; duplicates are found with the names
	// that differ only in case, once for all who decode the value later.
	d := jsontext.NewDecoder(bytes.NewBuffer(data), scanned)
	switch kind := d.PeekKind(); kind {
	case 'n', '[', '"', '0', 't', 'f':
		return s.refuse("", "the value must be a JSON object, not %s", kindName(kind))
	}
	for {
		// The names of an object and its values take turns.
		container, n := d.StackIndex(d.StackDepth())
		token, err := d.ReadToken()
		if err != nil {
			return syntaxFault(err, s.at)
		}
		switch token.Kind() {
		case '{', '[':
			if s.frames = append(s.frames, frame{first: len(s.names)}); len(s.frames) > s.limits.MaxDepth {
				return s.refuse("", "nested deeper than %d", s.limits.MaxDepth)
			}
		case '}', ']':
			last := len(s.frames) - 1
			s.names, s.frames = s.names[:s.frames[last].first], s.frames[:last]
			if last == 0 {
				if rest := bytes.TrimLeft(data[d.InputOffset():], " \t\r\n"); len(rest) > 0 {
					return s.refuse("", "%d bytes after the JSON value", len(rest))
				}
				return nil
			}
		case '"':
			if container != '{' || n%2 != 0 {
				break // a value
			}
			if text := s.name(token.String()); text != "" {
				return s.refuse(d.StackPointer(), "%s", text)
			}
		case '0':
			text := token.String()
			v, err := strconv.ParseFloat(text, 64)
			if err != nil || math.Abs(v) > maxNumber || len(text) > maxNumberBytes {
				return s.refuse(d.StackPointer(), "a number beyond %g", maxNumber)
			}
		}
	}
}

// name notes a member of the innermost object and returns what is wrong with it.
func (s *scanner) name(name string) (fault string) {
	if s.members++; s.members > s.limits.MaxMembers {
		return fmt.Sprintf("more than %d members", s.limits.MaxMembers)
	}
	if strings.ContainsRune(name, 0) {
		return "a name with a NUL"
	}
	lower := strings.ToLower(name)
	f := &s.frames[len(s.frames)-1]
	if other, ok := s.seen(f, lower); ok {
		if other == name {
			return "a member with this name twice"
		}
		return fmt.Sprintf("%q and %q differ only in case", other, name)
	}
	if f.index != nil {
		f.index[lower] = len(s.names)
	}
	s.names = append(s.names, spelling{lower, name})
	if meant, ok := vocabulary[lower]; ok && meant != name {
		s.slips = true
	}
	return ""
}

func (s *scanner) seen(f *frame, lower string) (written string, ok bool) {
	mine := s.names[f.first:]
	if f.index == nil && len(mine) >= manyNames {
		f.index = make(map[string]int, 2*manyNames)
		for i, n := range mine {
			f.index[n.lower] = f.first + i
		}
	}
	if f.index != nil {
		i, ok := f.index[lower]
		if !ok {
			return "", false
		}
		return s.names[i].written, true
	}
	for _, n := range mine {
		if n.lower == lower {
			return n.written, true
		}
	}
	return "", false
}

func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case '0':
		return "a number"
	}
	return "a boolean"
}

// syntaxFault words an error of the tokenizer.
func syntaxFault(err error, at string) *Rejection {
	r := &Rejection{Reason: Malformed, Path: at}
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(err, &syntax):
		r.Path = join(at, syntax.JSONPointer)
		r.Detail = fmt.Sprintf("invalid JSON at byte %d: %v", syntax.ByteOffset, syntax.Err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		r.Detail = "the JSON value ends early"
	default:
		r.Detail = err.Error()
	}
	return r
}

// decode reads a value that was scanned into a struct whose object is closed:
// names it does not know are refused, and so is null, which would pass for absent.
func decode(data []byte, into any, at string) *Rejection {
	if path, found := findNull(data); found {
		return &Rejection{Reason: Schema, Path: join(at, path), Detail: "null; leave the member out"}
	}
	if err := json.Unmarshal(data, into, json.RejectUnknownMembers(true), scanned); err != nil {
		return semanticFault(err, at)
	}
	return nil
}

func semanticFault(err error, at string) *Rejection {
	var semantic *json.SemanticError
	if !errors.As(err, &semantic) {
		return syntaxFault(err, at)
	}
	r := &Rejection{Reason: Schema, Path: join(at, semantic.JSONPointer)}
	switch {
	case errors.Is(semantic.Err, json.ErrUnknownName):
		r.Detail = "unknown member; this object is closed (other data belongs into customData)"
	case semantic.Err != nil:
		r.Detail = semantic.Err.Error()
	default:
		r.Detail = fmt.Sprintf("a %s cannot stand here", semantic.JSONKind)
	}
	return r
}

// findNull returns where the first null is, customData aside: what other tools
// keep there is theirs.
func findNull(data []byte) (jsontext.Pointer, bool) {
	if !bytes.Contains(data, []byte("null")) {
		return "", false
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(data), scanned)
	for {
		token, err := d.ReadToken()
		if err != nil {
			return "", false
		}
		if token.Kind() == 'n' {
			return d.StackPointer(), true
		}
		if d.StackDepth() == 1 && token.Kind() == '"' && token.String() == "customData" {
			if err := d.SkipValue(); err != nil {
				return "", false
			}
		}
	}
}

// misspelt returns the first name of an open object that is a known one but for
// its case. Ignoring it as unknown would ignore what the sender meant.
func misspelt(object jsontext.Value, known ...string) (name, meant string) {
	d := jsontext.NewDecoder(bytes.NewBuffer(object), scanned)
	if token, err := d.ReadToken(); err != nil || token.Kind() != '{' {
		return "", ""
	}
	for d.PeekKind() == '"' {
		token, err := d.ReadToken()
		if err != nil {
			return "", ""
		}
		name := token.String()
		for _, k := range known {
			if name != k && strings.EqualFold(name, k) {
				return name, k
			}
		}
		if d.SkipValue() != nil {
			return "", ""
		}
	}
	return "", ""
}

// join writes a JSON pointer as people do: data.subject.content.
func join(at string, p jsontext.Pointer) string {
	var b strings.Builder
	b.WriteString(at)
	for token := range p.Tokens() {
		if len(token) > 64 {
			token = token[:64] + "…"
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(strings.ToValidUTF8(token, "�"))
	}
	return b.String()
}
