package analysis

import (
	"bytes"
	"cmp"
	"encoding/gob"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

var methodTemplates = Method{
	Name: "templates", Version: 1, Shape: ShapeTemplates,
	Assumptions:    "nothing is decided by it but that a new line of ERROR or above is looked at; a template is one event a request (or, without trace ids, a second of a pod); requests are independent given the fold, up to the clusters in which a template's events come",
	References:     "He et al. 2017 (Drain); Lindon & Malek 2022 (conditional counts); Wang & Ramdas 2022 (e-BH, weighted)",
	newAccumulator: func(p *Plan, o *PlannedObjective) (accumulator, error) { return newTemplates(p, o) },
}

// The bounds of what is kept. Of new templates those of ERROR and above have places of
// their own, so that a flood of others leaves no error unseen.
const (
	maxKnownTested  = 192  // templates of the plan with evidence
	maxNewTested    = 32   // new ones below ERROR, and as many of ERROR and above
	maxNewTemplates = 4096 // new ones that are named at all,
	maxNewQuiet     = 3072 // of these below ERROR
	maxShownPods    = 8
)

// The test of a template (statistics 10.1).
const (
	templateTolerance = 2.0
	templateScale     = 0.7
	templateMaxLog    = 6.5
	templateFDR       = 0.05
)

// severityWeight is a severity's part of the weights of the findings.
func severityWeight(s Severity) float64 {
	switch s {
	case SeverityFatal:
		return 8
	case SeverityError:
		return 4
	case SeverityWarn:
		return 2
	}
	return 0.25
}

// severityTotal is the sum over the four weights.
const severityTotal = 8 + 4 + 2 + 0.25

// templates lists the lines of both arms by template.
type templates struct {
	listing
	plan    *Plan
	grid    *stats.Grid
	of      map[string]int // place in Seen by id
	weights map[string]float64
	known   map[string]*Template
	scratch []float64
	found   []bool // by place in Seen: e-BH on the evidence now
	templatesState
}

// templatesState is what a checkpoint carries.
type templatesState struct {
	Seen     []templateSeen // in order of appearance
	Requests requests
	Both     int    // folds with requests of both arms
	Folds    int    // in which lines were read
	Named    int    // new ones,
	Quiet    int    // of these below ERROR
	Tested   [2]int // of the new ones below ERROR, and of ERROR and above
	Volumes  [2][SeverityFatal + 1]volumeSum
	Left     NotRead
	NoTraces bool
	Missed   float64 // lines that the canary should have written since its last, at the baseline's rate
}

// silentLines is how many lines must be missed before silence is no chance.
const silentLines = 10

// silent reports whether the canary's lines do not come any more.
func (t *templates) silent() bool { return t.Missed >= silentLines }

// listen notes who wrote any lines in a fold in which both arms served.
func (t *templates) listen(l *LogTally, c foldCounts) {
	var lines [2]float64
	for i := range l.Templates {
		lines[0] += l.Templates[i].BaselineLines
		lines[1] += l.Templates[i].CanaryLines
	}
	if t.Missed += rate(lines[0], c.nB) * c.nC; lines[1] > 0 {
		t.Missed = 0
	}
}

// templateSeen is what is known of one template.
type templateSeen struct {
	Template         // as first seen; of one of the plan the plan's
	New      bool    // not of the plan
	Weight   float64 // in e-BH; 0: not tested
	LogE     float64
	L        []float64 // harm part of its profile
	Burst    burst
	Worst    Severity
	Events   [2]float64 // baseline, canary
	Pods     []string   // of the canary
	Since    time.Time  // end of the first fold with events of the canary
	Example  *Line
}

func newTemplates(p *Plan, _ *PlannedObjective) (*templates, error) {
	grid, err := stats.NewGridConfig(stats.GridConfig{RhoR: templateTolerance, HarmScale: templateScale, MaxLog: templateMaxLog})
	if err != nil {
		return nil, err
	}
	t := &templates{plan: p, grid: grid, of: map[string]int{}, weights: map[string]float64{}, known: map[string]*Template{}, scratch: make([]float64, grid.Len())}
	if p.Logs != nil && p.Logs.Templates != nil {
		t.weigh(p.Logs.Templates.Templates)
	}
	return t, nil
}

// weigh gives the templates of the plan their weights: half of all, in proportion to
// severity. Those that are tested are chosen by severity, then by how common they were.
func (t *templates) weigh(known []Template) {
	chosen := make([]*Template, 0, len(known))
	for i := range known {
		k := &known[i]
		t.known[k.ID] = k
		chosen = append(chosen, k)
	}
	slices.SortFunc(chosen, func(a, b *Template) int {
		errorsFirst := cmp.Compare(max(b.Severity, SeverityWarn), max(a.Severity, SeverityWarn))
		return cmp.Or(errorsFirst, cmp.Compare(b.Lines, a.Lines), strings.Compare(a.ID, b.ID))
	})
	chosen = chosen[:min(len(chosen), maxKnownTested)]
	total := 0.0
	for _, k := range chosen {
		total += severityWeight(k.Severity)
	}
	for _, k := range chosen {
		t.weights[k.ID] = severityWeight(k.Severity) / total / 2
	}
}

// weightOfNew is the weight of the next new template: the other half, by severity and
// then 1/(j(j+1)) for the j-th of its severity in order of appearance. It is fixed
// before the template is tested.
func (t *templates) weightOfNew(s Severity) float64 {
	class := 0
	if s >= SeverityError {
		class = 1
	}
	if t.Tested[class] >= maxNewTested {
		return 0
	}
	t.Tested[class]++
	j := 1.0
	for i := range t.Seen {
		if n := &t.Seen[i]; n.New && n.Weight > 0 && severityWeight(n.Severity) == severityWeight(s) {
			j++
		}
	}
	return severityWeight(s) / severityTotal / 2 / (j * (j + 1))
}

func (t *templates) fold(f *taken) error {
	k := t.Both
	both := t.Requests.add(f.foldCounts)
	if both {
		t.Both++
	}
	if f.Logs == nil {
		return nil
	}
	t.Folds++
	t.Left.Add(f.Logs.NotRead)
	t.NoTraces = t.NoTraces || f.Logs.NoTraces
	t.addVolumes(f.Logs.Volumes, both)
	if both {
		t.listen(f.Logs, f.foldCounts)
	}
	for i := range f.Logs.Templates {
		tally := &f.Logs.Templates[i]
		seen := t.see(tally)
		if seen == nil {
			t.Left.Dropped += tally.BaselineLines + tally.CanaryLines
			continue
		}
		seen.count(tally, f.End)
		if !both || seen.Weight == 0 {
			continue
		}
		c := f.foldCounts
		c.xC, c.xB = min(tally.Canary, c.nC), min(tally.Baseline, c.nB)
		if err := t.test(seen, k, c); err != nil {
			return err
		}
	}
	t.discover()
	return nil
}

// see finds or begins what is kept of a template; nil: there is no place for it, or it has
// no name.
func (t *templates) see(tally *TemplateTally) *templateSeen {
	if tally.Template == "" {
		return nil
	}
	if i, ok := t.of[tally.Template]; ok {
		known := &t.Seen[i]
		if known.New && known.Weight == 0 && known.Severity < SeverityError && tally.Severity >= SeverityError { // of a flood of others; now it is an error
			known.Weight = t.weightOfNew(tally.Severity)
			known.Severity = tally.Severity
		}
		return known
	}
	seen := templateSeen{Template: Template{ID: tally.Template, Text: tally.New, Severity: tally.Severity}, New: true}
	if known, ok := t.known[tally.Template]; ok {
		seen.Template, seen.New, seen.Weight = *known, false, t.weights[known.ID]
	} else {
		quiet := tally.Severity < SeverityError
		if t.Named >= maxNewTemplates || quiet && t.Quiet >= maxNewQuiet {
			return nil
		}
		t.Named++
		if quiet {
			t.Quiet++
		}
		switch {
		case seen.ID == otherTemplate:
			seen.Text = "lines of so many templates that they are not told apart"
		case seen.Text == "":
			seen.Text = seen.ID
		}
		seen.Weight = t.weightOfNew(tally.Severity)
	}
	t.of[seen.ID] = len(t.Seen)
	t.Seen = append(t.Seen, seen)
	return &t.Seen[len(t.Seen)-1]
}

func (s *templateSeen) count(tally *TemplateTally, end time.Time) {
	s.Worst = max(s.Worst, s.Severity, tally.Severity)
	s.Events[0] += tally.Baseline
	s.Events[1] += tally.Canary
	if tally.Canary == 0 && tally.CanaryLines == 0 {
		return
	}
	if s.Since.IsZero() {
		s.Since = end.UTC()
	}
	for _, pod := range tally.CanaryPods {
		if !slices.Contains(s.Pods, pod) && len(s.Pods) < maxShownPods {
			s.Pods = append(s.Pods, pod)
		}
	}
	slices.Sort(s.Pods)
	if s.Example == nil && tally.CanaryExample != nil {
		example := *tally.CanaryExample
		example.Time = example.Time.UTC()
		s.Example = &example
	}
}

// test adds a fold to the evidence of one template.
func (t *templates) test(s *templateSeen, k int, c foldCounts) error {
	if c.xC+c.xB == 0 {
		return nil
	}
	clear(t.scratch)
	p := stats.Profile{L: t.scratch}
	if err := p.Add(t.grid, c.xC, c.xB, c.nC, c.nB, s.Burst.phi(k)); err != nil {
		return fmt.Errorf("template %s: %w", s.ID, err)
	}
	part := t.grid.HarmPart(t.scratch)
	if s.L == nil {
		s.L = make([]float64, len(part))
	}
	addTo(s.L, part)
	copy(part, s.L)
	s.LogE = p.LogHarm(t.grid)
	s.Burst.add(k, c)
	return nil
}

// discover finds out which templates are findings now.
func (t *templates) discover() {
	logE, weights := make([]float64, len(t.Seen)), make([]float64, len(t.Seen))
	for i := range t.Seen {
		logE[i], weights[i] = t.Seen[i].LogE, t.Seen[i].Weight
	}
	t.found = stats.WeightedEBH(logE, weights, templateFDR)
}

// otherTemplate is what lines beyond the bounds of their reader are called.
const otherTemplate = "_other"

// newTemplates are those that the plan does not have, in order of appearance.
func (t *templates) newTemplates() []Template {
	var out []Template
	for i := range t.Seen {
		if t.Seen[i].New && t.Seen[i].ID != otherTemplate {
			out = append(out, t.Seen[i].Template)
		}
	}
	return out
}

func (t *templates) notRead() NotRead { return t.Left }

func (t *templates) counted() string { return t.listed() }

func (t *templates) compared() string { return t.listed() }

func (t *templates) listed() string {
	fresh, errors := 0, 0
	for i := range t.Seen {
		if s := &t.Seen[i]; s.New && s.Events[0] == 0 {
			fresh++
			if s.Worst >= SeverityError {
				errors++
			}
		}
	}
	if t.Folds == 0 {
		return ""
	}
	return fmt.Sprintf("%d templates, %d of the canary alone, %d of these of error or above", len(t.Seen), fresh, errors)
}

func (t *templates) snapshot() ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(t.templatesState)
	return b.Bytes(), err
}

func (t *templates) restore(data []byte) error {
	var s templatesState
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&s); err != nil {
		return err
	}
	harm := len(t.grid.HarmPart(t.scratch))
	ok := finite(s.Requests.Baseline, s.Requests.Canary, s.Missed)
	for a := range s.Volumes {
		for _, v := range s.Volumes[a] {
			ok = ok && finite(v.Lines, v.Bytes)
		}
	}
	if !ok {
		return fmt.Errorf("checkpoint of lines that nobody can have counted")
	}
	of := map[string]int{}
	for i := range s.Seen {
		n := &s.Seen[i]
		if l := len(n.L); l != 0 && l != harm || !finite(n.Events[0], n.Events[1], n.Weight) || n.Burst.N < 0 || n.Burst.N > burstLength || math.IsNaN(n.LogE) {
			return fmt.Errorf("checkpoint of template %s belongs to another plan", n.ID)
		}
		n.Since = n.Since.UTC()
		if n.Example != nil {
			n.Example.Time = n.Example.Time.UTC()
		}
		of[n.ID] = i
	}
	t.templatesState, t.of = s, of
	t.discover()
	return nil
}
