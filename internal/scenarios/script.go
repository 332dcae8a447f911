package scenarios

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// A Scenario is one script.
type Scenario struct {
	Name       string
	Story      string // the comment at its head
	Origin     string // where it was told
	Cadence    time.Duration
	Window     analysis.Window
	Weight     float64 // declared share of the canary; 0: none
	Pods       map[analysis.Arm]int
	Objectives []analysis.Objective
	Histories  []History
	Scenes     []Scene
	Expect     []Expectation
	Kayenta    []Kayenta
}

// A History is what one objective counted before the deployment, minute by minute.
type History struct {
	Objective string
	Hours     int
	Pods      int
	Values    Values
}

// A Scene is what one arm counted for one objective from fold From to fold To, both
// included, counted from 1. A later scene replaces an earlier one.
type Scene struct {
	From, To  int
	Arms      []analysis.Arm
	Objective string
	Values    Values
	State     string        // "": counted as Values say; "silent": no telemetry; "idle": alive, nothing served
	Missing   analysis.Code // the whole fold is missing, of both arms
}

// An Expectation is what must be answered.
type Expectation struct {
	Never bool // no more than Most of the Seeds may be answered with Word
	Word  verdicts.Word
	Code  analysis.Code
	By    int // final at this fold at the latest; 0: by the deadline
	Seeds int
	Most  int
}

// A Kayenta is what Kayenta's judge answers on an objective's points.
type Kayenta struct {
	Objective string
	Label     string
	Options   map[string]string // direction, nan
	Least     int               // of Seeds runs; without Seeds the scenario itself
	Most      int               // of Seeds runs; 0: all
	Seeds     int
}

// ReadAll reads the scripts of a folder, by name.
func ReadAll(dir string) ([]Scenario, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.scenario"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var out []Scenario
	var errs []error
	for _, name := range files {
		s, err := Read(name)
		out = append(out, s)
		errs = append(errs, err)
	}
	return out, errors.Join(errs...)
}

// Read reads one script. It returns every fault with its line, joined.
func Read(name string) (Scenario, error) {
	f, err := os.Open(name)
	if err != nil {
		return Scenario{}, err
	}
	defer f.Close()
	s := Scenario{Name: strings.TrimSuffix(filepath.Base(name), ".scenario"), Cadence: time.Minute, Window: analysis.DefaultWindow(), Pods: map[analysis.Arm]int{analysis.Baseline: 3, analysis.Canary: 1}}
	var errs []error
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if comment, ok := strings.CutPrefix(line, "#"); ok {
			s.Story = strings.TrimSpace(s.Story + " " + strings.TrimSpace(comment))
			continue
		}
		if err := s.command(strings.Fields(line)); err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", name, n, err))
		}
	}
	if len(errs) == 0 {
		errs = append(errs, s.whole(name))
	}
	return s, errors.Join(append(errs, lines.Err())...)
}

// whole reports what a script lacks.
func (s *Scenario) whole(name string) error {
	if s.Story == "" || s.Origin == "" || len(s.Objectives) == 0 || len(s.Scenes) == 0 || len(s.Expect) == 0 {
		return fmt.Errorf("%s: a script has a comment that says why, and the commands origin, objective, during and expect", name)
	}
	return nil
}

// command takes one line of a script.
func (s *Scenario) command(words []string) error {
	if len(words) == 0 {
		return nil
	}
	name, words := words[0], words[1:]
	switch name {
	case "origin":
		s.Origin = strings.Join(words, " ")
		return nil
	case "window":
		return s.window(words)
	case "pods":
		return s.pods(words)
	case "objective":
		return s.objective(words)
	case "history":
		return s.history(words)
	case "during":
		return s.during(words)
	case "expect":
		return s.expect(words)
	case "kayenta":
		return s.kayenta(words)
	}
	return fmt.Errorf("%q is no command (legal: origin, window, pods, objective, history, during, expect, kayenta)", name)
}

// keys splits words of the form key=value; only those named are legal.
func keys(words []string, legal ...string) (map[string]string, error) {
	out := map[string]string{}
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok || !slices.Contains(legal, key) {
			return nil, fmt.Errorf("%q is not one of %s=", w, strings.Join(legal, "=, "))
		}
		out[key] = value
	}
	return out, nil
}

