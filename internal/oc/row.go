package oc

import (
	"math/rand/v2"
	"slices"
	"time"
)

// A Truth says what a canary really is, and so what an answer about it is worth.
type Truth uint8

const (
	Healthy  Truth = iota // within the tolerance: a rollback is false
	Bad                   // beyond the tolerance: a rollback is right
	OnMargin              // at the margin: a promote is false
)

// A Row is one world with its judges.
type Row struct {
	Table string // which table it belongs to
	Name  string // as the page prints it
	Truth Truth
	Share int     // of the runs that were asked for, one in so many; 0: all
	Onset float64 // minute from which the canary is bad, where it is not from the start
	// Asked is the bar: of a healthy canary the share of false rollbacks (0: nominal), of
	// a bad one the median minutes at the finest cadence (0: none).
	Asked float64
	Why   string // what is known about a bar that is missed
	// open learns what is common to all runs; it is called once.
	open func(seed uint64) (runner, error)
}

// ID names a row in the work file and seeds its runs.
func (r Row) ID() string { return r.Table + "/" + r.Name }

// runs is how many of the runs that were asked for the row takes.
func (r Row) runs(asked int) int {
	if r.Share <= 1 {
		return asked
	}
	return max(1, asked/r.Share)
}

// A runner simulates run i with its own randomness and returns what came of it by
// judge.
type runner func(i int, rng *rand.Rand) (map[string]outcome, error)

// The judges, as the work file names them.
const (
	byAssay       = "assay " // and the cadence
	byKayenta     = "kayenta"
	byKayentaOnce = "kayenta once"
	byArgo        = "argo"
	byFlagger     = "flagger"
	byRatio       = "ratio"
	byZTest       = "z-test"
)

// assayAt names Assay at a cadence.
func assayAt(cadence time.Duration) string { return byAssay + cadence.String() }

// cadences are those of pushed or streamed telemetry, of a dense scrape and of the
// usual one.
var cadences = []time.Duration{5 * time.Second, 15 * time.Second, time.Minute}

// Rows are all there are, in the order of the page.
func Rows() []Row {
	return slices.Concat(errorRows(), latencyRows(), levelRows(), aloneRows(), populationRows())
}
