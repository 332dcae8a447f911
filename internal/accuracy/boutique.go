package accuracy

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// A Boutique is the nezha-onlineboutique recording: days on which faults were
// injected into a shop of ten services, a point a minute, one pod a service.
type Boutique struct{ Days []Day }

// A Day is one day at the shop's entry point.
type Day struct {
	Name     string
	At       []time.Time
	Requests []float64 // since the point before, of the frontend pod
	Failed   []float64 // of them, by the success rate of the entry point
	Success  []float64 // per cent
	P95      []float64 // seconds
	Faults   []Fault   // by time
}

// A Fault is one injection.
type Fault struct {
	At   time.Time
	Pod  string
	Type string // return, exception, cpu_consumed, cpu_contention, network_delay
}

// truth is that of a release with which the fault came. Faults in the code are the
// release's. A slow network is not, and of a busy processor metrics cannot tell whether
// the release or a neighbour keeps it busy.
func (f Fault) truth() Truth {
	if f.Type == "return" || f.Type == "exception" {
		return Bad
	}
	return Elsewhere
}

const boutiqueSpacing = time.Minute

// ReadBoutique reads the days of the recording below dir.
func ReadBoutique(dir string) (Boutique, error) {
	days, err := filepath.Glob(filepath.Join(dir, "20*"))
	if err != nil {
		return Boutique{}, err
	}
	if len(days) == 0 {
		return Boutique{}, fmt.Errorf("%s: no days", dir)
	}
	var b Boutique
	for _, folder := range days {
		d, err := ReadDay(filepath.Base(folder), folder, "pods.csv.gz")
		if err != nil {
			return b, err
		}
		b.Days = append(b.Days, d)
	}
	return b, nil
}

// ReadDay reads one day from a folder, the frontend's rows from the named file.
func ReadDay(name, folder, pods string) (Day, error) {
	d := Day{Name: name}
	entry, err := readSheet(filepath.Join(folder, "front_service.csv.gz"))
	if err != nil {
		return d, err
	}
	stamps, err1 := entry.column("TimeStamp")
	success, err2 := entry.column("SuccessRate(%)")
	p95, err3 := entry.column("LatencyP95(s)")
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			return d, err
		}
	}
	served, err := frontend(filepath.Join(folder, pods))
	if err != nil {
		return d, err
	}
	for i, stamp := range stamps {
		at := time.Unix(int64(stamp), 0).UTC()
		requests := nearest(served, at)
		d.At = append(d.At, at)
		d.Requests = append(d.Requests, requests)
		d.Failed = append(d.Failed, failures(requests, success[i]))
	}
	d.Success, d.P95 = success, p95
	d.Faults, err = readFaults(filepath.Join(folder, "fault_list.json"))
	return d, err
}

// frontend returns how many requests the frontend pod served in each minute.
func frontend(name string) ([]Sample, error) {
	table, err := readSheet(name)
	if err != nil {
		return nil, err
	}
	pod, at := slices.Index(table.columns, "PodName"), slices.Index(table.columns, "TimeStamp")
	if pod < 0 || at < 0 {
		return nil, fmt.Errorf("%s: no PodName or TimeStamp", name)
	}
	workload, err := table.column("PodWorkload(Ops)")
	if err != nil {
		return nil, err
	}
	var out []Sample
	for i, row := range table.rows {
		if service(row[pod]) != "frontend" {
			continue
		}
		stamp, err := strconv.ParseInt(row[at], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s, row %d: %w", name, i+2, err)
		}
		out = append(out, Sample{time.Unix(stamp, 0).UTC(), math.Round(workload[i] * boutiqueSpacing.Seconds())})
	}
	return out, nil
}

// service is the name of a pod without its last two parts.
func service(pod string) string {
	end := len(pod)
	for range 2 {
		for end--; end > 0 && pod[end] != '-'; end-- {
		}
	}
	return pod[:max(end, 0)]
}

