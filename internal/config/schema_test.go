package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// lokiOptions stand for those of the adapter.
type lokiOptions struct {
	URL    string `yaml:"url" need:"true"`
	Tenant string `yaml:"tenant"`
}

// schemaOf is a schema as others read it: after it has been JSON.
func schemaOf(t testing.TB, which string) map[string]any {
	t.Helper()
	text, err := json.Marshal(Schema(which, map[SourceKind]any{KindPrometheus: promOptions{}, KindOTLP: struct {
		MaxSeries int `yaml:"maxSeries"`
	}{}}, map[SinkType]any{SinkLoki: lokiOptions{}}))
	if err != nil {
		t.Fatal(err)
	}
	var s map[string]any
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// broken returns why a value does not meet a schema, empty if it does. It knows the
// words of JSON Schema that a schema here is made of, and fails on any other.
func broken(s map[string]any, v any, path string) string {
	for _, word := range slices.Sorted(maps.Keys(s)) {
		if why := brokenWord(s, word, v, path); why != "" {
			return why
		}
	}
	return ""
}

func brokenWord(s map[string]any, word string, v any, path string) string {
	arg := s[word]
	object, isObject := v.(map[string]any)
	switch word {
	case "$schema", "title", "then", "else":
	case "const":
		if v != arg {
			return fmt.Sprintf("%s: %v is not %v", path, v, arg)
		}
	case "enum":
		if !slices.Contains(arg.([]any), v) {
			return fmt.Sprintf("%s: %v is none of %v", path, v, arg)
		}
	case "type":
		if types, several := arg.([]any); several && slices.ContainsFunc(types, func(t any) bool { return isOf(v, t.(string)) }) || !several && isOf(v, arg.(string)) {
			return ""
		}
		return fmt.Sprintf("%s: %v is no %v", path, v, arg)
	case "pattern":
		if text, is := v.(string); is && !regexp.MustCompile(arg.(string)).MatchString(text) {
			return fmt.Sprintf("%s: %q is not like %v", path, text, arg)
		}
	case "required":
		for _, key := range arg.([]any) {
			if _, there := object[key.(string)]; isObject && !there {
				return fmt.Sprintf("%s: %v is missing", path, key)
			}
		}
	case "properties":
		for key, sub := range arg.(map[string]any) {
			if value, there := object[key]; there {
				if why := broken(sub.(map[string]any), value, join(path, key)); why != "" {
					return why
				}
			}
		}
	case "additionalProperties":
		known, _ := s["properties"].(map[string]any)
		for key, value := range object {
			if _, is := known[key]; is {
				continue
			}
			sub, open := arg.(map[string]any)
			if !open {
				return fmt.Sprintf("%s: unknown key %s", path, key)
			}
			if why := broken(sub, value, join(path, key)); why != "" {
				return why
			}
		}
	case "items":
		list, _ := v.([]any)
		for i, item := range list {
			if why := broken(arg.(map[string]any), item, at(path, i)); why != "" {
				return why
			}
		}
	case "allOf":
		for _, sub := range arg.([]any) {
			if why := broken(sub.(map[string]any), v, path); why != "" {
				return why
			}
		}
	case "anyOf":
		why := ""
		for _, sub := range arg.([]any) {
			one := broken(sub.(map[string]any), v, path)
			if one == "" {
				return ""
			}
			why += one + "; "
		}
		return why
	case "if":
		branch := "then"
		if broken(arg.(map[string]any), v, path) != "" {
			branch = "else"
		}
		if sub, there := s[branch].(map[string]any); there {
			return broken(sub, v, path)
		}
	default:
		return fmt.Sprintf("%s: the test does not know %q", path, word)
	}
	return ""
}

func isOf(v any, kind string) bool {
	switch v := v.(type) {
	case nil:
		return kind == "null"
	case string:
		return kind == "string"
	case bool:
		return kind == "boolean"
	case float64:
		return kind == "number" || kind == "integer" && v == math.Trunc(v)
	case []any:
		return kind == "array"
	case map[string]any:
		return kind == "object"
	}
	return false
}

// documentsOf reads a YAML file as an editor does; false if it is no YAML, or knows
// what JSON does not.
func documentsOf(t *testing.T, name string) (docs []any, ok bool) {
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var n yaml.Node
		var v any
		if err := decoder.Decode(&n); errors.Is(err, io.EOF) {
			return docs, true
		} else if err != nil {
			return nil, false
		}
		timesAreTexts(&n)
		if err := n.Decode(&v); err != nil {
			return nil, false
		}
		text, err := json.Marshal(v)
		if err != nil {
			return nil, false
		}
		var plain any
		if err := json.Unmarshal(text, &plain); err != nil {
			return nil, false
		}
		if plain != nil {
			docs = append(docs, plain)
		}
	}
}

