package accuracy

import (
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Scenario is one file of the delag recording: single requests to a train-ticket
// application, how long each took as a whole and in each remote call, and which of
// two delays was injected into it.
type Scenario struct {
	Name  string
	Calls []string // the whole request (Latency) first, then the remote calls
	// Clean are requests without delay, Delayed those with the first and with the
	// second one: of each request the milliseconds by call.
	Clean   [][]float64
	Delayed [2][][]float64
}

// wholeRequest is the column of the request from end to end.
const wholeRequest = "Latency"

// anomalyColumn says which delay a request suffered: 0 none.
const anomalyColumn = "anomaly"

// ReadDelag reads the scenarios of a folder of the delag recording, sorted by name:
// of scenarios.tar.zst, else of the CSV files in samples.
func ReadDelag(dir string) ([]Scenario, error) {
	var out []Scenario
	add := func(name string, r io.Reader) error {
		s, err := parseScenario(name, r)
		out = append(out, s)
		return err
	}
	archive := filepath.Join(dir, "scenarios.tar.zst")
	if _, err := os.Stat(archive); err == nil {
		err = unpack(archive, func(name string, r io.Reader) error {
			if !strings.HasSuffix(name, ".csv") {
				return nil
			}
			return add(name, r)
		})
		if err != nil {
			return nil, err
		}
	} else {
		files, err := filepath.Glob(filepath.Join(dir, "samples", "*.csv.gz"))
		if err != nil {
			return nil, err
		}
		for _, name := range files {
			if err := unzip(name, add); err != nil {
				return nil, err
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: neither scenarios.tar.zst nor samples/*.csv.gz", dir)
	}
	slices.SortFunc(out, func(a, b Scenario) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func unzip(name string, each func(name string, r io.Reader) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return each(name, z)
}

func parseScenario(name string, r io.Reader) (Scenario, error) {
	table, err := parseSheet(name, r)
	if err != nil {
		return Scenario{}, err
	}
	base, _, _ := strings.Cut(filepath.Base(name), ".")
	s := Scenario{Name: base, Calls: []string{wholeRequest}}
	for _, c := range table.columns {
		if c != wholeRequest && c != anomalyColumn {
			s.Calls = append(s.Calls, c)
		}
	}
	requests := make([][]float64, len(table.rows))
	for _, call := range s.Calls {
		values, err := table.column(call)
		if err != nil {
			return s, err
		}
		for i, v := range values {
			if !(v >= 0) || math.IsInf(v, 0) {
				return s, fmt.Errorf("%s, row %d: %s took %v ms", name, i+2, call, v)
			}
			requests[i] = append(requests[i], v)
		}
	}
	anomaly, err := table.column(anomalyColumn)
	if err != nil {
		return s, err
	}
	for i, kind := range anomaly {
		switch kind {
		case 0:
			s.Clean = append(s.Clean, requests[i])
		case 1, 2:
			s.Delayed[int(kind)-1] = append(s.Delayed[int(kind)-1], requests[i])
		default:
			return s, fmt.Errorf("%s, row %d: anomaly %v is none of 0, 1, 2", name, i+2, kind)
		}
	}
	if len(s.Clean) < oldRequests+2*newRequests {
		return s, fmt.Errorf("%s: %d clean requests are too few", name, len(s.Clean))
	}
	return s, nil
}

// The sizes that the recording's README asks for.
const (
	oldRequests = 500
	newRequests = 200
)

// A Draw is one release made from a scenario: the requests that the old and the new
// version served side by side, and what the old one served before.
type Draw struct {
	Case
	Calls             []string
	Old, New, History [][]float64
}

// Draw makes the release whose new version delays a share of its requests in the
// first or the second way (kind 0 or 1): oldRequests clean requests for the old
// version, newRequests for the new one, no request twice; the rest is history. The
// seed and the scenario's name fix what is drawn. No more requests are delayed than
// there are delayed ones.
func (s Scenario) Draw(share float64, kind int, seed uint64) Draw {
	name := fmt.Sprintf("%s f=%v delay %d seed %d", s.Name, share, kind+1, seed)
	rng := rand.New(rand.NewPCG(seed, seedOf(name)))
	clean := shuffled(rng, s.Clean)
	slow := shuffled(rng, s.Delayed[kind])
	n := min(len(slow), int(math.Round(share*newRequests)))
	d := Draw{Case: Case{Name: name, Group: shareGroup(share), Truth: Bad, Service: "train-ticket", StartedAt: delagStart}, Calls: s.Calls}
	if share == 0 {
		d.Truth = Harmless
	}
	d.Old, clean = clean[:oldRequests], clean[oldRequests:]
	fresh := newRequests - n
	d.New, d.History = slices.Concat(slow[:n], clean[:fresh]), clean[fresh:]
	rng.Shuffle(len(d.New), func(i, j int) { d.New[i], d.New[j] = d.New[j], d.New[i] })
	return d
}

// shareGroup is the row of the table for a share of delayed requests.
func shareGroup(share float64) string { return fmt.Sprintf("f = %v", share) }

// seedOf is the FNV-1a hash of a name.
func seedOf(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return h
}

func shuffled(rng *rand.Rand, in [][]float64) [][]float64 {
	out := slices.Clone(in)
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}
