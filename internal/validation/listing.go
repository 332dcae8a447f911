package validation

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/logdiff"
	"github.com/release-assay/assay/internal/gather"
	"github.com/release-assay/assay/verdicts"
)

// What sources list of lines and spans becomes evidence here: lines that no template of
// the plan matches are mined when their fold has closed, in the order of time, pod and
// text, so that another order of arrival gives the same templates; and the rows of pods
// are added up by arm. A look holds the result, so that to judge again mines nothing.

// canaryPods is how many pods of the canary are named for one template.
const canaryPods = 8

// list adds what an answer lists to the evidence of an objective.
func (v *run) list(o *analysis.PlannedObjective, e *analysis.Evidence, l gather.Listed) error {
	switch o.Signal.Shape {
	case analysis.ShapeTemplates:
		tree, err := v.tree()
		if err != nil {
			return err
		}
		e.Logs = tallyLines(tree, l)
		v.judge.State().WithoutTold(o.Name, e.Logs)
	case analysis.ShapeTopology:
		e.Spans = tallySpans(l)
	default:
		if o.Signal.Logs != nil && l.NoTraces { // seconds of pods are no requests where they are many
			e.Logs = &analysis.LogTally{NoTraces: true}
		}
	}
	if l.Tail != "" && o.Signal.Spans != nil { // spans that were kept for what they show tell no rates
		e.Missing, e.Rows = analysis.TailSampled, nil
		e.Warnings = append([]string{l.Tail}, e.Warnings...)
	}
	if err := e.PossibleTallies(); err != nil {
		return malformed(o, err)
	}
	return nil
}

// tree is that of the plan's templates and of those that were mined since.
func (v *run) tree() (*logdiff.Tree, error) {
	if v.templates != nil {
		return v.templates, nil
	}
	var set *analysis.TemplateSet
	if v.plan.Logs != nil {
		set = v.plan.Logs.Templates
	}
	tree, err := logdiff.Compile(set)
	if err != nil {
		return nil, fmt.Errorf("templates of %s: %w", v.row.ID, err)
	}
	for _, t := range v.judge.State().NewTemplates() {
		tree.Add(t)
	}
	v.templates = tree
	return tree, nil
}

// tallyLines mines what is unknown and adds up the lines of both arms.
func tallyLines(tree *logdiff.Tree, l gather.Listed) *analysis.LogTally {
	volumes := volumes{}
	lines := make([]gather.ArmLine, 0, len(l.Lines))
	for _, line := range l.Lines {
		volumes.add(line.Arm, line.LineRow)
		if line.Arm == analysis.Baseline || line.Arm == analysis.Canary { // what others write no look tells: after a restart nobody knew it
			lines = append(lines, line)
		}
	}
	slices.SortStableFunc(lines, func(a, b gather.ArmLine) int {
		return cmp.Or(firstSeen(a).Compare(firstSeen(b)), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Text, b.Text), cmp.Compare(a.Arm, b.Arm))
	})
	rows := make([]analysis.LineRow, len(lines))
	for i := range lines {
		rows[i] = lines[i].LineRow
	}
	mined, found := tree.Mine(rows)
	out := &analysis.LogTally{NotRead: l.NotRead, NoTraces: l.NoTraces}
	fresh := make(map[string]string, len(found)) // id to text, of those found now
	for _, t := range found {
		fresh[t.ID] = t.Text
	}
	at := map[string]int{}
	for i, row := range mined {
		k, known := at[row.Template]
		if !known {
			k = len(out.Templates)
			at[row.Template] = k
			out.Templates = append(out.Templates, analysis.TemplateTally{Template: row.Template, New: fresh[row.Template]})
		}
		addLine(&out.Templates[k], lines[i].Arm, row)
	}
	place := map[string]int{} // of new templates, in order of appearance; those of the plan come first, by id
	for i, t := range found {
		place[t.ID] = i + 1
	}
	slices.SortFunc(out.Templates, func(a, b analysis.TemplateTally) int {
		return cmp.Or(cmp.Compare(place[a.Template], place[b.Template]), cmp.Compare(a.Template, b.Template))
	})
	out.Volumes = volumes.sorted()
	return out
}

