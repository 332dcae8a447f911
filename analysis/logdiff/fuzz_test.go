package logdiff

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/release-assay/assay/analysis"
)

// Whatever a line is, what is read of it is valid text of bounded length.
func FuzzRead(f *testing.F) {
	for _, form := range []string{"json", "docker", "logfmt", "plain"} {
		lines, _ := rawLines(form)
		f.Add(lines[7])
	}
	f.Add([]byte("<11>1 2023-01-29T08:43:04.123Z h - \x1b]0;\xff\u202e"))
	f.Add([]byte(`{"log":"{\"msg\":\"\\ud83d\\u0000\"}","level":50}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e := Read(string(raw))
		if !utf8.ValidString(e.Text) || len(e.Text) > MaxText || e.Severity > analysis.SeverityFatal || len(e.TraceID) != 0 && len(e.TraceID) != 32 {
			t.Fatalf("%q: %+v", raw, e)
		}
		for _, r := range e.Text {
			if unicode.IsControl(r) && r != '\n' && r != '\t' || turnsDirection(r) {
				t.Fatalf("%q: %q in %q", raw, r, e.Text)
			}
		}
		if e.Truncated && len(raw) < MaxText {
			t.Fatalf("%q of %d bytes is cut", raw, len(raw))
		}
		var j Joiner
		j.Add(e)
		j.Add(e)
		if joined, ok := j.Flush(); !ok || len(joined.Text) > MaxText || !utf8.ValidString(joined.Text) {
			t.Fatalf("%q joined to %q", e.Text, joined.Text)
		}
	})
}

// Masks are idempotent, what is learned or mined matches afterwards, under the same id.
func FuzzMine(f *testing.F) {
	f.Add("order 12 stored\norder 13 refused\na@b.co, 1 - <*>\n\n <redacted:x>")
	f.Add("a b c d\na b x y\na z p q\na b c d e")
	f.Fuzz(func(t *testing.T, text string) {
		var history []analysis.Line
		tally := NewTally(text)
		var rows []analysis.LineRow
		for line := range strings.SplitSeq(text, "\n") {
			once := masked(line)
			if twice := masked(once); twice != once {
				t.Fatalf("%q\nonce  %q\ntwice %q", line, once, twice)
			}
			history = append(history, analysis.Line{Text: line})
			rows = append(rows, analysis.LineRow{Text: once})
			tally.Add(Record{Text: []byte(line), At: time.Unix(int64(len(line)), 0)})
		}
		set, err := Learn(history, nil)
		if err != nil {
			t.Fatal(err)
		}
		learned, err := Compile(set)
		if err != nil {
			t.Fatal(err)
		}
		fresh := &Tree{}
		mined, _ := fresh.Mine(rows)
		for i, l := range history {
			_, ok := learned.Match(l.Text)
			if _, again := fresh.Match(l.Text); len(history) < 100 && (!ok || !again && mined[i].Template != Other) {
				t.Fatalf("%q: learned %v, mined %v", l.Text, ok, again)
			}
		}
		for _, r := range tally.Rows(learned, nil) {
			if r.Template == "" && len(history) < 100 {
				t.Fatalf("%+v is of no template", r)
			}
		}
	})
}

// Two logs of any bytes are compared, and nothing is new in a log against itself.
func FuzzDiff(f *testing.F) {
	f.Add([]byte("a\r\nb 1\r"), []byte("a\nERROR x\n\tat y(z)\n"))
	f.Add([]byte("\ufeff2021-12-01T13:00:40.1077661Z x"), []byte("j\ts\t2021-12-01T13:00:40.1077661Z x\x1b[0m"))
	f.Fuzz(func(t *testing.T, before, after []byte) {
		for _, g := range Diff(before, after).New {
			if len(g.Lines) == 0 || len(g.Example) == 0 || !utf8.ValidString(g.Text) {
				t.Fatalf("%+v", g)
			}
		}
		if d := Diff(after, after); len(d.New)+len(d.Missing) > 0 {
			t.Fatalf("against itself: %+v", d)
		}
	})
}
