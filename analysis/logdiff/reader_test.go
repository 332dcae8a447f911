package logdiff

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/release-assay/assay/analysis"
)

func TestRead(t *testing.T) {
	const id = "ffc8ca7e4c8f06c75142c880d5595d96"
	at := time.Date(2023, 1, 29, 8, 43, 4, 123e6, time.UTC)
	none, info, warn, bad, fatal := analysis.SeverityUnknown, analysis.SeverityInfo, analysis.SeverityWarn, analysis.SeverityError, analysis.SeverityFatal
	for _, c := range []struct {
		raw  string
		want Entry
	}{
		{"", Entry{}},
		{"plain words", Entry{Text: "plain words"}},
		{`{"level":"error","msg":"no \"way\"\n","trace_id":"` + id + `","time":"2023-01-29T08:43:04.123Z"}`, Entry{Time: at, Severity: bad, TraceID: id, Text: `no "way"`}},
		{`{"lvl":50,"message":"x","ts":1674981784.123, "n": {"a":[1,"}"]}}`, Entry{Time: at, Severity: bad, Text: "x"}},
		{`{"severity":"WARNING","body":"caf\u00e9 \ud83d\ude00 \ud83d!","timestamp":1674981784123}`, Entry{Time: at, Severity: warn, Text: "café 😀 \ufffd!"}},
		{`{"levelname":"INFO","msg":"store","error":"refused"}`, Entry{Severity: info, Text: "store: refused"}},
		{
			`{"log":"16:42:22.382 INFO  t.s.Travel#532 TraceID: ` + id + ` SpanID: 439bc949a9eeb0cc [get][Route is]\n","stream":"stdout","time":"2023-01-29T08:43:04.123Z"}`,
			Entry{Time: at, Severity: info, TraceID: id, Text: "t.s.Travel#532 TraceID: " + id + " SpanID: 439bc949a9eeb0cc [get][Route is]"},
		},
		{`{"log":"{\"level\":\"fatal\",\"msg\":\"gone\",\"dd.trace_id\":\"5142c880d5595d96\"}\n"}`, Entry{Severity: fatal, TraceID: "0000000000000000" + "5142c880d5595d96", Text: "gone"}},
		{`{"level":"info","count":3}`, Entry{Text: `{"level":"info","count":3}`}},
		{`{"msg":"cut`, Entry{Text: `{"msg":"cut`}},
		{`time=2023-01-29T08:43:04.123Z level=warn msg="slow \"x\"" traceID=` + id + ` took=3s`, Entry{Time: at, Severity: warn, TraceID: id, Text: `slow "x"`}},
		{`level=error msg=failed err="no route"`, Entry{Severity: bad, Text: "failed: no route"}},
		{`x=1 is less than y=2 and so on`, Entry{Text: `x=1 is less than y=2 and so on`}},
		{"2023-01-29 08:43:04.123 ERROR [main] Class : message", Entry{Time: at, Severity: bad, Text: "[main] Class : message"}},
		{"2023-01-29 08:43:04,123 [main] ERROR Class - message", Entry{Time: at, Severity: bad, Text: "[main] ERROR Class - message"}},
		{"[2023-01-29T09:43:04.123+01:00] warn: hm", Entry{Time: at, Severity: warn, Text: "hm"}},
		{"E0129 08:43:04.123456   12 file.go:34] message", Entry{Severity: bad, Text: "message"}},
		{"<11>1 2023-01-29T08:43:04.123Z host app 1 - - m", Entry{Time: at, Severity: bad, Text: "host app 1 - - m"}},
		{"<14>Jan 29 08:43:04 host app[12]: m", Entry{Severity: info, Text: "host app[12]: m"}},
		{"2023-01-29T08:43:04.123Z stderr F [ERROR] boom", Entry{Time: at, Severity: bad, Text: "boom"}},
		{"[ERROR] boom", Entry{Severity: bad, Text: "boom"}},
		{"[ERROR]: boom", Entry{Severity: bad, Text: "boom"}},
		{"[INFO ] fine", Entry{Severity: info, Text: "fine"}},
		{"[main] boom", Entry{Text: "[main] boom"}},
		{"Error opening x", Entry{Text: "Error opening x"}},
		{"error: opening x", Entry{Severity: bad, Text: "opening x"}},
		{"I am here", Entry{Text: "I am here"}},
		{"panic: oh", Entry{Severity: fatal, Text: "panic: oh"}},
		{"a trace of [traceparent: 00-" + id + "-439bc949a9eeb0cc-01]", Entry{TraceID: id, Text: "a trace of [traceparent: 00-" + id + "-439bc949a9eeb0cc-01]"}},
		{"[trace_id=" + id + "] m", Entry{TraceID: id, Text: "[trace_id=" + id + "] m"}},
		{"trace_id=" + strings.Repeat("0", 32) + " m", Entry{TraceID: "", Text: "trace_id=" + strings.Repeat("0", 32) + " m"}},
		{"\x1b[31mERROR\x1b[0m bad \xff\x00 \u202eevil\x07", Entry{Severity: bad, Text: "bad \ufffd evil"}},
		{"12:00:00 at noon", Entry{Text: "at noon"}},
		{"2023-13-29 08:43:04 no time", Entry{Severity: none, Text: "2023-13-29 08:43:04 no time"}},
	} {
		if got := Read(c.raw); got != c.want {
			t.Errorf("%q\n got %+v\nwant %+v", c.raw, got, c.want)
		}
	}
}

