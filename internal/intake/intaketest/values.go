package intaketest

import (
	"fmt"
	"strings"

	"github.com/release-assay/assay/internal/intake"
)

// values are members with values that they may not have, as JSON.
var values = []struct {
	path   string
	reason intake.Reason
	values []string
}{
	{"context.timestamp", intake.Schema, []string{
		`""`, `"yesterday"`, `"2026-11-23"`, `"2026-11-23T10:00:00"`, `"2026-11-23 10:00:00Z"`, `"2026-13-01T00:00:00Z"`, `"2026-02-30T00:00:00Z"`,
		`"1969-12-31T23:59:59Z"`, `"2262-01-01T00:00:00Z"`, `"9999-12-31T23:59:59-23:59"`, `"-001-01-01T00:00:00Z"`, `"1790000000"`,
	}},
	{"customData.assay.startedAt", intake.Schema, []string{`"now"`, `"2026-11-23"`, `"1969-12-31T23:59:59Z"`, `"9999-12-31T23:59:59Z"`, `"2026-11-23T25:00:00Z"`}},
	{"subject.id", intake.Schema, names},
	{"subject.content.environment.id", intake.Schema, names},
	{"customData.assay.namespace", intake.Schema, names[1:]}, // an empty one is none
	{"customData.assay.canary.version", intake.Schema, names[1:]},
	{"customData.assay.baseline.version", intake.Schema, names[1:]},
	{"subject.content.artifactId", intake.Schema, []string{
		`"checkout:1.5.0"`, `"pkg:"`, `"pkg:oci"`, `"pkg:oci/"`, `"pkg:oci/@1"`, `"pkg:oci/a@%zz"`, `"http://example.org/a@1"`,
	}},
	{"customData.assay.deploymentId", intake.Schema, []string{`"a b"`, `"a\"b"`, `"<script>"`, `"{{.}}"`, `"d\u00e9"`, `"` + strings.Repeat("d", 257) + `"`}},
	{"customData.assay.mode", intake.Schema, []string{`"dry"`, `"LIVE"`, `"live "`}},
	{"customData.assay.strategy", intake.Schema, []string{`"big-bang"`, `"Canary"`}},
	{"customData.assay.phase", intake.Schema, []string{`"paused"`, `"Started"`, `"rolledback"`}},
	{"customData.assay.step", intake.Schema, []string{
		`{}`, `{"weight":25}`, `{"weight":1.01}`, `{"weight":-0.1}`, `{"weight":"25%"}`, `{"weight":null}`, `{"weight":0.1,"index":-1}`,
		`{"weight":0.1,"index":5,"total":4}`, `{"weight":0.1,"total":1001}`, `{"weight":0.1,"index":0.5}`, `{"weight":0.1,"index":"1"}`, `{"weight":[0.1]}`,
	}},
	{"customData.assay.expectLines", intake.Schema, []string{
		`"cart migrated"`, `{}`, `[""]`, `["cart migrated"," "]`, `[1]`, `[["x"]]`, `["a\nb"]`, `["` + strings.Repeat("l", 257) + `"]`,
		`["x"` + strings.Repeat(`,"x"`, 32) + `]`,
	}},
	{"customData.assay.warmup", intake.Schema, []string{`"3 minutes"`, `"-1m"`, `"9999h"`, `"1e3s"`, `"m"`}},
	{"customData.assay.maxDuration", intake.Schema, []string{`"forever"`, `"-1h"`, `"721h"`}},
	{"customData.assay.callbackUrl", intake.Schema, []string{
		`"file:///etc/passwd"`, `"javascript:alert(1)"`, `"//example.org/x"`, `"https://"`, `"https://user:secret@example.org/"`, `"gopher://example.org"`,
		`"https://exa mple.org/"`, `"https://example.org/%zz"`, `"/relative"`,
	}},
	{"customData.assay.labels", intake.Schema, labels},
	{"customData.assay.canary.selector", intake.Schema, labels},
	{"customData.assay.baseline.selector", intake.Schema, labels},
	{"customData.assay", intake.Schema, []string{`[]`, `1`, `true`, `"started"`}},
	{"context.specversion", intake.UnsupportedSchema, []string{`"1.0.0"`, `"2.0"`, `"10.1.0"`}},
}

// names are what no service, environment, namespace or version may be called:
// they stand in keys, in addresses and in the labels of queries.
var names = []string{
	`""`, `" "`, `"a b"`, `"a/b"`, `"../../etc"`, `".*"`, `"-a"`, `"a\"} or vector(0) #"`, "\"a`b\"", `"a{b}"`, `"a|b"`, `"$(id)"`, `"<img src=x>"`,
	`"a\u202eb"`, `"b\u00fccher"`, `"\u0430"`, `"a\\b"`, `"` + strings.Repeat("n", 129) + `"`,
}

// labels are what neither labels nor matchers may be.
var labels = []string{
	entries(33), `{"a":1}`, `{"a":null}`, `{"a":["b"]}`, `{"":"a"}`, `{"a b":"c"}`, `{"a}":"b"}`, `{"-a":"b"}`, `{"a":"b\nc"}`,
	`{"a":"` + strings.Repeat("b", 129) + `"}`, `{"` + strings.Repeat("a", 129) + `":"b"}`, `["a"]`,
}

func entries(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`"l%d":"v"`, i)
	}
	return "{" + strings.Join(all, ",") + "}"
}

// wholes are data that are no JSON object. In the structured form they make the
// whole envelope no JSON.
func wholes() []string {
	data := Good()
	all := []string{
		"", " ", "hello", "null", "true", "0", `"text"`, "[]", "[" + data + "]", data + data, data + "x", data + "\x00", "\xef\xbb\xbf" + data,
		"{", "}", `{"context"}`, `{,}`, `{"context":{},}`, "// a comment\n" + data, "'" + data + "'", "<event/>", "\x1f\x8b\x08", strings.Repeat("[", 100_000),
		strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000), "{" + strings.TrimSuffix(strings.Repeat(`"a":1,`, 5000), ",") + "}",
	}
	for cut := len(data) / 40; cut < len(data); cut += len(data) / 40 {
		all = append(all, data[:cut])
	}
	return all
}
