package analysis

// A class shares its part of the harm evidence equally among its objectives.
type class int

const (
	noClass class = iota // reported only
	criticalClass
	secondaryClass
	logsClass
	tracesClass
	classes
)

// classShare is each class's share of the harm evidence (statistics 9.1). Classes that a
// plan lacks give theirs to the others in proportion.
var classShare = [classes]float64{noClass: 0, criticalClass: .70, secondaryClass: .20, logsClass: .05, tracesClass: .05}

// classOf is the class of an objective. What names a cause has a small share, whatever
// many lines a release writes.
func classOf(o *Objective) class {
	switch {
	case o.Role == Advisory || o.Signal.Listed() || o.Signal.untested():
		return noClass
	case o.Signal.Logs != nil:
		return logsClass
	case o.Signal.names():
		return tracesClass
	case o.Role == Critical:
		return criticalClass
	case o.Role == Secondary:
		return secondaryClass
	}
	return noClass
}

// HarmWeights returns the share of the harm evidence that a plan will give to each
// objective.
func HarmWeights(objectives []Objective) []float64 { return objectiveWeights(objectives) }

func objectiveWeights(objectives []Objective) []float64 {
	var count [classes]float64
	for i := range objectives {
		count[classOf(&objectives[i])]++
	}
	total := 0.0
	for c, share := range classShare {
		if count[c] > 0 {
			total += share
		}
	}
	out := make([]float64, len(objectives))
	for i := range objectives {
		if c := classOf(&objectives[i]); total > 0 {
			out[i] = classShare[c] / total / count[c]
		}
	}
	return out
}
