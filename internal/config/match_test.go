package config

import (
	"path"
	"testing"

	"pgregory.net/rapid"
)

// TestOverlap compares with matching every short text.
func TestOverlap(t *testing.T) {
	texts := []string{""}
	for from := 0; len(texts[from]) < 5; from++ {
		for _, c := range "ab" {
			texts = append(texts, texts[from]+string(c))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		// Patterns of at most four signs that meet at all meet in four signs or fewer.
		pattern := rapid.StringOfN(rapid.SampledFrom([]rune("ab*?")), 0, 4, -1)
		p, q := pattern.Draw(t, "p"), pattern.Draw(t, "q")
		want := false
		for _, text := range texts {
			inP, _ := path.Match(p, text)
			inQ, _ := path.Match(q, text)
			want = want || inP && inQ
		}
		if got := overlap(p, q); got != want {
			t.Fatalf("overlap(%q, %q) = %v, want %v", p, q, got, want)
		}
	})
}

func TestRanks(t *testing.T) {
	ascending := []string{"*", "p*", "prod-*", "prod-*-?u", "prod"}
	for i := 1; i < len(ascending); i++ {
		if rankOf(ascending[i-1]) >= rankOf(ascending[i]) {
			t.Errorf("%s does not rank below %s", ascending[i-1], ascending[i])
		}
	}
}
