package backtest

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/release-assay/assay/analysis"
)

// Truth is how a release turned out, as people know it. The zero value is unknown.
type Truth string

const (
	Good Truth = "good"
	Bad  Truth = "bad"
)

// Labels say how releases turned out.
type Labels struct {
	truth map[labelled]Truth
	used  map[labelled]bool
}

// labelled is what a label names: a deployment, or a version of a service.
type labelled struct {
	Deployment analysis.DeploymentID `json:"deployment"`
	Service    string                `json:"service"`
	Version    string                `json:"version"`
}

func (l labelled) String() string {
	if l.Deployment != "" {
		return "deployment " + string(l.Deployment)
	}
	return l.Service + " " + l.Version
}

// ReadLabels reads labels: CSV with the columns deployment and label, or service, version
// and label, named in its first line; or lines of JSON with the same keys. Errors name the
// line.
func ReadLabels(r io.Reader) (*Labels, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	l := &Labels{truth: map[labelled]Truth{}, used: map[labelled]bool{}}
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte{'{'}) {
		return l, l.readJSON(text)
	}
	return l, l.readCSV(text)
}

func (l *Labels) readJSON(text []byte) error {
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var row struct {
			labelled
			Label Truth `json:"label"`
		}
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.DisallowUnknownFields()
		if err := d.Decode(&row); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if err := l.add(row.labelled, row.Label); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return lines.Err()
}

func (l *Labels) readCSV(text []byte) error {
	rows := csv.NewReader(bytes.NewReader(text))
	head, err := rows.Read()
	if err != nil {
		return fmt.Errorf("no line that names the columns: %w", err)
	}
	for _, name := range head {
		if !slices.Contains([]string{"deployment", "service", "version", "label"}, name) {
			return fmt.Errorf("line 1: column %q is not known (legal: deployment, service, version, label)", name)
		}
	}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err // it names the line
		}
		cell := func(name string) string {
			if i := slices.Index(head, name); i >= 0 {
				return strings.TrimSpace(row[i])
			}
			return ""
		}
		line, _ := rows.FieldPos(0)
		if err := l.add(labelled{analysis.DeploymentID(cell("deployment")), cell("service"), cell("version")}, Truth(cell("label"))); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
}

func (l *Labels) add(what labelled, truth Truth) error {
	if truth != Good && truth != Bad {
		return fmt.Errorf("label %q is not known (legal: good, bad)", truth)
	}
	switch {
	case what.Deployment != "":
		what = labelled{Deployment: what.Deployment}
	case what.Service == "" || what.Version == "":
		return errors.New("it names neither a deployment nor a service and a version")
	}
	if earlier, twice := l.truth[what]; twice && earlier != truth {
		return fmt.Errorf("%v is labelled both %s and %s", what, earlier, truth)
	}
	l.truth[what] = truth
	return nil
}

// Of returns how the release of a case turned out; "": nobody said. A label of the
// deployment is worth more than one of the version.
func (l *Labels) Of(c Case) Truth {
	for _, what := range []labelled{{Deployment: c.Deployment}, {Service: c.Service, Version: c.Version}} {
		if truth, found := l.truth[what]; found {
			l.used[what] = true
			return truth
		}
	}
	return ""
}

// Unused returns what was labelled and is no case.
func (l *Labels) Unused() []string {
	var out []string
	for what := range l.truth {
		if !l.used[what] {
			out = append(out, what.String())
		}
	}
	slices.Sort(out)
	return out
}