// set reads the values of keys into variables; absent keys leave them alone.
func set(values map[string]string, into map[string]any) error {
	var errs []error
	for key, variable := range into {
		text, ok := values[key]
		if !ok {
			continue
		}
		var err error
		switch v := variable.(type) {
		case *int:
			*v, err = strconv.Atoi(text)
		case *float64:
			*v, err = strconv.ParseFloat(text, 64)
		case *string:
			*v = text
		case *time.Duration:
			*v, err = time.ParseDuration(text)
		case *analysis.Duration:
			var d time.Duration
			d, err = time.ParseDuration(text)
			*v = analysis.Duration(d)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	return errors.Join(errs...)
}

func (s *Scenario) window(words []string) error {
	values, err := keys(words, "cadence", "deadline", "minBake", "warmup", "weight")
	return cmp.Or(err, set(values, map[string]any{
		"cadence": &s.Cadence, "deadline": &s.Window.Deadline, "minBake": &s.Window.MinBake, "warmup": &s.Window.Warmup, "weight": &s.Weight,
	}))
}

func (s *Scenario) pods(words []string) error {
	values, err := keys(words, "baseline", "canary")
	baseline, canary := s.Pods[analysis.Baseline], s.Pods[analysis.Canary]
	err = cmp.Or(err, set(values, map[string]any{"baseline": &baseline, "canary": &canary}))
	s.Pods[analysis.Baseline], s.Pods[analysis.Canary] = baseline, canary
	return err
}

func (s *Scenario) objective(words []string) error {
	if len(words) < 2 {
		return errors.New("an objective has a name and a shape")
	}
	values, err := keys(words[2:], "role", "target", "tolerance", "margin", "better")
	o := analysis.Objective{Name: words[0], Role: analysis.Critical, Signal: analysis.Signal{Name: words[0], Source: "script", Unit: "1", Shape: analysis.Shape(words[1])}}
	role, better := string(o.Role), ""
	var tolerance, margin float64
	err = cmp.Or(err, set(values, map[string]any{"role": &role, "target": &o.Target, "tolerance": &tolerance, "margin": &margin, "better": &better}))
	o.Role, o.Signal.Better = analysis.Role(role), analysis.Better(better)
	if tolerance > 0 {
		o.Tolerance = &analysis.Bound{Ratio: tolerance}
	}
	if margin > 0 {
		o.Margin = &analysis.Bound{Ratio: margin}
	}
	it := &analysis.Selector{Metric: o.Name}
	switch o.Signal.Shape {
	case analysis.ShapeRatio:
		o.Signal.Bad, o.Signal.Total = it, &analysis.Selector{Metric: o.Name + "_total"}
	case analysis.ShapeDistribution:
		o.Signal.Histogram, o.Signal.Unit = it, "s"
	case analysis.ShapeLevel:
		o.Signal.Gauge, o.Signal.Unit = it, "By"
	}
	s.Objectives = append(s.Objectives, o)
	return cmp.Or(err, o.Validate())
}

// known reports an objective that no line above declares.
func (s *Scenario) known(objective string) error {
	if slices.ContainsFunc(s.Objectives, func(o analysis.Objective) bool { return o.Name == objective }) {
		return nil
	}
	return fmt.Errorf("no objective is called %q", objective)
}

func (s *Scenario) history(words []string) error {
	if len(words) < 2 {
		return errors.New("a history has an objective and values")
	}
	h := History{Objective: words[0], Hours: 24, Pods: s.Pods[analysis.Baseline]}
	var rest []string
	var own []string
	for _, w := range words[1:] {
		if strings.HasPrefix(w, "hours=") || strings.HasPrefix(w, "pods=") {
			own = append(own, w)
		} else {
			rest = append(rest, w)
		}
	}
	values, err := keys(own, "hours", "pods")
	err = cmp.Or(s.known(h.Objective), err, set(values, map[string]any{"hours": &h.Hours, "pods": &h.Pods}))
	if err == nil {
		h.Values, err = parseValues(rest)
	}
	s.Histories = append(s.Histories, h)
	return err
}

func (s *Scenario) during(words []string) error {
	if len(words) < 4 {
		return errors.New("a scene has folds, an arm, an objective and what was counted")
	}
	var c Scene
	var err error
	if c.From, c.To, err = folds(words[0]); err != nil {
		return err
	}
	switch words[1] {
	case "baseline":
		c.Arms = []analysis.Arm{analysis.Baseline}
	case "canary":
		c.Arms = []analysis.Arm{analysis.Canary}
	case "both":
		c.Arms = []analysis.Arm{analysis.Baseline, analysis.Canary}
	default:
		return fmt.Errorf("%q is no arm (legal: baseline, canary, both)", words[1])
	}
	c.Objective = words[2]
	if err := s.known(c.Objective); err != nil {
		return err
	}
	switch words[3] {
	case "silent", "idle":
		c.State = words[3]
	case "missing":
		if len(words) != 5 || words[1] != "both" {
			return errors.New("a fold is missing for both arms, with a reason code")
		}
		c.Missing = analysis.Code(words[4])
	default:
		c.Values, err = parseValues(words[3:])
	}
	s.Scenes = append(s.Scenes, c)
	return err
}

// folds reads A..B or A.
func folds(text string) (from, to int, err error) {
	first, last, ok := strings.Cut(text, "..")
	if !ok {
		last = first
	}
	from, err1 := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	if err1 != nil || err2 != nil || from < 1 || to < from {
		return 0, 0, fmt.Errorf("%q are no folds (write 3 or 1..30)", text)
	}
	return from, to, nil
}

func (s *Scenario) expect(words []string) error {
	var e Expectation
	if len(words) > 0 && words[0] == "never" {
		e.Never, words = true, words[1:]
	}
	if len(words) == 0 || e.Word.UnmarshalText([]byte(words[0])) != nil || e.Word == verdicts.Pending {
		return errors.New("expect promote, rollback or hold, or never one of them")
	}
	words = words[1:]
	if !e.Never {
		if len(words) == 0 || strings.Contains(words[0], "=") {
			return errors.New("a verdict is expected with its reason code")
		}
		e.Code, words = analysis.Code(words[0]), words[1:]
	}
	values, err := keys(words, "by", "seeds", "most")
	err = cmp.Or(err, set(values, map[string]any{"by": &e.By, "seeds": &e.Seeds, "most": &e.Most}))
	s.Expect = append(s.Expect, e)
	return err
}

func (s *Scenario) kayenta(words []string) error {
	if len(words) < 2 {
		return errors.New("kayenta answers an objective with a label")
	}
	k := Kayenta{Objective: words[0], Label: words[1]}
	var err error
	if k.Options, err = keys(words[2:], "direction", "nan", "seeds", "least", "most"); err == nil {
		err = set(k.Options, map[string]any{"seeds": &k.Seeds, "least": &k.Least, "most": &k.Most})
	}
	s.Kayenta = append(s.Kayenta, k)
	return cmp.Or(s.known(k.Objective), err)
}
