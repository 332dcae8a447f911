package config

import (
	"encoding"
	"reflect"
	"sort"
	"strings"
)

// A schema is a part of a JSON Schema (draft 2020-12).
type schema = map[string]any

// A schemed type has a grammar that its Go type does not show: it decodes itself.
type schemed interface {
	schema(g *grammar) schema
}

// A grammar turns the struct types of the decoder into a schema. What the decoder
// reads and what the schema describes come from the same types and tags, so that
// neither can know a key that the other does not.
type grammar struct {
	// sources and sinks are the types of the adapters' options.
	sources map[SourceKind]reflect.Type
	sinks   map[SinkType]reflect.Type
}

// Schema returns the JSON Schema of the process file ("process"), of the objects of
// policy files ("policies"), or of both, told apart by whether there is a kind ("").
// Sources and sinks have a value of the type that each adapter decodes its block into. A
// schema knows shapes only: what [Load] and [Config.LoadPolicies] say about references,
// queries and bounds, it cannot say.
func Schema(which string, sources map[SourceKind]any, sinks map[SinkType]any) map[string]any {
	g := &grammar{sources: map[SourceKind]reflect.Type{}, sinks: map[SinkType]reflect.Type{SinkKafka: reflect.TypeFor[kafkaSink]()}}
	for kind, o := range sources {
		g.sources[kind] = reflect.TypeOf(o)
	}
	for kind, o := range sinks {
		g.sinks[kind] = reflect.TypeOf(o)
	}
	process, policies := g.of(reflect.TypeFor[Config]()), g.objects()
	out := policies
	switch which {
	case "process":
		out = process
	case "":
		out = schema{"if": schema{"required": []string{"kind"}}, "then": policies, "else": process}
	}
	out["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	out["title"] = strings.TrimSpace("Assay " + which)
	return out
}

// objects is the schema of every object of a policy file: which of them applies says
// its kind.
func (g *grammar) objects() schema {
	var (
		kinds []string
		rules []schema
	)
	for _, o := range []struct {
		kind   objectKind
		object reflect.Type
	}{
		{kindDataSource, reflect.TypeFor[dataSourceObject]()},
		{kindService, reflect.TypeFor[serviceObject]()},
		{kindSLI, reflect.TypeFor[sliObject]()},
		{kindSLO, reflect.TypeFor[sloObject]()},
		{kindValidation, reflect.TypeFor[validationObject]()},
	} {
		kinds = append(kinds, o.kind.name)
		then := g.of(o.object)
		properties := then["properties"].(schema)
		properties["apiVersion"] = schema{"const": o.kind.apiVersion}
		properties["kind"] = schema{"const": o.kind.name}
		rules = append(rules, schema{"if": schema{"required": []string{"kind"}, "properties": schema{"kind": schema{"const": o.kind.name}}}, "then": then})
	}
	for _, k := range kindsOfAlerting {
		kinds = append(kinds, k.name)
	}
	sort.Strings(kinds)
	return schema{
		"type": "object", "required": []string{"apiVersion", "kind"},
		"properties": schema{"apiVersion": schema{"enum": []string{openSLO, ours}}, "kind": schema{"enum": kinds}},
		"allOf":      rules,
	}
}

// of is the schema of a type, as value decodes it.
func (g *grammar) of(t reflect.Type) schema {
	v := reflect.New(t)
	switch own := v.Interface().(type) {
	case schemed:
		return own.schema(g)
	case enum:
		now, _ := own.legal()
		return schema{"enum": anyOf(now)}
	}
	switch {
	case t == nodeType:
		return schema{}
	case t == durationType || t == timeDuration:
		return text(`^([0-9]{1,5}[dw]|([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+|0)$`)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.of(t.Elem())
	case reflect.Struct:
		return g.structure(t)
	case reflect.Map:
		values := g.of(t.Elem())
		if t.Elem() != reflect.TypeFor[Source]() { // which cannot be left empty
			values = orNull(values)
		}
		return schema{"type": "object", "additionalProperties": values}
	case reflect.Slice:
		return schema{"type": "array", "items": g.of(t.Elem())}
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return schema{"type": "integer"}
	case reflect.Float64:
		return schema{"type": "number"}
	case reflect.String:
		return text("")
	}
	return schema{}
}

// orNull is a schema that also takes null: a key without a value is the same as no
// key.
func orNull(s schema) schema {
	if t, typed := s["type"].(string); typed {
		s["type"] = []string{t, "null"}
	}
	if words, is := s["enum"].([]any); is {
		s["enum"] = append(words, nil)
	}
	if forms, is := s["anyOf"].([]schema); is {
		s["anyOf"] = append(forms, schema{"type": "null"})
	}
	return s
}

func (g *grammar) structure(t reflect.Type) schema {
	names, byName, rest := fields(t)
	if len(names) == 0 && rest == nil || decodesItself(t) && rest == nil && !foreignStruct(t) {
		return schema{} // whatever the type accepts
	}
	properties := schema{}
	var needed []string
	for _, name := range names {
		f := byName[name]
		if f.typ == laterType {
			continue
		}
		properties[name] = g.of(f.typ)
		if f.needed {
			needed = append(needed, name)
		} else {
			properties[name] = orNull(properties[name].(schema))
		}
	}
	out := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if rest != nil {
		out["additionalProperties"] = g.of(rest)
	}
	if needed != nil {
		out["required"] = needed
	}
	return out
}

// decodesItself reports whether the decoder hands a node of the type to the type.
func decodesItself(t reflect.Type) bool {
	v := reflect.New(t).Interface()
	_, foreign := v.(foreignDecoder)
	_, marshaled := v.(encoding.TextUnmarshaler)
	return foreign || marshaled
}

// foreignStruct reports whether the keys of a type that decodes itself are checked
// against its fields (see foreign).
func foreignStruct(t reflect.Type) bool {
	names, _, _ := fields(t)
	_, foreign := reflect.New(t).Interface().(foreignDecoder)
	return foreign && len(names) > 0
}

func text(pattern string) schema {
	out := schema{"type": "string"}
	if pattern != "" {
		out["pattern"] = pattern
	}
	return out
}

func anyOf(words []string) []any {
	out := make([]any, len(words))
	for i, w := range words {
		out[i] = w
	}
	return out
}

// The grammars of the types that decode themselves.

func (*percent) schema(*grammar) schema     { return text(`^[0-9.]+%$`) }
func (*sloDuration) schema(*grammar) schema { return text(openSLODuration.String()) }

func (*bound) schema(g *grammar) schema {
	return schema{"anyOf": []schema{text(`^(auto|[0-9.]+%)$`), g.of(reflect.TypeFor[boundBlock]())}}
}

func (*labelValue) schema(g *grammar) schema {
	return schema{"anyOf": []schema{text(""), g.of(reflect.TypeFor[[]string]())}}
}

func (*whereValue) schema(*grammar) schema {
	return schema{"type": []string{"string", "integer", "boolean"}}
}

// A source is the keys of its adapter and its type.
func (*Source) schema(g *grammar) schema {
	return byType(g, g.sources, legalWords(SourceKind("")), schema{})
}

// A sink is the keys of its adapter and its type.
func (*Sink) schema(g *grammar) schema {
	return byType(g, g.sinks, legalWords(SinkType("")), schema{"topic": schema{}})
}

// byType is the schema of blocks whose type says which keys there are.
func byType[T ~string](g *grammar, types map[T]reflect.Type, words []string, properties schema) schema {
	var rules []schema
	for _, word := range words {
		options, known := types[T(word)]
		if !known {
			continue
		}
		then := g.of(options)
		then["properties"].(schema)["type"] = schema{"const": word}
		rules = append(rules, schema{"if": schema{"required": []string{"type"}, "properties": schema{"type": schema{"const": word}}}, "then": then})
	}
	properties["type"] = schema{"enum": anyOf(words)}
	return schema{"type": "object", "required": []string{"type"}, "properties": properties, "allOf": rules}
}

// A metricSource has a spec in the words of its source.
func (*metricSource) schema(g *grammar) schema {
	type shape metricSource // without this method
	out := g.structure(reflect.TypeFor[shape]())
	out["properties"].(schema)["spec"] = schema{"anyOf": []schema{g.of(reflect.TypeFor[prometheusSpec]()), g.of(reflect.TypeFor[otlpSpec]())}}
	return out
}

// Of what is no counter no field is counted.
func (*wholeSource) schema(g *grammar) schema {
	type shape metricSource
	out := g.structure(reflect.TypeFor[shape]())
	out["properties"].(schema)["spec"] = schema{"anyOf": []schema{g.of(reflect.TypeFor[prometheusSpec]()), g.of(reflect.TypeFor[otlpMetric]())}}
	return out
}

// A signal is one of the catalogue, which editors offer, or one of spec.signals.
func (*objective) schema(g *grammar) schema {
	type shape objective
	out := g.structure(reflect.TypeFor[shape]())
	out["properties"].(schema)["signal"] = orNull(schema{"anyOf": []schema{{"enum": anyOf(builtinNames())}, text(signalName.String())}})
	return out
}

func (*quantile) schema(*grammar) schema { return text(`^p[0-9]+(\.[0-9]+)?$`) }

func (*quantity) schema(*grammar) schema {
	return schema{"anyOf": []schema{{"type": "number"}, text(`^[0-9]+(\.[0-9]+)?([kMGT]|[KMGT]i)?B$`)}}
}

// What connects to a DataSource are the options of the adapter of its type.
func (*dataSourceObject) schema(g *grammar) schema {
	type shape dataSourceObject
	out := g.structure(reflect.TypeFor[shape]())
	if options, known := g.sources[KindPrometheus]; known {
		spec := out["properties"].(schema)["spec"].(schema)
		spec["properties"].(schema)["connectionDetails"] = g.of(options)
	}
	return out
}
