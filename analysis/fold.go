package analysis

import (
	"time"
)

// BaseTick is the base slice of event time. Every cadence is a whole number of it.
const BaseTick = 5 * time.Second

// DefaultCadence is used where the baseline's sample spacing is unknown.
const DefaultCadence = 60 * time.Second

// PullLag is how far a scraped source is assumed to lag behind the moment it
// describes; an OTLP exporter gets the same for its way to the receiver.
const PullLag = 10 * time.Second

// CadenceOf rounds the median sample spacing of a source to a cadence: to the
// nearest whole base tick if that is within 10 %, else up (60.003 s is 60 s,
// 17 s is 20 s). An unknown spacing (zero or less) gives DefaultCadence.
func CadenceOf(spacing time.Duration) time.Duration {
	if spacing <= 0 {
		return DefaultCadence
	}
	nearest := spacing.Round(BaseTick)
	if nearest >= BaseTick && (nearest-spacing).Abs() <= spacing/10 {
		return nearest
	}
	return (spacing + BaseTick - 1).Truncate(BaseTick)
}

// LatenessOf is how long after its end a fold stays open for telemetry on its way:
// two cadences and the source's lag (PullLag where that is 0).
func LatenessOf(cadence, lag time.Duration) time.Duration {
	if lag <= 0 {
		lag = PullLag
	}
	return 2*cadence + lag
}

// A Fold is one closed slice (Start, End] of an objective's cadence. Folds lie on
// the grid of multiples of the cadence since the epoch, so that the queries of
// different deployments can be merged.
type Fold struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// FoldAt returns the fold of the given cadence that contains the instant t as
// Start <= t < End.
func FoldAt(t time.Time, cadence time.Duration) Fold {
	// Truncate counts from the zero time, which is a whole number of seconds but
	// not of every cadence before the epoch; the grid is the epoch's.
	ns := t.UnixNano()
	start := ns - mod(ns, int64(cadence))
	return Fold{time.Unix(0, start).UTC(), time.Unix(0, start+int64(cadence)).UTC()}
}

// Next returns the fold after f.
func (f Fold) Next() Fold {
	return Fold{f.End, f.End.Add(f.End.Sub(f.Start))}
}

func mod(a, b int64) int64 { return (a%b + b) % b }
