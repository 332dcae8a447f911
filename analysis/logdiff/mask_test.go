package logdiff

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func masked(text string) string { return string(appendMasked(nil, []byte(text))) }

func TestMask(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"order  stored\t ", "order stored"},
		{"took 12ms for 3 rows, -5 left", "took <*> for <*> rows, <*> left"},
		{"x=-1.5e-7 y=+3", "x=<*> y=<*>"},
		{"2023-01-29T08:43:04.123Z from 10.1.2.3:8080/24", "<*> from <*>"},
		{"a [2001:db8::8a2e:370:7334] b", "a [<*>:db<*>::<*>] b"},
		{"id b0a4deac-1f2e-4bb2-94d0-abcdefabcdef done", "id <*> done"},
		{"id abcdefab-abcd-abcd-abcd-abcdefabcdef done", "id <*> done"},
		{"trace ffc8ca7e4c8f06c75142c880d5595d96 0xdeadbeef", "trace <*> <*>"},
		{"train G1237 worker12 testIssue12Again log4j", "train <*> worker<*> testIssue<*>Again log<*>j"},
		{"key 8fKq2Lm9 cache a3f256c1", "key <*> cache <*>"},
		{"mail bob.b+1@mail.example.com, now", "mail <*>, now"},
		{"at java.lang.Object@1a2b3c", "at java.lang.Object@<*>"},
		{"got npm pkg@1.2.3 alone@ @home", "got npm pkg@<*> alone@ @home"},
		{"distances=[0, 50, 100] of [1,2,3]", "distances=[<*>] of [<*>]"},
		{"hidden <redacted:email> and <*>", "hidden <*> and <*>"},
		{"<b>bold</b> <redacted", "<b>bold</b> <redacted"},
		{"größe 5 œ", "größe <*> œ"},
		{
			"failed\njava.lang.X: no\n\tat a.b.C(C.java:12)\n\tat d.E(E.java)\nCaused by: y\n\t... 12 more\nend",
			"failed java.lang.X: no Caused by: y end",
		},
		{"Traceback (most recent call last):\n  File \"a.py\", line 3, in f\n    g()\nValueError: bad", "Traceback (most recent call last): ValueError: bad"},
	} {
		if got := masked(c.text); got != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.text, got, c.want)
		}
	}
}

// A text that is too long is cut between words, says so, and stays as it is.
func TestMaskCuts(t *testing.T) {
	for _, word := range []string{"word ", "long", "ö", "a1_"} {
		got := masked(strings.Repeat(word, 5000))
		if word == "a1_" {
			if got != "<*>_" {
				t.Errorf("%q", got)
			}
			continue
		}
		if len(got) > maxMasked || len(got) < maxMasked-20 || !strings.HasSuffix(got, CutMark) {
			t.Errorf("%q: %d bytes: …%q", word, len(got), got[max(0, len(got)-20):])
		}
		if again := masked(got); again != got {
			t.Errorf("%q: masked again it is %d bytes, was %d", word, len(again), len(got))
		}
	}
}

// lines draws text of the pieces that the masks look at.
func lines() *rapid.Generator[string] {
	piece := rapid.SampledFrom([]string{
		" ", "\n", "\t", "a", "xy", "deadbeef", "1", "42", "<*>", "<", "*", ">", "-", "+", ".", ":", "/", ",", ", ", "_", "=", "(", "[", "@", "a@b.co", "%",
		"abcdefab-abcd-abcd-abcd-abcdefabcdef", "<redacted:x>", "<redacted", "ö", "\xff", "at f(x)", "... 3 more", "File \"", "    ", "^", "refused", "\x1b[1m", "\r", "é1",
	})
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(piece, 0, 40).Draw(t, "pieces"), "")
	})
}

func TestMaskTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := lines().Draw(t, "text")
		once := masked(text)
		if again := masked(once); again != once {
			t.Fatalf("%q\nonce  %q\ntwice %q", text, once, again)
		}
		if strings.ContainsAny(once, "0123456789\n") || strings.Contains(once, "  ") {
			t.Fatalf("%q is masked as %q", text, once)
		}
	})
}
