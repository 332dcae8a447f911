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

// scan reads a JSON value once, before anything is decoded from it, and refuses
// what two parsers could understand in two ways or what costs too much: duplicate
// names and names that differ only in case, invalid UTF-8, trailing bytes, deep
// nesting, huge numbers, too many members. The root must be an object. All of this
// is Malformed.
func scan(data []byte, at string, l Limits) *Rejection {
	refuse := func(path jsontext.Pointer, format string, args ...any) *Rejection {
		return &Rejection{Reason: Malformed, Path: join(at, path), Detail: fmt.Sprintf(format, args...)}
	}
	d := jsontext.NewDecoder(bytes.NewReader(data)) // refuses duplicates and invalid UTF-8
	switch kind := d.PeekKind(); kind {
	case 'n', '[', '"', '0', 't', 'f':
		return refuse("", "the value must be a JSON object, not %s", kindName(kind))
	}
	var folded []map[string]string // of each open object: names in lower case, as they were written
	members := 0
	for {
		// The names of an object and its values take turns.
		container, n := d.StackIndex(d.StackDepth())
		token, err := d.ReadToken()
		if err != nil {
			return syntaxFault(err, at)
		}
		switch token.Kind() {
		case '{', '[':
			if folded = append(folded, nil); len(folded) > l.MaxDepth {
				return refuse("", "nested deeper than %d", l.MaxDepth)
			}
		case '}', ']':
			folded = folded[:len(folded)-1]
			if len(folded) == 0 {
				if rest := bytes.TrimLeft(data[d.InputOffset():], " \t\r\n"); len(rest) > 0 {
					return refuse("", "%d bytes after the JSON value", len(rest))
				}
				return nil
			}
		case '"':
			if container != '{' || n%2 != 0 {
				break // a value
			}
			if members++; members > l.MaxMembers {
				return refuse(d.StackPointer(), "more than %d members", l.MaxMembers)
			}
			name := token.String()
			if strings.ContainsRune(name, 0) {
				return refuse(d.StackPointer(), "a name with a NUL")
			}
			names := folded[len(folded)-1]
			if names == nil {
				names = map[string]string{}
				folded[len(folded)-1] = names
			}
			lower := strings.ToLower(name)
			if other, ok := names[lower]; ok {
				return refuse(d.StackPointer(), "%q and %q differ only in case", other, name)
			}
			names[lower] = name
		case '0':
			text := token.String()
			v, err := strconv.ParseFloat(text, 64)
			if err != nil || math.Abs(v) > maxNumber || len(text) > maxNumberBytes {
				return refuse(d.StackPointer(), "a number beyond %g", maxNumber)
			}
		}
	}
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
		if errors.Is(syntax.Err, jsontext.ErrDuplicateName) {
			r.Detail = "a member with this name twice"
		}
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
	if err := json.Unmarshal(data, into, json.RejectUnknownMembers(true)); err != nil {
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
	d := jsontext.NewDecoder(bytes.NewReader(data))
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
	d := jsontext.NewDecoder(bytes.NewReader(object))
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
