package accuracy

import (
	"strings"
	"testing"
)

// Of a scenario whose calls are known, the one that grew most is named first, and of a
// release without delay none is.
func TestTracesNameTheCallThatGrew(t *testing.T) {
	s := sampleScenario(t)
	for kind, want := range []string{"ts-config-service_retrieve", "ts-order-service_getTicketListByDateAndTripId"} {
		if call, factor := s.Grown(kind); call != want || factor < 3 {
			t.Fatalf("delay %d: %s grew most, %.1f times, want %s", kind+1, call, factor, want)
		}
		for seed := range uint64(3) {
			named, err := s.Draw(.5, kind, seed).Named()
			if err != nil || len(named) == 0 || named[0] != want {
				t.Errorf("delay %d, seed %d: named are %v, %v, want %s first", kind+1, seed, named, err, want)
			}
		}
		if named, err := s.Draw(0, kind, 1).Named(); err != nil || len(named) > 0 {
			t.Errorf("without a delay: %v, %v", named, err)
		}
	}
}

func TestTraceSection(t *testing.T) {
	all := []Naming{
		{0, "a", nil}, {.1, "a", nil}, {.5, "a", []string{"a", "b"}}, {.5, "a", []string{"b", "a"}}, {1, "a", []string{"a"}},
	}
	text := TraceSection(all).Found
	for _, line := range []string{"| 0 | 1 | – | – | 1 |", "| 0.5 | 2 | 1 of 2 (9.5 to 90.5 %) | 2 of 2 (34.2 to 100.0 %) | 0 |"} {
		if !strings.Contains(text, line) {
			t.Errorf("the section lacks %q: %s", line, text)
		}
	}
	if missed := MissedNames(all); len(missed) != 1 || !strings.Contains(missed[0], "f = 0.5") {
		t.Errorf("missed: %q", missed)
	}
	if missed := MissedNames([]Naming{{0, "a", []string{"b"}}}); len(missed) != 1 {
		t.Errorf("missed: %q", missed)
	}
}
