package intake

import (
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

// anyJSON draws JSON values of some depth.
func anyJSON(depth int) *rapid.Generator[any] {
	text := rapid.OneOf(rapid.StringMatching(`[a-zA-Z0-9 ]{0,8}`), rapid.String())
	leaves := []*rapid.Generator[any]{
		rapid.Map(text, func(s string) any { return s }), rapid.Map(rapid.Float64Range(-1e9, 1e9), func(v float64) any { return v }),
		rapid.Map(rapid.IntRange(-1e6, 1e6), func(v int) any { return float64(v) }), rapid.Just[any](nil), rapid.Map(rapid.Bool(), func(b bool) any { return b }),
	}
	if depth == 0 {
		return rapid.OneOf(leaves...)
	}
	return rapid.OneOf(append(leaves,
		rapid.Map(rapid.SliceOfN(anyJSON(depth-1), 0, 4), func(v []any) any { return v }),
		rapid.Map(rapid.MapOfN(text, anyJSON(depth-1), 0, 6), func(v map[string]any) any { return v }))...)
}

// The hash is that of the value, whatever it is written like, and of nothing else.
func TestContentHashOfAnyJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := map[string]any{"root": anyJSON(4).Draw(t, "value")}
		hashes := map[string]string{}
		for how, options := range map[string][]json.Options{
			"sorted": {json.Deterministic(true)}, "any order": nil, "indented": {jsontext.Multiline(true)}, "escaped": {jsontext.EscapeForHTML(true), jsontext.EscapeForJS(true)},
		} {
			b, err := json.Marshal(v, append(options, jsontext.AllowInvalidUTF8(true))...)
			if err != nil {
				t.Fatal(err)
			}
			if hashes[how], err = contentHash(b); err != nil {
				t.Fatal(err)
			}
			// The library's canonical form is another spelling of the same value.
			library := jsontext.Value(b)
			if err := library.Canonicalize(); err != nil {
				t.Fatal(err)
			}
			if again, _ := contentHash(library); again != hashes[how] {
				t.Fatalf("%s\nand its canonical form\n%s\nhave two hashes", b, library)
			}
		}
		for how, h := range hashes {
			if h != hashes["sorted"] {
				t.Fatalf("%s: another hash", how)
			}
		}
		w := map[string]any{"root": anyJSON(4).Draw(t, "other")}
		a, _ := json.Marshal(v, json.Deterministic(true))
		b, _ := json.Marshal(w, json.Deterministic(true))
		other, err := contentHash(b)
		if err != nil {
			t.Fatal(err)
		}
		if (string(a) == string(b)) != (other == hashes["sorted"]) {
			t.Fatalf("%s and %s: equal hashes %v", a, b, other == hashes["sorted"])
		}
	})
}

func TestContentHashSpelling(t *testing.T) {
	for _, pair := range [][2]string{
		{`{"a":1,"b":2}`, `{ "b" : 2.0 , "a" : 1e0 }`}, {`{"a":0}`, `{"a":-0.0}`}, {`{"a":"é\n"}`, `{"\u0061":"\u00e9\u000a"}`}, {`{"a":{"c":[],"b":{}}}`, `{"a":{"b":{},"c":[ ]}}`},
	} {
		a, err := contentHash([]byte(pair[0]))
		b, err2 := contentHash([]byte(pair[1]))
		if err != nil || err2 != nil || a != b {
			t.Errorf("%s and %s differ (%v, %v)", pair[0], pair[1], err, err2)
		}
	}
	for _, pair := range [][2]string{
		{`{"a":1}`, `{"a":"1"}`}, {`{"a":[1,2]}`, `{"a":[12]}`}, {`{"a":[[1],2]}`, `{"a":[1,[2]]}`}, {`{"a":"x","b":"y"}`, `{"a":"x\",\"b\":\"y"}`}, {`{"a":null}`, `{}`}, {`{"a":true}`, `{"a":false}`},
	} {
		a, _ := contentHash([]byte(pair[0]))
		b, _ := contentHash([]byte(pair[1]))
		if a == b {
			t.Errorf("%s and %s have one hash", pair[0], pair[1])
		}
	}
}
