package intake

import (
	"strings"
	"testing"

	"github.com/release-assay/assay/internal/store"
)

// A hostile message and the exact reason with which it is refused (F6, F8, F9).
type hostileCase struct {
	name   string
	m      Message
	reason Reason
	path   string // where the fault is said to be
	detail string // part of the text
	noID   bool   // the event's name cannot be read
}

func hostileCases(t testing.TB) []hostileCase {
	ok := event(`{}`)
	swap := func(old, new string) string {
		if !strings.Contains(ok, old) {
			t.Fatalf("the event has no %q", old)
		}
		return strings.Replace(ok, old, new, 1)
	}
	custom := func(assay string) Message { return binary(event(assay)) }
	at := "data.customData.assay."
	many := func(n int, of string) string { return strings.Repeat(of, n) }
	labels := func(n int) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(`"l` + strings.Repeat("x", i+1) + `":"v"`)
		}
		return `{"labels":{` + b.String() + `}}`
	}
	str := func(value string) Message {
		return Message{ContentType: "application/cloudevents+json", Value: []byte(value)}
	}
	// The data is hostile, so the headers are those of the good event.
	bad := func(data string) Message {
		m := binary(ok)
		m.Value = []byte(data)
		return m
	}
	return []hostileCase{
		// F6: poison. Two readers could read it in two ways, or it costs too much.
		{"no JSON", bad(`hello`), Malformed, "data", "invalid JSON", false},
		{"cut", bad(ok[:len(ok)-9]), Malformed, "", "unexpected EOF", false},
		{"white space only", bad(" \n "), Malformed, "data", "ends early", false},
		{"duplicate key", bad(swap(`"chainId"`, `"source":"/x","chainId"`)), Malformed, "data.context.source", "twice", false},
		{"duplicate key by escape", bad(swap(`"chainId"`, `"sourc\u0065":"/x","chainId"`)), Malformed, "data.context.source", "twice", false},
		{"duplicate key deep in other data", bad(swap(`"x":null`, `"x":{"a":1,"a":2}`)), Malformed, "data.customData.other.x.a", "twice", false},
		{"case-variant key", bad(swap(`"chainId"`, `"ID":"x","chainId"`)), Malformed, "data.context.ID", `"id" and "ID" differ only in case`, false},
		{"case-variant key alone", bad(swap(`"artifactId"`, `"ArtifactId"`)), Schema, "data.subject.content.ArtifactId", "unknown member", false},
		{"case-variant of ours", custom(`{"DeploymentID":"d"}`), Schema, at + "DeploymentID", "did you mean deploymentId", false},
		{"case-variant of the step's", custom(`{"phase":"step","step":{"Weight":0.5}}`), Schema, at + "step.Weight", "did you mean weight", false},
		{"case-variant of assay", bad(swap(`"assay"`, `"Assay"`)), Schema, "data.customData.Assay", "did you mean assay", false},
		{"trailing bytes", bad(ok + "x"), Malformed, "data", "bytes after", false},
		{"a second value", bad(ok + "{}"), Malformed, "data", "2 bytes after", false},
		{"invalid UTF-8", bad(swap("/k8s", "\xff\xfe")), Malformed, "", "invalid UTF-8", false},
		{"lone surrogate", bad(swap("/k8s", `\ud800`)), Malformed, "", "surrogate", false},
		{"nested 10^5 deep", bad(many(100_000, "[")), Malformed, "data", "must be a JSON object", false},
		{"nested 10^5 deep in other data", bad(swap(`"x":null`, `"x":`+many(50_000, "[")+many(50_000, "]"))), Malformed, "data", "nested deeper than 32", false},
		{"objects nested", bad(swap(`"x":null`, `"x":`+many(40, `{"a":`)+"1"+many(40, "}"))), Malformed, "data", "nested deeper than 32", false},
		{"many members", bad(swap(`"x":null`, `"x":{"a0":1`+manyMembers(5000)+`}`)), Malformed, "", "more than 4096 members", false},
		{"huge number", bad(swap(`"x":null`, `"x":1e308`)), Malformed, "data.customData.other.x", "a number beyond", false},
		{"infinite number", bad(swap(`"x":null`, `"x":1e999`)), Malformed, "data.customData.other.x", "a number beyond", false},
		{"long number", bad(swap(`"x":null`, `"x":0.`+many(60, "1"))), Malformed, "data.customData.other.x", "a number beyond", false},
		{"NaN", bad(swap(`"x":null`, `"x":NaN`)), Malformed, "data.customData.other.x", "invalid JSON", false},
		{"NUL in a name", binary(swap(`"id":"checkout"`, `"id":"check\u0000out"`), "ce_subject", ""), Schema, "data.subject.id", `'\x00'`, false},
		{"NUL in a member's name", bad(swap(`"x":null`, `"x\u0000":1`)), Malformed, "", "a name with a NUL", false},
		{"raw NUL", bad(swap("/k8s", "\x00")), Malformed, "", "invalid JSON", false},
		{"null root", bad("null"), Malformed, "data", "not null", false},
		{"array root", bad("[]"), Malformed, "data", "not an array", false},
		{"null in a closed object", bad(swap(`"chainId":"c-1"`, `"chainId":null`)), Schema, "data.context.chainId", "null", false},
		{"null in ours", custom(`{"namespace":null}`), Schema, at + "namespace", "null", false},
		{"no data", Message{Headers: binary(ok).Headers, ContentType: "application/json"}, Malformed, "data", "none", false},
		{"structured null root", str("null"), Malformed, "", "not null", true},
		{"structured duplicate", str(`{"specversion":"1.0","specversion":"1.0"}`), Malformed, "specversion", "twice", true},
		{"structured trailing", str(`{} {}`), Malformed, "", "bytes after", true},
		{"structured data is a string", str(`{"specversion":"1.0","id":"e-1","source":"/argo/prod","type":"t","data":"{}"}`), Malformed, "data", "not a string", false},
		{"structured data twice", str(`{"specversion":"1.0","id":"e-1","source":"/argo/prod","type":"t","data":{},"data_base64":"e30="}`), Malformed, "data_base64", "data too", false},
		{"structured data is no base64", str(`{"specversion":"1.0","id":"e-1","source":"/argo/prod","type":"t","data_base64":"{}"}`), Malformed, "data_base64", "base64", false},
		{"base64 data hostile", str(`{"specversion":"1.0","id":"e-1","source":"/argo/prod","type":"t","data_base64":"bnVsbA=="}`), Malformed, "data_base64", "not null", false},
		{"structured attribute is an object", str(`{"specversion":"1.0","id":{}}`), Malformed, "id", "an attribute is", true},
		{"structured attribute in capitals", str(`{"specversion":"1.0","Id":"x"}`), Malformed, "Id", "lower-case", true},

		// The envelope.
		{"no envelope", Message{ContentType: "application/json", Value: []byte(ok)}, Malformed, "", "no CloudEvent", true},
		{"batch mode", Message{ContentType: "application/cloudevents-batch+json", Value: []byte("[]")}, Malformed, "content-type", "batches", true},
		{"other structured format", Message{ContentType: "application/cloudevents+avro", Value: []byte("x")}, Malformed, "content-type", "only application/cloudevents+json", true},
		{"other charset", binary(ok, "content-type", "application/json; charset=utf-16"), Malformed, "content-type", "UTF-8", true},
		{"no media type", binary(ok, "content-type", "a;b;c/"), Malformed, "content-type", "no media type", true},
		{"data is XML", binary(ok, "content-type", "text/xml"), Schema, "content-type", "application/json", false},
		{"attribute in capitals", binary(ok, "ce_Id", "x"), Malformed, "ce_Id", "lower-case", false},
		{"attribute twice", FromKafka(append(binary(ok).Headers, store.Header{Key: "ce_id", Value: []byte("other")}), nil, []byte(ok)), Malformed, "ce_id", "more than one", false},
		{"no id", binary(ok, "ce_id", ""), Malformed, "id", "missing", true},
		{"no source", binary(ok, "ce_source", ""), Malformed, "source", "missing", true},
		{"no type", binary(ok, "ce_type", ""), Malformed, "type", "missing", false},
		{"no specversion", binary(ok, "ce_specversion", ""), Malformed, "specversion", "missing", false},
		{"NUL in the id", binary(ok, "ce_id", "a\x00b"), Malformed, "ce_id", "control", true},
		{"newline in the source", binary(ok, "ce_source", "a\nb"), Malformed, "ce_source", "control", true},
		{"space in the id", binary(ok, "ce_id", "a b"), Malformed, "id", "printable ASCII", true},
		{"long id", binary(ok, "ce_id", many(257, "x")), Malformed, "id", "257 bytes", true},
		{"time is no instant", binary(ok, "ce_time", "yesterday"), Malformed, "time", "no instant", false},
		{"structured and binary disagree", FromKafka(append(structured(t, ok).Headers, store.Header{Key: "ce_id", Value: []byte("x")}), nil, structured(t, ok).Value), Malformed, "ce_id", "differs", false},

		// The attributes must equal the event inside.
		{"other id", binary(ok, "ce_id", "e-2"), Schema, "data.context.id", `the CloudEvent's id is "e-2"`, false},
		{"other source", binary(ok, "ce_source", "/x"), Schema, "data.context.source", "", false},
		{"other type", binary(ok, "ce_type", "dev.cdevents.service.deployed.0.3.0"), Schema, "data.context.type", "", false},
		{"other subject", binary(ok, "ce_subject", "cart"), Schema, "data.subject.id", "", false},
		{"other time", binary(ok, "ce_time", "2026-11-23T10:00:00Z"), Schema, "data.context.timestamp", "", false},

		// F8: limits and characters.
		{"too large", bad(swap(`"x":null`, `"x":"`+many(256<<10, "x")+`"`)), TooLarge, "", "at most 262144", true},
		{"headers too large", binary(ok, "ce_x", many(2000, "x"), "other", many(256<<10, "x")), TooLarge, "", "at most 262144", true},
		{"33 labels", custom(labels(33)), Schema, at + "labels", "33 entries, at most 32", false},
		{"33 matchers", custom(`{"canary":{"selector":` + labels(33)[10:] + "}"), Schema, at + "canary.selector", "33 entries", false},
		{"long label", custom(`{"labels":{"a":"` + many(129, "x") + `"}}`), Schema, at + "labels.a", "129 bytes, at most 128", false},
		{"long label name", custom(`{"labels":{"` + many(129, "x") + `":"a"}}`), Schema, "", "129 bytes, at most 128", false},
		{"label name with a brace", custom(`{"labels":{"a}":"a"}}`), Schema, at + "labels.a}", "name", false},
		{"label with a newline", custom(`{"labels":{"a":"x\ny"}}`), Schema, at + "labels.a", "control character", false},
		{"a label is a number", custom(`{"labels":{"a":1}}`), Schema, at + "labels.a", "", false},
		{"injection as the service", binary(swap(`"id":"checkout"`, `"id":"x\"} or vector(0) #"`), "ce_subject", ""), Schema, "data.subject.id", "legal are letters", false},
		{"regular expression as the environment", bad(swap(`"prod-eu1"`, `".*"`)), Schema, "data.subject.content.environment.id", "legal are letters", false},
		{"slash in the namespace", custom(`{"namespace":"a/b"}`), Schema, at + "namespace", "legal are letters", false},
		{"backtick in the version", custom("{\"canary\":{\"version\":\"1`\"}}"), Schema, at + "canary.version", "legal are letters", false},
		{"bad tag", bad(swap("tag=1.5.0", "tag=%7B%7D")), Schema, "data.subject.content.artifactId", "legal are letters", false},
		{"long service", binary(swap(`"id":"checkout"`, `"id":"`+many(129, "x")+`"`), "ce_subject", ""), Schema, "data.subject.id", "129 bytes", false},
		{"bad deployment id", custom(`{"deploymentId":"a b"}`), Schema, at + "deploymentId", "printable ASCII", false},
		{"callback to a file", custom(`{"callbackUrl":"file:///etc/passwd"}`), Schema, at + "callbackUrl", "no http", false},

		// The schema.
		{"unknown member in the content", bad(swap(`"environment"`, `"weight":1,"environment"`)), Schema, "data.subject.content.weight", "closed", false},
		{"unknown member in the context", bad(swap(`"chainId"`, `"x":1,"chainId"`)), Schema, "data.context.x", "closed", false},
		{"unknown member at the top", bad(swap(`"subject"`, `"assay":{},"subject"`)), Schema, "data.assay", "closed", false},
		{"no environment", bad(swap(`{"id":"prod-eu1"}`, `{}`)), Schema, "data.subject.content.environment.id", "missing", false},
		{"no artifact", bad(swap(`pkg:oci/`, ``)), Schema, "data.subject.content.artifactId", "no package URL", false},
		{"artifact without version", bad(swap("@"+strings.Replace(digest, ":", "%3A", 1)+"?tag=1.5.0", "")), Schema, "data.subject.content.artifactId", "names no version", false},
		{"content is a string", bad(swap(`{"environment"`, `"x","y":{"environment"`)), Schema, "", "", false},
		{"weight in percent", custom(`{"phase":"step","step":{"weight":25}}`), Schema, at + "step", "25 is not in 0 to 1; write 0.25", false},
		{"negative weight", custom(`{"step":{"weight":-0.1}}`), Schema, at + "step", "not in 0 to 1", false},
		{"weight is a string", custom(`{"step":{"weight":"0.1"}}`), Schema, at + "step.weight", "", false},
		{"step without weight", custom(`{"phase":"step","step":{"index":1}}`), Schema, at + "step", "weight: missing", false},
		{"step without step", custom(`{"phase":"step"}`), Schema, at + "step", "missing", false},
		{"step 5 of 4", custom(`{"step":{"weight":1,"index":5,"total":4}}`), Schema, at + "step", "index 5 of 4", false},
		{"unknown phase", custom(`{"phase":"paused"}`), Schema, at + "phase", "legal are started, step, finished, aborted", false},
		{"unknown mode", custom(`{"mode":"dry"}`), Schema, at + "mode", "legal are live, retrospective, shadow", false},
		{"unknown strategy", custom(`{"strategy":"x"}`), Schema, at + "strategy", "canary, bluegreen", false},
		{"no duration", custom(`{"warmup":"3 minutes"}`), Schema, at + "warmup", "write 90s", false},
		{"long duration", custom(`{"maxDuration":"9999h"}`), Schema, at + "maxDuration", "not in 0 to", false},
		{"no start", custom(`{"startedAt":"2026-11-23"}`), Schema, at + "startedAt", "no instant", false},
		{"start in the year 10000", custom(`{"startedAt":"9999-12-31T23:59:59-23:59"}`), Schema, at + "startedAt", "not between 1970 and 2261", false},
		{"start before the year 0", custom(`{"startedAt":"0000-01-01T00:00:00+23:59"}`), Schema, at + "startedAt", "not between 1970 and 2261", false},
		{"ours is an array", custom(`[]`), Schema, "data.customData.assay", "must be an object", false},
		{"rolledback that started", binary(strings.Replace(event(`{"phase":"started"}`), "upgraded", "rolledback", 1)), Schema, at + "phase", "rolledback event", false},
		{"type without version", binary(swap("upgraded.0.3.0", "upgraded")), Schema, "type", "no type of CDEvents", false},
		{"type with a word for a number", binary(swap("upgraded.0.3.0", "upgraded.0.3.x")), Schema, "type", "no type of CDEvents", false},
		{"type with a leading zero", binary(swap("upgraded.0.3.0", "upgraded.0.03.0")), Schema, "type", "no type of CDEvents", false},
		{"type with four numbers", binary(swap("upgraded.0.3.0", "upgraded.0.3.0.1")), Schema, "type", "no type of CDEvents", false},
		{"type with an empty pre-release", binary(swap("upgraded.0.3.0", "upgraded.0.3.0-")), Schema, "type", "no type of CDEvents", false},
		{"type of somebody else", binary(swap("dev.cdevents.service.upgraded.0.3.0", "com.example.deployed")), Schema, "type", "no type of CDEvents", false},

		// F9: versions of tomorrow.
		{"newer minor", binary(swap("upgraded.0.3.0", "upgraded.0.4.0")), UnsupportedSchema, "type", "version 0.4", false},
		{"newer major", binary(swap("upgraded.0.3.0", "upgraded.1.0.0")), UnsupportedSchema, "type", "version 1.0", false},
		{"newer major with other members", binary(strings.Replace(swap("upgraded.0.3.0", "upgraded.1.0.0"), `"subject"`, `"subjects":[],"subject"`, 1)), UnsupportedSchema, "type", "", false},
		{"newer step", binary(swap("dev.cdevents.service.upgraded.0.3.0", "dev.cdeventsx.assay-deployment.step.0.2.0")), UnsupportedSchema, "type", "", false},
		{"newer CDEvents", bad(strings.Replace(swap(`"0.5.1"`, `"1.0.0"`), `"chainId"`, `"newMember":1,"chainId"`, 1)), UnsupportedSchema, "data.context.specversion", "CDEvents 1.0.0", false},
		{"newer CloudEvents", binary(ok, "ce_specversion", "2.0"), UnsupportedSchema, "specversion", "CloudEvents 2.0", false},
		{"older CloudEvents", binary(ok, "ce_specversion", "0.3"), UnsupportedSchema, "specversion", "CloudEvents 0.3", false},
	}
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`,"m` + strings.Repeat("a", 1+i/26/26%26) + string(rune('a'+i/26%26)) + string(rune('a'+i%26)) + `":1`)
	}
	return b.String()
}

