package intaketest

import (
	"strings"

	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/store"
)

// enveloped returns the good event with one attribute changed; nil: left out.
func enveloped(attribute string, value func(string) []store.Header) intake.Message {
	m := Binary(Good())
	var headers []store.Header
	for _, h := range m.Headers {
		if h.Key != attribute {
			headers = append(headers, h)
			continue
		}
		if value != nil {
			headers = append(headers, value(string(h.Value))...)
		}
	}
	return intake.FromKafka(headers, m.Key, m.Value)
}

func header(key, value string) store.Header { return store.Header{Key: key, Value: []byte(value)} }

// envelopes are good data in hostile envelopes.
func envelopes() []Case {
	var all []Case
	add := func(name string, m intake.Message, reason intake.Reason) { all = append(all, Case{name, m, reason}) }
	set := func(key, value string) intake.Message {
		return enveloped(key, func(string) []store.Header { return []store.Header{header(key, value)} })
	}
	for _, a := range attributes() {
		key := "ce_" + a[0]
		add(key+" twice", enveloped(key, func(v string) []store.Header { return []store.Header{header(key, v), header(key, v)} }), intake.Malformed)
		add(key+" in capitals", enveloped(key, func(v string) []store.Header { return []store.Header{header("ce_"+strings.ToUpper(a[0]), v)} }), intake.Malformed)
		for _, value := range []string{"a\x00b", "a\nb", "\xff\xfe", strings.Repeat("a", 2049)} {
			add(key+" is "+short(value), set(key, value), intake.Malformed)
		}
	}
	for _, key := range []string{"ce_specversion", "ce_id", "ce_source", "ce_type"} {
		add("no "+key, enveloped(key, nil), intake.Malformed)
		add(key+" is empty", set(key, ""), intake.Malformed)
	}
	for key, values := range map[string][]string{
		"ce_id": {"a b", `a"b`, "d\u00e9", strings.Repeat("a", 257)}, "ce_source": {strings.Repeat("s", 1025)}, "ce_time": {"yesterday", "2026-11-23", "1969-01-01T00:00:00Z"},
		"content-type": {"a;b;c/", "application/json; charset=utf-16", "application/cloudevents-batch+json", "application/cloudevents+avro", "application/cloudevents"},
	} {
		for _, value := range values {
			add(key+" is "+short(value), set(key, value), intake.Malformed)
		}
	}
	// Whoever trusts the envelope must not see another event than who trusts the data.
	for _, a := range [][2]string{
		{"ce_id", "h-2"},
		{"ce_source", "/ci/other"},
		{"ce_type", "dev.cdevents.service.deployed.0.3.0"},
		{"ce_subject", "cart"},
		{"ce_time", "2026-11-23T10:00:01Z"},
		{"content-type", "text/xml"},
		{"content-type", "text/plain"},
		{"content-type", "application/octet-stream"},
	} {
		add(a[0]+" is "+a[1], set(a[0], a[1]), intake.Schema)
	}
	for _, version := range []string{"0.3", "1.1", "2.0", "v1"} {
		add("CloudEvents "+version, set("ce_specversion", version), intake.UnsupportedSchema)
	}
	all = append(all, types()...)
	return append(all, sizes()...)
}

// typed is the good event under another type, in envelope and data.
func typed(t string) intake.Message {
	m := Binary(strings.Replace(Good(), goodType, t, 1))
	for i, h := range m.Headers {
		if h.Key == "ce_type" {
			m.Headers[i].Value = []byte(t)
		}
	}
	return m
}

func types() []Case {
	var all []Case
	for _, t := range []string{
		"dev.cdevents.service.upgraded.0.4.0", "dev.cdevents.service.upgraded.1.0.0", "dev.cdevents.service.upgraded.0.0.0", "dev.cdevents.service.upgraded.12.3.4",
		"dev.cdevents.service.upgraded.1.0.0-draft", "dev.cdevents.service.deployed.0.4.0", "dev.cdevents.service.deployed.2.0.0", "dev.cdevents.service.rolledback.0.9.0",
		"dev.cdeventsx.assay-deployment.step.0.2.0", "dev.cdeventsx.assay-deployment.step.1.0.0",
	} {
		all = append(all, Case{"type " + t, typed(t), intake.UnsupportedSchema})
	}
	for _, t := range []string{
		"com.example.deployed", "dev.cdevents.service.upgraded", "dev.cdevents.service.upgraded.0.3", "dev.cdevents.service.upgraded.0.3.x", "dev.cdevents.service.upgraded.0.03.0",
		"dev.cdevents.service.upgraded.0.3.0.1", "dev.cdevents.service.upgraded.0.3.0-", "dev.cdevents.service.upgraded.-1.3.0", "dev.cdevents.service.upgraded.99999999.0.0",
		"dev.cdevents..upgraded.0.3.0", "dev.cdevents.Service.upgraded.0.3.0", "DEV.cdevents.service.upgraded.0.3.0", "dev.cdeventsy.service.upgraded.0.3.0", "upgraded",
	} {
		all = append(all, Case{"type " + t, typed(t), intake.Schema})
	}
	return all
}

// sizes are events that are larger than any may be. What is refused for its size
// was not looked into.
func sizes() []Case {
	const limit = 256 << 10
	padded := Good() + strings.Repeat(" ", limit)
	headers := Binary(Good())
	headers.Headers = append(headers.Headers, header("x-pad", strings.Repeat("p", limit)))
	key := Binary(Good())
	key.Key = []byte(strings.Repeat("k", limit))
	return []Case{
		{"256 KiB of white space", Binary(padded), intake.TooLarge},
		{"256 KiB of white space, structured", Structured(padded), intake.TooLarge},
		{"a header of 256 KiB", headers, intake.TooLarge},
		{"a key of 256 KiB", key, intake.TooLarge},
		{"256 KiB that are no JSON", Binary(strings.Repeat("[", limit)), intake.TooLarge},
		{"a tombstone", intake.FromKafka(Binary("").Headers, []byte("k"), nil), intake.Malformed},
		{"nothing at all", intake.Message{}, intake.Malformed},
		{"no envelope", intake.Message{Value: []byte(Good())}, intake.Malformed},
	}
}
