package verdicts

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/fuzztest"
)

// FuzzVerdict reads a verdict as a receiver does: what is read is written as one
// object with every key, which is read as the same, and only the very words are words
// to act on.
func FuzzVerdict(f *testing.F) {
	for _, v := range []Verdict{{}, {Verdict: Promote, Final: true, ReasonCode: analysis.AllSafe, Findings: []analysis.Finding{{}}, Gates: []Gate{{}}, Warnings: []string{"x"}}} {
		b, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"verdict":"PROMOTE","final":true}`))
	f.Add([]byte(`{"verdict":"promote","verdict":"hold","weight":1e308,"startedAt":"0001-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"differences":[{"key":"template:a","severity":"fatal","e":null,"ratio":1e400,"example":{"time":"2026-03-02T10:00:00Z"}}],"notRead":{"late":1,"share":null}}`))
	f.Add([]byte(`{"coverage":{"canary":{"exposure":-1}},"checks":{"harm":{"state":"bad"},"firstExposure":{"start":"2026-03-02T10:00:00+05:00"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzztest.Within(t, func() {
			var v, again Verdict
			if json.Unmarshal(data, &v) != nil {
				return
			}
			if acts := v.Verdict == Promote || v.Verdict == Rollback; acts && !bytes.Contains(data, []byte(`"`+v.Verdict.String()+`"`)) && !bytes.ContainsRune(data, '\\') {
				t.Fatalf("%v was read from %s", v.Verdict, data)
			}
			once, err := json.Marshal(v)
			if err != nil {
				return // an instant that JSON cannot hold
			}
			if err := json.Unmarshal(once, &again); err != nil {
				t.Fatalf("what was written is not read: %v\n%s", err, once)
			}
			twice, err := json.Marshal(again)
			if err != nil || !bytes.Equal(once, twice) {
				t.Fatalf("%v\n%s\n%s", err, once, twice)
			}
			if again.ID() != v.ID() {
				t.Fatalf("another id: %s", once)
			}
		})
	})
}

// FuzzLine makes one line of anything: at most 200 characters, none of which moves a
// cursor or a reader's eye.
func FuzzLine(f *testing.F) {
	for _, text := range []string{"", "plain", "two\nlines", "\x1b[31mred", "\u202Ereversed", "\xff\xfe", string(make([]byte, 1000))} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		line := Line(text)
		if !utf8.ValidString(line) || utf8.RuneCountInString(line) > 200 || Line(line) != line {
			t.Fatalf("%q becomes %q, then %q", text, line, Line(line))
		}
		for _, r := range line {
			if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
				t.Fatalf("%q becomes %q", text, line)
			}
		}
	})
}