func timesAreTexts(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!timestamp" {
		n.SetString(n.Value)
	}
	for _, c := range n.Content {
		timesAreTexts(c)
	}
}

// ofShape are the mistakes that a schema can see: which keys there are, and what kind
// of value each has.
var ofShape = regexp.MustCompile(`unknown key|unknown value|unknown kind|, must be (a |true|an object)|is no (duration|OpenSLO duration|percent|quantile|number and no size)|which is no bound|is empty$|` +
	`(apiVersion|kind|spec|name|type|role|service|match|objectives|query|metric|field|metricSource|password|topic|budgetingMethod|matchers|canary\.matchers): is required|` +
	`(rawQuery|gates|timeSliceTarget|timeSliceWindow|indicatorRef|compositeWeight): is not known to this version|` +
	`"[A-Za-z0-9./-]+" is not known to this version \(legal`)

// seenEarlier are files whose first mistake keeps the decoder from the options of an
// adapter, which a schema sees.
var seenEarlier = []string{"nested-too-deep", "second-otlp-source", "source-name", "data-source-secrets"}

// TestSchemaAgreesWithTheDecoder holds every file of testdata to the schemas: what is
// loaded meets them, and of what is not they see exactly the mistakes of shape.
func TestSchemaAgreesWithTheDecoder(t *testing.T) {
	process, policies, both := schemaOf(t, "process"), schemaOf(t, "policies"), schemaOf(t, "")
	seen := map[bool]int{}
	for dir, s := range map[string]map[string]any{"accepted": policies, "policies": policies, "openslo": policies, "process": process} {
		files, err := filepath.Glob("testdata/" + dir + "/*.yaml")
		if err != nil || len(files) == 0 {
			t.Fatalf("%d files in %s, %v", len(files), dir, err)
		}
		for _, name := range files {
			docs, isJSON := documentsOf(t, name)
			said, err := os.ReadFile(strings.TrimSuffix(name, ".yaml") + ".txt")
			if err != nil && dir != "accepted" {
				t.Fatal(err)
			}
			if !isJSON {
				continue
			}
			why := ""
			for _, d := range docs {
				why += broken(s, d, "")
				if (broken(s, d, "") == "") != (broken(both, d, "") == "") {
					t.Errorf("%s: the schema of both kinds of files says something else: %q", name, broken(both, d, ""))
				}
			}
			wrong := ofShape.Match(said) || slices.Contains(seenEarlier, strings.TrimSuffix(filepath.Base(name), ".yaml"))
			seen[wrong]++
			if (why != "") != wrong {
				t.Errorf("%s: the schema says %q, the decoder\n%s", name, why, said)
			}
		}
	}
	if seen[true] < 20 || seen[false] < 20 {
		t.Errorf("files with and without a mistake of shape: %v", seen)
	}
}

// TestSchemaKnowsEveryKey walks the decoder's types and the schema side by side.
func TestSchemaKnowsEveryKey(t *testing.T) {
	schemaKeys := func(s map[string]any) []string {
		properties, _ := s["properties"].(map[string]any)
		return slices.Sorted(maps.Keys(properties))
	}
	checked := 0
	var walk func(path string, typ reflect.Type, s map[string]any)
	walk = func(path string, typ reflect.Type, s map[string]any) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			if items, is := s["items"].(map[string]any); is {
				s = items
			}
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || typ == nodeType {
			return
		}
		names, byName, _ := fields(typ)
		var want []string
		for _, name := range names {
			if byName[name].typ != laterType {
				want = append(want, name)
			}
		}
		slices.Sort(want)
		got := schemaKeys(s)
		if len(got) == 0 {
			return // a grammar of its own
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: the schema has the keys %v, the decoder %v", path, got, want)
		}
		checked += len(want)
		for _, name := range want {
			walk(join(path, name), byName[name].typ, s["properties"].(map[string]any)[name].(map[string]any))
		}
	}
	walk("", reflect.TypeFor[Config](), schemaOf(t, "process"))
	for _, rule := range schemaOf(t, "policies")["allOf"].([]any) {
		then := rule.(map[string]any)["then"].(map[string]any)
		kind := then["properties"].(map[string]any)["kind"].(map[string]any)["const"]
		walk(fmt.Sprint(kind), map[any]reflect.Type{
			"DataSource": reflect.TypeFor[dataSourceObject](), "Service": reflect.TypeFor[serviceObject](), "SLI": reflect.TypeFor[sliObject](),
			"SLO": reflect.TypeFor[sloObject](), "ReleaseValidation": reflect.TypeFor[validationObject](),
		}[kind], then)
	}
	if checked < 100 {
		t.Errorf("only %d keys were compared", checked)
	}
}
