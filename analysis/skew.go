package analysis

import (
	"fmt"
	"time"
)

// A source stamps its samples with its own clock. Up to skewWarned that is a matter
// of course, beyond skewRefused its samples cannot be told to lie in one fold or
// another, nor before or after the deployment: nothing is learned from them.
const (
	skewWarned  = 5 * time.Second
	skewRefused = 30 * time.Second
)

// skewed reports whether the evidence comes from a clock that is too far off.
func (e *Evidence) skewed() bool { return e.Skew.D().Abs() > skewRefused }

// skewSentence says how far the clock of an objective's source is off.
func (o *objectiveState) skewSentence() string {
	direction := "ahead of ours"
	if o.skew < 0 {
		direction = "behind ours"
	}
	return fmt.Sprintf("%s: the clock of %s is %v %s", o.o.Name, o.o.Signal.Source, o.skew.D().Abs().Round(time.Second), direction)
}
