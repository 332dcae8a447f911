package redact

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestString(t *testing.T) {
	r, err := New([]string{`ACCT-\d+`, `customer (\w+)`})
	if err != nil {
		t.Fatal(err)
	}
	const s = "<redacted:secret>"
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"order 12 stored", "order 12 stored"},
		{"mail to bob.b+x@mail.example.com.", "mail to <redacted:email>."},
		{"card 4111 1111 1111 1111 and 4111111111111112", "card <redacted:card> and 4111111111111112"},
		{"at 1674981742383150913 ns", "at 1674981742383150913 ns"},
		{"trace ffc8ca7e4c8f06c75142c880d5595d96 ok", "trace ffc8ca7e4c8f06c75142c880d5595d96 ok"},
		{"commit 495dccb734366cfc0bb6f53c63e02c8171652b47", "commit 495dccb734366cfc0bb6f53c63e02c8171652b47"},
		{"id " + strings.Repeat("0af1", 16), "id <redacted:token>"},
		{"jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_1 x", "jwt <redacted:token> x"},
		{"Authorization: Bearer abc.def", "Authorization: " + s},
		{`{"authorization":"Basic Zm9vOmJhcg==","a":1}`, `{"authorization":"` + s + `","a":1}`},
		{"using bearer abcdef123", "using bearer <redacted:token>"},
		{"AKIAIOSFODNN7EXAMPLE used", "<redacted:token> used"},
		{"password=hunter2 next", "password=" + s + " next"},
		{"db.password = hunter2, next", "db.password = " + s + ", next"},
		{`{"password":"a \"b\" c","x":"y"}`, `{"password":"` + s + `","x":"y"}`},
		{`{\"api_key\":\"x1\",\"y\":2}`, `{\"api_key\":\"` + s + `\",\"y\":2}`},
		{"client-secret: 'two words'", "client-secret: '" + s + "'"},
		{"max tokens: 12, secretary: bob", "max tokens: 12, secretary: bob"},
		{"token=ab<*>c", "token=" + s},
		{"postgres://app:pw@db/x", "postgres://app:" + s + "@db/x"},
		{"Cookie: a=b; c=d", "Cookie: " + s},
		{"key 8fKq2Lm9Zx7Wp3Rt5Yv1Bn6Qa4Sd0Jh2 x", "key <redacted:token> x"},
		{"testIssue1234WithAVeryLongNameOfAMethod", "testIssue1234WithAVeryLongNameOfAMethod"},
		{"-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----<redacted:key>-----END RSA PRIVATE KEY-----"},
		{"ACCT-12 of customer bob", "<redacted> of <redacted>"},
	} {
		if got := r.String(c.text); got != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.text, got, c.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, p := range []string{"(", "a*", "^"} {
		if _, err := New([]string{p}); err == nil || !strings.Contains(err.Error(), p) {
			t.Errorf("%q: %v", p, err)
		}
	}
}

// texts draws text of the pieces that rules look at.
func texts() *rapid.Generator[string] {
	piece := rapid.SampledFrom([]string{
		" ", "\n", "a", "b1", "=", ":", "\"", "'", "\\", ",", "@", ".", "/", "://", "-", "_", "<", ">", "<*>", "password", "token", "secret", "Authorization", "cookie", "bearer ", "api_key",
		"bob@mail.example", "4111111111111111", "4111 1111", "eyJhbGciOi", "AKIAIOSFODNN7EXAMPLE", "<redacted:x>", "<redacted>", "<redacted", "8fKq2Lm9Zx7Wp3Rt5Yv1Bn6Qa4Sd0Jh2", "0af1af23bd", "-----BEGIN PRIVATE KEY-----", "-----END", "\xff", "ö",
	})
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(piece, 0, 30).Draw(t, "pieces"), "")
	})
}

// Redacting twice changes nothing more, and texts stay of bounded length. What looks
// harmless to the quick look is harmless.
func TestTwice(t *testing.T) {
	own, err := New([]string{"[ab]", "0af"})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := texts().Draw(t, "text")
		for _, r := range []*Redactor{{}, own} {
			once := r.String(text)
			if twice := r.String(once); twice != once {
				t.Fatalf("%q\nonce  %q\ntwice %q", text, once, twice)
			}
			if len(once) > 2*len(text)+1024 {
				t.Fatalf("%d bytes have become %d", len(text), len(once))
			}
		}
		if !suspicious(text) {
			if out := new(Redactor).once(text); out != text {
				t.Fatalf("not suspicious: %q, but %q", text, out)
			}
		}
	})
}

// Planted secrets do not survive, whatever stands around them.
func TestPlantedSecrets(t *testing.T) {
	var r Redactor
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[a-z][a-zA-Z0-9]{6,12}qz`).Draw(t, "secret")
		form := rapid.SampledFrom([]string{
			"password=%", "secret: %", `{"token":"%","n":1}`, "api_key='%'", "Authorization: Bearer %", "bearer %", "postgres://u:%@h/d", "%@mail.example", "DB_PASSWORD=%", `\"passwd\":\"%\"`,
		}).Draw(t, "form")
		before, after := rapid.SampledFrom([]string{"", "x ", "order 12, ", `{"a":"b"} `}).Draw(t, "before"), rapid.SampledFrom([]string{"", " x", ", y=1"}).Draw(t, "after")
		text := before + strings.ReplaceAll(form, "%", secret) + after
		if out := r.String(text); strings.Contains(out, secret) {
			t.Fatalf("%q is told as %q", text, out)
		}
	})
}

func FuzzString(f *testing.F) {
	own, err := New([]string{`[0-9]{3}`})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(`{"password":"a \"b\"","mail":"bob@mail.example"} 4111 1111 1111 1111`)
	f.Add("Authorization: Bearer x.y.z <redacted:token>")
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range []*Redactor{{}, own} {
			once := r.String(text)
			if twice := r.String(once); twice != once || len(once) > 2*len(text)+1024 {
				t.Fatalf("%q\nonce  %q\ntwice %q", text, once, twice)
			}
		}
	})
}

func BenchmarkString(b *testing.B) {
	var r Redactor
	for _, c := range []struct{ name, text string }{
		{"harmless", "order 12 of 5 items stored in 3 ms"},
		{"secret", "login of bob@mail.example with password=hunter2 done"},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				r.String(c.text)
			}
		})
	}
}