func firstSeen(l gather.ArmLine) time.Time {
	if l.Example == nil {
		return time.Time{}
	}
	return l.Example.Time
}

// addLine adds what one pod wrote to a template.
func addLine(t *analysis.TemplateTally, arm analysis.Arm, row analysis.LineRow) {
	t.Severity = max(t.Severity, row.Severity)
	if arm == analysis.Baseline {
		t.Baseline += row.Events
		t.BaselineLines += row.Lines
		t.BaselinePods++ // one with several versions counts twice: nothing depends on it
		return
	}
	t.Canary += row.Events
	t.CanaryLines += row.Lines
	if i, there := slices.BinarySearch(t.CanaryPods, row.Pod); !there && len(t.CanaryPods) < canaryPods {
		t.CanaryPods = slices.Insert(t.CanaryPods, i, row.Pod)
	}
	if t.CanaryExample == nil || row.Example != nil && row.Example.Time.Before(t.CanaryExample.Time) {
		t.CanaryExample = row.Example
	}
}

// volumes add up lines by arm and level.
type volumes map[[2]uint8]*analysis.Volume

func (v volumes) add(arm analysis.Arm, row analysis.LineRow) {
	key := [2]uint8{uint8(arm), uint8(row.Severity)}
	if v[key] == nil {
		v[key] = &analysis.Volume{Arm: arm, Level: row.Severity}
	}
	v[key].Lines += row.Lines
	v[key].Bytes += row.Bytes
}

func (v volumes) sorted() []analysis.Volume {
	var out []analysis.Volume
	for _, one := range v {
		out = append(out, *one)
	}
	slices.SortFunc(out, func(a, b analysis.Volume) int {
		return cmp.Or(cmp.Compare(a.Arm, b.Arm), cmp.Compare(a.Level, b.Level))
	})
	return out
}

// tallySpans adds up the operations and edges of both arms. Spans in which a service calls
// another are no operations of it: whole traces tell whom it called.
func tallySpans(l gather.Listed) *analysis.SpanTally {
	out := &analysis.SpanTally{NotRead: l.NotRead, Tail: l.Tail}
	at := map[analysis.Edge]int{}
	pods := map[podEdge]bool{}
	for _, row := range l.Spans {
		if row.Callee == "" && (row.Kind == "client" || row.Kind == "producer") {
			continue
		}
		row.Edge = readable(row.Edge)
		k, known := at[row.Edge]
		if !known {
			k = len(out.Edges)
			at[row.Edge] = k
			out.Edges = append(out.Edges, analysis.EdgeTally{Edge: row.Edge})
		}
		switch row.Arm {
		case analysis.Baseline:
			out.Edges[k].Baseline.Add(row.SpanCount)
		case analysis.Canary:
			out.Edges[k].Canary.Add(row.SpanCount)
			if by := (podEdge{row.Pod, row.Edge}); !pods[by] { // one with several versions has several rows
				pods[by] = true
				out.Edges[k].CanaryPods++
			}
		}
	}
	slices.SortFunc(out.Edges, func(a, b analysis.EdgeTally) int { return compareEdges(a.Edge, b.Edge) })
	return out
}

// maxName is the longest name of a service, version or operation.
const maxName = 256

// readable returns an edge whose names can do no more than be read.
func readable(e analysis.Edge) analysis.Edge {
	for _, name := range []*string{&e.Service, &e.Operation, &e.Kind, &e.Callee, &e.CalleeVersion, &e.CalleeOperation} {
		*name = verdicts.Shorten(verdicts.Plain(*name), maxName)
	}
	return e
}

type podEdge struct {
	pod string
	analysis.Edge
}

func compareEdges(a, b analysis.Edge) int {
	return cmp.Or(
		cmp.Compare(a.Service, b.Service), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Callee, b.Callee), cmp.Compare(a.CalleeVersion, b.CalleeVersion), cmp.Compare(a.CalleeOperation, b.CalleeOperation),
	)
}