// nearest is the value of the sample within half a minute of an instant, NaN where
// there is none. Both tables of a day have a row a minute, not at the same second.
func nearest(samples []Sample, at time.Time) float64 {
	i, _ := slices.BinarySearchFunc(samples, at.Add(-boutiqueSpacing/2), func(s Sample, t time.Time) int { return s.At.Compare(t) })
	if i < len(samples) && samples[i].At.Before(at.Add(boutiqueSpacing/2)) {
		return samples[i].Value
	}
	return math.NaN()
}

func readFaults(name string) ([]Fault, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var hours map[string][]struct {
		Stamp string `json:"inject_timestamp"`
		Pod   string `json:"inject_pod"`
		Type  string `json:"inject_type"`
	}
	if err := json.Unmarshal(text, &hours); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var out []Fault
	for _, faults := range hours {
		for _, f := range faults {
			stamp, err := strconv.ParseInt(f.Stamp, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			out = append(out, Fault{time.Unix(stamp, 0).UTC(), f.Pod, f.Type})
		}
	}
	slices.SortFunc(out, func(a, b Fault) int { return a.At.Compare(b.At) })
	return out, nil
}

const (
	// quiet is how far from any fault a placebo lies, as the recording's README says.
	quiet = 8 * time.Minute
	// firstPlacebo is how much of a day is left as history of the first placebo.
	firstPlacebo = time.Hour
)

// between is how far placebos lie apart: about as long as a fault lasts.
const between = 3 * time.Minute

// faultLasts is how long a fault is felt. The history of a case leaves that out: the
// faults stand for other deployments, and a history knows none (statistics 2.5).
const faultLasts = 4 * time.Minute

// Recorded are a deployment of the shop at each fault, and placebos in quiet minutes.
// A case ends where the next fault begins.
func (d Day) Recorded() []Recorded {
	var out []Recorded
	for _, f := range d.Faults {
		c := Case{Name: fmt.Sprintf("%s %s %s", f.At.Format(time.DateTime), f.Type, service(f.Pod)), Group: f.Type, Truth: f.truth(), StartedAt: f.At}
		out = append(out, d.record(c))
	}
	last := time.Time{}
	for _, at := range d.At {
		if at.Before(d.At[0].Add(firstPlacebo)) || at.Before(last.Add(between)) || d.nearFault(at) || at.Add(Deadline*boutiqueSpacing).After(d.At[len(d.At)-1]) {
			continue
		}
		last = at
		out = append(out, d.record(Case{Name: at.Format(time.DateTime) + " placebo", Group: "placebo", Truth: Harmless, StartedAt: at.Add(time.Second)}))
	}
	return out
}

// record makes the case, whose service is named after its start.
func (d Day) record(c Case) Recorded {
	c.Service = "boutique-" + c.StartedAt.Format("20060102-150405")
	var before, after points
	for i, at := range d.At {
		switch {
		case at.After(c.StartedAt) && !d.faultBetween(c.StartedAt, at):
			after.add(at, d.Requests[i], d.Failed[i], d.P95[i])
		case !at.After(c.StartedAt) && at.After(c.StartedAt.Add(-Past)) && !d.duringFault(at):
			before.add(at, d.Requests[i], d.Failed[i], d.P95[i])
		}
	}
	return record(c, boutiqueSpacing, before, after)
}

func (d Day) nearFault(at time.Time) bool {
	return slices.ContainsFunc(d.Faults, func(f Fault) bool { return f.At.Sub(at).Abs() < quiet })
}

// faultBetween reports whether a fault began after from and before to.
func (d Day) faultBetween(from, to time.Time) bool {
	return slices.ContainsFunc(d.Faults, func(f Fault) bool { return f.At.After(from) && f.At.Before(to) })
}

// duringFault reports whether the minute that ends at an instant felt a fault.
func (d Day) duringFault(at time.Time) bool {
	return slices.ContainsFunc(d.Faults, func(f Fault) bool { return at.After(f.At) && !at.After(f.At.Add(faultLasts)) })
}
