package analysis

import "fmt"

// Lines without trace ids are counted by the seconds of a pod in which they were written.
// A second holds one event, however many requests wrote the line in it: where many seconds
// have one, pods with more load seem to write it less often for each request, and the arms
// are rarely loaded alike. Such counts would show harm where there is none.

// crowdedSeconds is the share of an arm's seconds with an event up to which a second
// stands for a request: at .2 the counts are a tenth too low, well inside the tolerance.
const crowdedSeconds = 0.2

// untraced reports whether the events of a ratio of lines are seconds of pods.
func (o *PlannedObjective) untraced(e *Evidence) bool {
	return o.Signal.Logs != nil && !o.Signal.Listed() && e.Logs != nil && e.Logs.NoTraces
}

// crowds reports whether too many seconds of either arm have an event.
func (o *PlannedObjective) crowds(rows []ArmRow) bool {
	var events, seconds [Control + 1]float64
	for i := range rows {
		if r := &rows[i]; r.Received > 0 && r.Arm <= Control {
			events[r.Arm] += r.Bad
			seconds[r.Arm] += o.Cadence.D().Seconds()
		}
	}
	for arm := range events {
		if events[arm] > crowdedSeconds*seconds[arm] {
			return true
		}
	}
	return false
}

// uncountable reports whether a fold of o tells no rate, for want of trace ids. Whether
// seconds are crowded is told by the fold before: a fold must not be left out for what it
// shows. Lines that must appear do so all the time.
func (o *objectiveState) uncountable(e *Evidence) bool {
	return o.o.untraced(e) && (o.o.Signal.Logs.MustAppear != "" || o.crowded)
}

// uncounted says why the newest fold of lines told no rate; "": it did.
func (o *objectiveState) uncounted() string {
	if o.missing != NotTestable || o.o.Signal.Logs == nil {
		return ""
	}
	return fmt.Sprintf("%s: %s: its lines carry no trace ids, and seconds of a pod do not tell how many requests write them", NotTestable, o.o.Name)
}
