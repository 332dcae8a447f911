package analysis

import "slices"

// The objectives of the built-in plan are candidates. Which of them hold depends on what
// the service was heard of with, and on each other.

// WithObjectives returns p with the candidates that the service was heard of with. What
// spans say about requests and durations is left out where a metric says it: a plan has
// one origin for each, never both. Log lines are held against the first critical ratio,
// else the first ratio; where nothing counts requests, they are listed and not tested.
func (p Policy) WithObjectives(heard []Objective) Policy {
	p.Objectives = oneOrigin(heard)
	requests := RequestsOf(p.Objectives)
	p.Objectives = slices.DeleteFunc(p.Objectives, func(o Objective) bool {
		return o.Signal.untested() && !o.Signal.Listed() && requests == nil
	})
	logs, traces := false, false
	for i := range p.Objectives {
		s := &p.Objectives[i].Signal
		if s.untested() && requests != nil {
			of := *s.Logs
			of.Requests = requests
			s.Logs = &of
		}
		logs = logs || s.Logs != nil
		traces = traces || s.names() && s.Spans != nil
	}
	if p.Logs != nil && logs {
		of := *p.Logs
		if of.Origin = ""; requests != nil {
			of.Origin = requests.Name
		}
		p.Logs = &of
	} else {
		p.Logs = nil
	}
	if !traces {
		p.Traces = nil
	}
	return p
}

// oneOrigin leaves out what the spans in which a service serves say, where a metric says
// it.
func oneOrigin(objectives []Objective) []Objective {
	metric := map[Shape]bool{}
	for _, o := range objectives {
		metric[o.Signal.Shape] = metric[o.Signal.Shape] || !o.Signal.ofStreams()
	}
	return slices.DeleteFunc(slices.Clone(objectives), func(o Objective) bool {
		return o.Signal.Spans != nil && !o.Signal.names() && metric[o.Signal.Shape]
	})
}

// RequestsOf returns the signal that counts the requests which log lines are held
// against: that of the first critical ratio, else of the first ratio. Nil: none does. A
// level of shares tells of no number of requests, and what logs and whole traces say
// counts only parts of them.
func RequestsOf(objectives []Objective) *Signal {
	var first *Signal
	for _, o := range objectives {
		if o.Signal.Shape != ShapeRatio || o.Signal.names() {
			continue
		}
		if o.Role == Critical {
			return &o.Signal
		}
		if first == nil {
			first = &o.Signal
		}
	}
	return first
}