func TestReadLongLines(t *testing.T) {
	long := strings.Repeat("wörd ", 2<<20)
	for _, raw := range []string{long, `{"msg":"` + long + `","level":"error"}`, `{"msg":"\n` + long + `\n","level":"error"}`, `level=error msg="` + long + `"`, `{"msg":"a","error":"` + long + `"}`} {
		e := Read(raw)
		if !e.Truncated || len(e.Text) > MaxText || len(e.Text) < MaxText-20 || !strings.HasSuffix(e.Text, CutMark) || !utf8.ValidString(e.Text) {
			t.Errorf("%.20q: %d bytes, truncated %v, …%q", raw, len(e.Text), e.Truncated, e.Text[max(0, len(e.Text)-20):])
		}
		if raw[0] == '{' && !strings.Contains(raw, `"a"`) && e.Severity != analysis.SeverityError {
			t.Errorf("%.20q: %v", raw, e.Severity)
		}
	}
}

func TestReadAllocatesNothing(t *testing.T) {
	var r Reader
	for _, raw := range []string{
		`{"level":"error","msg":"no \"way\"\n","error":"x","trace_id":"ffc8ca7e4c8f06c75142c880d5595d96","time":"2023-01-29T08:43:04.123Z"}`,
		`time=2023-01-29T08:43:04.123Z level=warn msg="slow \"x\"" took=3s`,
		"2023-01-29 08:43:04.123 ERROR [main] Class : messäge \x1b[0m",
	} {
		line := []byte(raw)
		if n := testing.AllocsPerRun(100, func() { r.Read(line) }); n != 0 {
			t.Errorf("%s: %v allocations", raw, n)
		}
	}
}

// Looking at eight bytes at a time finds what looking at one finds.
func TestPlainPrefix(t *testing.T) {
	for c := range 256 {
		for at := range 20 {
			for _, n := range []int{at + 1, 20, 33} {
				text := bytes.Repeat([]byte("a"), n)
				text[min(at, n-1)] = byte(c)
				want := min(at, n-1)
				if plainByte[c] {
					want = n
				}
				if got := plainPrefix(text); got != want {
					t.Fatalf("byte %#x at %d of %d: %d, want %d", c, at, n, got, want)
				}
			}
		}
	}
}
