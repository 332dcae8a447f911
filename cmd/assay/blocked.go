package main

import (
	"fmt"
	"time"

	"github.com/release-assay/assay/analysis"
)

// maxJump is how far the machine's clock may be away before every pending verdict says
// so.
const maxJump = 30 * time.Second

// blocked says what keeps every validation of this process waiting; no code: nothing.
func (s *server) blocked() (analysis.Code, string) {
	if s.store.Full() {
		return analysis.StoreFull, "the disk of Assay is full: no events are taken, and nothing is decided but what fits into the reserve"
	}
	if s.clock != nil {
		if by := s.clock.jumped(); by.Abs() > maxJump {
			return analysis.ClockSkew, fmt.Sprintf("the clock of Assay's machine has jumped by %v: it is followed if it stays there for %v", by.Round(time.Second), believed)
		}
	}
	return "", ""
}
