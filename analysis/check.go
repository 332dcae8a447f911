package analysis

// CheckName is one of the six things that decide.
type CheckName string

const (
	Harm        CheckName = "harm"
	Safety      CheckName = "safety"
	Coverage    CheckName = "coverage"
	Identity    CheckName = "identity"
	Serving     CheckName = "serving"
	Environment CheckName = "environment"
)

// CheckState is what is known about a check. The zero value is the safe one.
type CheckState uint8

const (
	Undecided   CheckState = iota // not shown either way yet
	Good                          // proven
	Bad                           // the opposite is proven
	Missing                       // nothing to judge from
	Partial                       // some of what is needed is missing
	Stale                         // what is there is too old
	Errored                       // judging failed
	Conflicting                   // the evidence speaks against itself
	NotRequired                   // serving and environment only
	checkStates
)

// CheckStates lists every state, the zero value first.
func CheckStates() []CheckState {
	states := make([]CheckState, checkStates)
	for i := range states {
		states[i] = CheckState(i)
	}
	return states
}

var checkStateNames = [...]string{"undecided", "good", "bad", "missing", "partial", "stale", "error", "conflicting", "not_required"}

func (s CheckState) String() string {
	if int(s) < len(checkStateNames) {
		return checkStateNames[s]
	}
	return "undecided"
}

// MarshalText implements encoding.TextMarshaler.
func (s CheckState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. An unknown word is undecided.
func (s *CheckState) UnmarshalText(text []byte) error {
	*s = Undecided
	for i, name := range checkStateNames {
		if name == string(text) {
			*s = CheckState(i)
		}
	}
	return nil
}

// A Check is the state of one of the six, with its reason.
type Check struct {
	State  CheckState `json:"state"`
	Code   Code       `json:"code,omitempty"`
	Reason string     `json:"reason,omitempty"`
}

// Checks are the six checks as of one look: all that a decision may depend on,
// with the canary's first exposure, from which the bake counts.
type Checks struct {
	Harm        Check `json:"harm"`
	Safety      Check `json:"safety"`
	Coverage    Check `json:"coverage"`
	Identity    Check `json:"identity"`
	Serving     Check `json:"serving"`
	Environment Check `json:"environment"`

	// FirstExposure is the first fold
	// in which the canary served anything; zero: it has not yet.
	FirstExposure Fold `json:"firstExposure,omitzero"`
}
