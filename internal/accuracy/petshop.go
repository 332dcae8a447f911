package accuracy

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// An Issue is a recording of the petshop around one injected issue: a point in five
// minutes, two before the complaint and three after, as a rule.
type Issue struct {
	Name    string
	Traffic string
	Kind    string // code, configuration or flood: what the injection changed
	Metric  string // of the complaint at the entry point: latency or availability
	Cause   string // the component that was changed
	At      time.Time
	entry   points
}

// Quiet is a long recording of the petshop without injection.
type Quiet struct {
	Traffic string
	entry   points
}

const petshopSpacing = 5 * time.Minute

// entryPoint is where all complaints are made.
const entryPoint = "PetSite"

// ReadPetshop reads the issues and the quiet recordings of the petshop in a folder.
func ReadPetshop(dir string) ([]Issue, []Quiet, error) {
	targets, err := filepath.Glob(filepath.Join(dir, "*", "t*", "issue_*", "target.json"))
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(targets)
	var issues []Issue
	for _, name := range targets {
		parts := strings.Split(filepath.ToSlash(filepath.Dir(name)), "/")
		issue, err := ReadIssue(filepath.Dir(name))
		if err != nil {
			return nil, nil, err
		}
		issue.Traffic = parts[len(parts)-3]
		issue.Name = strings.Join(parts[len(parts)-3:], " ")
		issues = append(issues, issue)
	}
	long, err := filepath.Glob(filepath.Join(dir, "*", "noissue", "metrics.csv.gz"))
	if err != nil {
		return nil, nil, err
	}
	var quiet []Quiet
	for _, name := range long {
		p, err := readEntry(name)
		if err != nil {
			return nil, nil, err
		}
		quiet = append(quiet, Quiet{filepath.Base(filepath.Dir(filepath.Dir(name))), p})
	}
	if len(issues) == 0 {
		return nil, nil, fmt.Errorf("%s: no issues", dir)
	}
	return issues, quiet, nil
}

// ReadIssue reads the issue in one folder.
func ReadIssue(dir string) (Issue, error) {
	name := filepath.Join(dir, "target.json")
	text, err := os.ReadFile(name)
	if err != nil {
		return Issue{}, err
	}
	var target struct {
		Target struct {
			Metric    string
			Timestamp float64
		}
		Cause    struct{ Node string } `json:"root_cause"`
		Metadata struct{ Reproducibility struct{ Command string } }
	}
	if err := json.Unmarshal(text, &target); err != nil {
		return Issue{}, fmt.Errorf("%s: %w", name, err)
	}
	issue := Issue{
		Name: filepath.Base(dir), Metric: target.Target.Metric, Cause: target.Cause.Node, Kind: kindOf(target.Metadata.Reproducibility.Command),
		At: time.UnixMilli(int64(math.Round(1000 * target.Target.Timestamp))).UTC(),
	}
	issue.entry, err = readEntry(filepath.Join(dir, "metrics.csv.gz"))
	return issue, err
}

// kindOf reads from the command that injected an issue what it changed.
func kindOf(command string) string {
	switch {
	case strings.Contains(command, "cdk deploy"):
		return "code"
	case strings.Contains(command, "put-parameter"):
		return "configuration"
	}
	return "flood"
}

// readEntry reads what the entry point did: latency (average), requests (sum since
// the point before) and availability (per cent). There are four header rows.
func readEntry(name string) (points, error) {
	table, err := readSheet(name)
	if err != nil {
		return points{}, err
	}
	if len(table.rows) < 4 {
		return points{}, fmt.Errorf("%s: no points", name)
	}
	metric, statistic := table.rows[0], table.rows[1]
	find := func(m, s string) (int, error) {
		for i, component := range table.columns {
			if component == entryPoint && metric[i] == m && statistic[i] == s {
				return i, nil
			}
		}
		return 0, fmt.Errorf("%s: no %s (%s) of %s", name, m, s, entryPoint)
	}
	requests, err1 := find("requests", "Sum")
	latency, err2 := find("latency", "Average")
	availability, err3 := find("availability", "Average")
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			return points{}, err
		}
	}
	var p points
	for i, row := range table.rows[3:] {
		var v [4]float64
		for k, column := range []int{0, requests, latency, availability} {
			if v[k], err = number(row[column]); err != nil {
				return p, fmt.Errorf("%s, row %d: %w", name, i+5, err)
			}
		}
		p.add(time.UnixMilli(int64(math.Round(1000*v[0]))).UTC(), v[1], failures(v[1], v[3]), v[2])
	}
	return p, nil
}

// Recorded is the deployment that brought the issue.
func (i Issue) Recorded(service string) Recorded {
	n := 0
	for n < i.entry.len() && !i.entry.at[n].After(i.At) {
		n++
	}
	c := Case{Name: i.Name, Group: i.Kind + ", " + i.Metric, Truth: Bad, Service: service, StartedAt: i.At}
	if i.Kind == "flood" {
		c.Truth = Elsewhere
	}
	return record(c, petshopSpacing, i.entry.part(0, n), i.entry.part(n, i.entry.len()))
}

// Placebos are deployments of nothing, side by side without overlap: each has what
// lies before it as history and Deadline points of its own.
func (q Quiet) Placebos() []Recorded {
	var out []Recorded
	n := int(Past / petshopSpacing)
	for from := Deadline; from+Deadline <= q.entry.len(); from += Deadline {
		c := Case{
			Name: fmt.Sprintf("%s point %d", q.Traffic, from), Group: "placebo, " + q.Traffic, Truth: Harmless,
			Service: named("petshop-"+strings.ReplaceAll(q.Traffic, "_", "-"), from), StartedAt: q.entry.at[from-1].Add(time.Second),
		}
		out = append(out, record(c, petshopSpacing, q.entry.part(max(0, from-n), from), q.entry.part(from, min(q.entry.len(), from+Deadline+1))))
	}
	return out
}
