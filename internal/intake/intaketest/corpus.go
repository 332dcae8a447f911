package intaketest

import (
	"fmt"
	"strings"

	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/store"
)

// A Case is a hostile event and the reason with which it is refused.
type Case struct {
	Name    string
	Message intake.Message
	Reason  intake.Reason
}

// Corpus returns all hostile events, the same at every call.
func Corpus() []Case {
	var all []Case
	for _, d := range hostileData() {
		all = append(all,
			Case{d.name + ", binary", Binary(d.data), d.reason},
			Case{d.name + ", structured", Structured(d.data), d.reason})
	}
	return append(all, envelopes()...)
}

// A datum is the data of an event.
type datum struct {
	name   string
	data   string
	reason intake.Reason
}

// Good is the data of the event from which all others are made.
func Good() string { return object(good()) }

func good() []node {
	const digest = "sha256%3A0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	return []node{
		{name: "context", of: []node{
			text("specversion", "0.5.1"), text("id", "h-1"), text("source", "/ci/hostile"), text("type", goodType),
			text("timestamp", "2026-11-23T10:00:00Z"), text("chainId", "c-1"), text("schemaUri", "https://example.org/s.json"),
			{name: "links", leaf: "[]"},
		}},
		{name: "subject", of: []node{
			text("id", "checkout"), text("source", "/k8s/prod"),
			{name: "content", of: []node{
				{name: "environment", of: []node{text("id", "prod-eu1"), text("source", "/k8s")}},
				text("artifactId", "pkg:oci/checkout@"+digest+"?tag=1.5.0"),
			}},
		}},
		{name: "customData", of: []node{{name: "assay", of: []node{
			text("deploymentId", "d-1"), text("namespace", "shop"), text("mode", "live"), text("strategy", "canary"), text("phase", "started"),
			{name: "step", of: []node{{name: "index", leaf: "1"}, {name: "total", leaf: "4"}, {name: "weight", leaf: "0.25"}}},
			{name: "canary", of: []node{text("version", "1.5.0"), {name: "selector", of: []node{text("pod", "1.5.0")}}}},
			{name: "baseline", of: []node{text("version", "1.4.9"), {name: "selector", of: []node{text("pod", "1.4.9")}}}},
			text("startedAt", "2026-11-23T09:59:00Z"), text("warmup", "3m"), text("maxDuration", "1h"), text("policyRef", "p"), text("changeId", "CHG-1"),
			{name: "expectLines", leaf: `["cart migrated"]`},
			text("callbackUrl", "https://ci.example/cb"),
			{name: "labels", of: []node{text("team", "pay")}},
		}}}},
		text("customDataContentType", "application/json"),
	}
}

const goodType = "dev.cdevents.service.upgraded.0.3.0"

// attributes are those of the good event's envelope.
func attributes() [][2]string {
	return [][2]string{
		{"specversion", "1.0"}, {"id", "h-1"}, {"source", "/ci/hostile"}, {"type", goodType}, {"subject", "checkout"}, {"time", "2026-11-23T10:00:00Z"},
	}
}

// Binary wraps data in the good envelope, in binary mode.
func Binary(data string) intake.Message {
	headers := []store.Header{{Key: "content-type", Value: []byte("application/json")}}
	for _, a := range attributes() {
		headers = append(headers, store.Header{Key: "ce_" + a[0], Value: []byte(a[1])})
	}
	return intake.FromKafka(headers, []byte("prod-eu1/shop/checkout"), []byte(data))
}

// Structured wraps data in the good envelope, in structured mode.
func Structured(data string) intake.Message {
	var b strings.Builder
	b.WriteByte('{')
	for _, a := range attributes() {
		fmt.Fprintf(&b, `"%s":"%s",`, a[0], a[1])
	}
	b.WriteString(`"data":` + data + "}")
	headers := []store.Header{{Key: "content-type", Value: []byte("application/cloudevents+json")}}
	return intake.FromKafka(headers, []byte("prod-eu1/shop/checkout"), []byte(b.String()))
}

// hostileData is hostile data: every member with every fault, and the tables.
func hostileData() []datum {
	var all []datum
	walk(good(), "", func(path string, n node) {
		for _, f := range faults {
			if f.of != nil && !f.of(path, n) {
				continue
			}
			all = append(all, datum{f.name + " at " + path, with(good(), path, f.write), f.reason})
		}
	})
	for _, v := range values {
		for _, written := range v.values {
			data := with(good(), v.path, func(n node) string { return `"` + n.name + `":` + written })
			all = append(all, datum{v.path + " is " + short(written), data, v.reason})
		}
	}
	for i, w := range wholes() {
		all = append(all, datum{fmt.Sprintf("no. %d as the data: %s", i, short(w)), w, intake.Malformed})
	}
	return all
}

func short(s string) string {
	if len(s) > 40 {
		return fmt.Sprintf("%s… (%d bytes)", s[:40], len(s))
	}
	return s
}
