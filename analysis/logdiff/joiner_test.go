package logdiff

import (
	"slices"
	"strings"
	"testing"
)

func joined(lines ...string) []string {
	var j Joiner
	var out []string
	for _, l := range lines {
		if e, ok := j.Add(Read(l)); ok {
			out = append(out, e.Text)
		}
	}
	if e, ok := j.Flush(); ok {
		out = append(out, e.Text)
	}
	return out
}

func TestJoiner(t *testing.T) {
	for _, c := range []struct{ lines, want []string }{
		{nil, nil},
		{[]string{"a", "b"}, []string{"a", "b"}},
		{
			[]string{"2023-01-29 08:43:04 ERROR failed", "java.io.IOException: no space", "\tat a.b.C(C.java:12)", "Caused by: x.Y: z", "\tat a.b.D(D.java:1)", "\t... 12 more", "2023-01-29 08:43:05 INFO next"},
			[]string{"failed\njava.io.IOException: no space\n    at a.b.C(C.java:12)\nCaused by: x.Y: z\n    at a.b.D(D.java:1)\n    ... 12 more", "next"},
		},
		{
			[]string{"Traceback (most recent call last):", "  File \"a.py\", line 3, in f", "    g()", "ValueError: bad", "next"},
			[]string{"Traceback (most recent call last):\n  File \"a.py\", line 3, in f\n    g()\nValueError: bad", "next"},
		},
		{
			[]string{`{"log":"16:42:22.382 ERROR x\n","time":"2023-01-29T08:42:22Z"}`, `{"log":"\tat a.b.C(C.java:12)\n","time":"2023-01-29T08:42:22Z"}`},
			[]string{"x\n    at a.b.C(C.java:12)"},
		},
		{[]string{"panic: oh", "", "goroutine 1 [running]:", "main.f()", "\t/x/y.go:12 +0x1"}, []string{"panic: oh", "\ngoroutine 1 [running]:", "main.f()\n    /x/y.go:12 +0x1"}},
		{[]string{"INFO a", "  [ERROR] b"}, []string{"a", "b"}},
	} {
		if got := joined(c.lines...); !slices.Equal(got, c.want) {
			t.Errorf("%q\n got %q\nwant %q", c.lines, got, c.want)
		}
	}
}

// A trace without an end stays bounded, and its template is that of its head.
func TestJoinerIsBounded(t *testing.T) {
	var j Joiner
	j.Add(Read("ERROR boom"))
	for range 100_000 {
		if _, ok := j.Add(Read("\tat a.b.C(C.java:12)")); ok {
			t.Fatal("not joined")
		}
	}
	e, ok := j.Flush()
	if !ok || !e.Truncated || len(e.Text) > MaxText || !strings.HasSuffix(e.Text, CutMark) {
		t.Errorf("%v %v, %d bytes", ok, e.Truncated, len(e.Text))
	}
	if got := masked("boom\n    at a.b.C(C.java:12)\n    at a.b.D(D.java:1)"); got != "boom" {
		t.Errorf("%q", got)
	}
}
