package scenarios

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"
)

// Values are the formulas of a line: what is counted in each fold, of an arm as a
// whole.
type Values struct {
	Requests, Bad, Level, Duration formula
}

// given reports whether the line has a formula.
func (f formula) given() bool { return f.kind != "" }

// A formula gives the value of each fold of a scene.
type formula struct {
	kind      string // "list" or the name of a function
	arguments []float64
}

// The functions of the language and how many arguments each takes.
var functions = map[string]int{
	"poisson":   1, // poisson(mean): a count
	"rate":      1, // rate(p): a binomial share of the requests
	"clusters":  2, // clusters(p,size): the same, in groups that fail together
	"ramp":      2, // ramp(first,last): a line over the folds of the scene
	"ar1":       3, // ar1(mean,sd,phi): a level that wanders
	"lognormal": 2, // lognormal(median,sigma): seconds that each request takes
	"slower":    4, // slower(median,sigma,share,factor): the same, a share of them slower by a factor
}

func parseValues(words []string) (Values, error) {
	var v Values
	into := map[string]*formula{"requests": &v.Requests, "bad": &v.Bad, "level": &v.Level, "duration": &v.Duration}
	for _, w := range words {
		key, text, _ := strings.Cut(w, "=")
		f, ok := into[key]
		if !ok {
			return v, fmt.Errorf("%q is not one of requests=, bad=, level=, duration=", w)
		}
		var err error
		if *f, err = parseFormula(text); err != nil {
			return v, fmt.Errorf("%s: %w", key, err)
		}
	}
	return v, nil
}

func parseFormula(text string) (formula, error) {
	f := formula{kind: "list"}
	list := text
	if name, inside, ok := strings.Cut(text, "("); ok {
		f.kind, list = name, strings.TrimSuffix(inside, ")")
		if _, known := functions[name]; !known || list == inside {
			return f, fmt.Errorf("%q is no function", text)
		}
	}
	for _, a := range strings.Split(list, ",") {
		v, err := strconv.ParseFloat(a, 64)
		if err != nil {
			return f, err
		}
		f.arguments = append(f.arguments, v)
	}
	if n, isFunction := functions[f.kind]; isFunction && n != len(f.arguments) {
		return f, fmt.Errorf("%s takes %d arguments", f.kind, n)
	}
	return f, nil
}

// An actor draws the values of one arm and objective, in order.
type actor struct {
	rng     *rand.Rand
	wander  float64 // of ar1
	started bool
}

// value is that of the k-th of n folds of a scene, for so many requests.
func (a *actor) value(f formula, k, n int, requests float64) float64 {
	x := f.arguments
	switch f.kind {
	case "list":
		return x[k%len(x)]
	case "poisson":
		return distuv.Poisson{Lambda: x[0], Src: a.rng}.Rand()
	case "rate":
		return a.binomial(requests, x[0])
	case "clusters":
		return min(requests, x[1]*distuv.Poisson{Lambda: requests * x[0] / x[1], Src: a.rng}.Rand())
	case "ramp":
		if n == 1 {
			return x[1]
		}
		return x[0] + (x[1]-x[0])*float64(k)/float64(n-1)
	case "ar1":
		noise := a.rng.NormFloat64()
		if a.started {
			a.wander = x[2]*a.wander + math.Sqrt(1-x[2]*x[2])*noise
		} else {
			a.wander, a.started = noise, true
		}
		return x[0] + x[1]*a.wander
	}
	return 0
}

func (a *actor) binomial(n, p float64) float64 {
	if n <= 0 || p <= 0 {
		return 0
	}
	return distuv.Binomial{N: n, P: p, Src: a.rng}.Rand()
}

// durations are what so many requests took, in ascending order.
func (a *actor) durations(f formula, requests float64) []float64 {
	out := make([]float64, int(requests))
	for i := range out {
		out[i] = f.arguments[0] * math.Exp(f.arguments[1]*a.rng.NormFloat64())
		if f.kind == "slower" && a.rng.Float64() < f.arguments[2] {
			out[i] *= f.arguments[3]
		}
	}
	slices.Sort(out)
	return out
}

// A measured is what one pod counted in one fold.
type measured struct {
	requests, bad, level float64
	durations            []float64 // ascending
}

// counted draws what pod i of n counts in the k-th of so many folds: its part of what
// the arm counts as a whole.
func (a *actor) counted(v Values, k, folds, i, n int) (m measured) {
	m.requests = part(a.value(v.Requests, k, folds, 0), i, n)
	switch v.Bad.kind {
	case "rate", "clusters":
		m.bad = a.value(v.Bad, k, folds, m.requests)
	default:
		m.bad = part(a.value(v.Bad, k, folds, m.requests), i, n)
	}
	m.level = a.value(v.Level, k, folds, 0)
	if v.Duration.given() {
		m.durations = a.durations(v.Duration, m.requests)
	}
	return m
}

// part is the share of pod i of n in a count, in whole events where the count is.
func part(count float64, i, n int) float64 {
	if count != math.Trunc(count) {
		return count / float64(n)
	}
	share := math.Floor(count / float64(n))
	if float64(i) < count-share*float64(n) {
		share++
	}
	return share
}

// above counts the durations above each bound.
func above(durations, bounds []float64) []float64 {
	out := make([]float64, len(bounds))
	for i, b := range bounds {
		at, _ := slices.BinarySearchFunc(durations, b, func(d, b float64) int {
			if d <= b {
				return -1
			}
			return 1
		})
		out[i] = float64(len(durations) - at)
	}
	return out
}