func TestDecodeRefusesHostileEvents(t *testing.T) {
	for _, c := range hostileCases(t) {
		d, rejection := Decode(c.m, DefaultLimits())
		if rejection == nil {
			t.Errorf("%s: accepted as %+v", c.name, d.Event)
			continue
		}
		if rejection.Reason != c.reason || c.path != "" && rejection.Path != c.path || !strings.Contains(rejection.Detail, c.detail) {
			t.Errorf("%s: %s at %q: %s; want %s at %q: …%s…", c.name, rejection.Reason, rejection.Path, rejection.Detail, c.reason, c.path, c.detail)
		}
		if named := rejection.EventID != "" && rejection.EventSource != ""; named == c.noID {
			t.Errorf("%s: the event's name is %q %q", c.name, rejection.EventSource, rejection.EventID)
		}
		if len(rejection.Detail) > 600 {
			t.Errorf("%s: the detail has %d bytes", c.name, len(rejection.Detail))
		}
	}
}

// A panic in the decoder costs the event, not the process.
func TestDecodeSurvivesItsOwnFaults(t *testing.T) {
	e := envelope{attributes: map[string]string{"source": "/argo", "id": "e-1"}}
	_, rejection := survive(&e, func() (Decoded, *Rejection) { panic("by\ndesign") })
	if rejection == nil || rejection.Reason != Poison || !strings.Contains(rejection.Detail, "by design") || rejection.EventID != "e-1" {
		t.Errorf("rejection %+v, want poison", rejection)
	}
}
