package dashboards

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/release-assay/assay/internal/instrument"
)

// lint returns what is wrong with a dashboard.
func lint(d Dashboard) (problems []string) {
	report := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if d.UID == "" || d.Title == "" || d.Description == "" || !slices.Contains(d.Tags, tag) || d.Editable {
		report("a dashboard has a uid, a title, a description and the tag %s, and is not editable", tag)
	}
	variables := map[string]bool{"__rate_interval": true, "__range": true}
	for _, v := range d.Templating.List {
		variables[v.Name] = true
		if v.Label == "" {
			report("variable %s has no label", v.Name)
		}
		if q, is := v.Query.(VariableQuery); is {
			for _, problem := range lintVariable(q.Query) {
				report("variable %s: %s", v.Name, problem)
			}
		}
	}
	for _, needed := range []string{"datasource", "loki", "cluster", "job", "instance"} {
		if !variables[needed] {
			report("there is no variable %s", needed)
		}
	}
	for _, a := range d.Annotations.List {
		if a.Datasource == lines { // LogQL: internal/e2e asks a real Loki what the mirror writes
			for _, problem := range undefined(a.Expr, variables) {
				report("annotation %s: %s", a.Name, problem)
			}
			continue
		}
		for _, problem := range append(lintExpression(a.Expr, false), undefined(a.Expr, variables)...) {
			report("annotation %s: %s", a.Name, problem)
		}
	}
	ids, shown := map[int]string{}, 0
	var above Panel
	for _, p := range flat(d) {
		if other, taken := ids[p.ID]; taken || p.ID == 0 {
			report("panel %q has the id %d of %q", p.Title, p.ID, other)
		}
		ids[p.ID] = p.Title
		if p.Type == "row" && above.Type == "row" {
			report("row %q is empty", above.Title)
		}
		above = p
		if p.Title == "" {
			report("panel %d has no title", p.ID)
		}
		if p.Type == "row" {
			continue
		}
		shown++
		for _, problem := range lintPanel(p, variables) {
			report("panel %q: %s", p.Title, problem)
		}
	}
	if above.Type == "row" || shown == 0 {
		report("row %q is empty", above.Title)
	}
	return append(problems, overlaps(flat(d))...)
}

// flat lists the panels with those of collapsed rows.
func flat(d Dashboard) (all []Panel) {
	for _, p := range d.Panels {
		all = append(append(all, p), p.Panels...)
	}
	return all
}

func overlaps(panels []Panel) (problems []string) {
	for i, p := range panels {
		a := p.GridPos
		if a.X < 0 || a.W <= 0 || a.H <= 0 || a.X+a.W > columns {
			problems = append(problems, fmt.Sprintf("panel %q lies outside of the grid: %+v", p.Title, a))
		}
		for _, other := range panels[:i] {
			b := other.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				problems = append(problems, fmt.Sprintf("panels %q and %q overlap", other.Title, p.Title))
			}
		}
	}
	return problems
}

func lintPanel(p Panel, variables map[string]bool) (problems []string) {
	report := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if !strings.HasSuffix(p.Description, ".") {
		report("no description, or one that is no sentence")
	}
	if p.FieldConfig.Defaults.Unit == "" {
		report("no unit")
	}
	if len(p.Targets) == 0 {
		report("no query")
	}
	refs := map[string]bool{}
	for _, q := range p.Targets {
		if refs[q.RefID] {
			report("two queries are called %s", q.RefID)
		}
		refs[q.RefID] = true
		if q.LegendFormat == "" {
			report("%s: its series have no name", q.RefID)
		}
		if q.Datasource != prometheus || p.Datasource == nil || *p.Datasource != prometheus {
			report("%s: the data source is not the variable", q.RefID)
		}
		if q.Instant == q.Range {
			report("%s: is it asked at an instant or over a range?", q.RefID)
		}
		for _, problem := range append(lintExpression(q.Expr, q.Instant), undefined(q.Expr, variables)...) {
			report("%s: %s", q.RefID, problem)
		}
	}
	return problems
}

var variable = regexp.MustCompile(`\$\{?(\w+)\}?`)

func undefined(expr string, known map[string]bool) (problems []string) {
	for _, m := range variable.FindAllStringSubmatch(expr, -1) {
		if !known[m[1]] {
			problems = append(problems, "there is no variable $"+m[1])
		}
	}
	return problems
}

var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

func lintVariable(query string) []string {
	m := labelValues.FindStringSubmatch(query)
	if m == nil {
		return []string{"is not label_values(selector, label)"}
	}
	e, err := parse(m[1])
	if err != nil {
		return []string{err.Error()}
	}
	selector, ok := e.(*parser.VectorSelector)
	if !ok {
		return []string{"is no selector"}
	}
	known, problem := metric(selector.Name)
	if problem == "" && !known.has(m[2]) {
		problem = selector.Name + " has no label " + m[2]
	}
	return nonempty(problem)
}

// Stand-ins of Grafana's variables; every one is a different number of seconds.
const rateInterval, wholeRange = "61s", "3607s"

// parse reads an expression as Prometheus would get it.
func parse(expr string) (parser.Expr, error) {
	expr = strings.NewReplacer("$__rate_interval", rateInterval, "$__range", wholeRange).Replace(expr)
	return parser.ParseExpr(variable.ReplaceAllString(expr, ".*"))
}

// lintExpression holds an expression against the list of metrics and the habits of
// PromQL. A range of a query for one instant may be the time that is shown.
func lintExpression(expr string, instant bool) (problems []string) {
	report := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	root, err := parse(expr)
	if err != nil {
		return []string{fmt.Sprintf("%s: %v", expr, err)}
	}
	parser.Inspect(root, func(n parser.Node, path []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			problems = append(problems, lintSelector(n, path)...)
			for _, needed := range []string{"cluster", "job", "instance"} {
				if !slices.ContainsFunc(n.LabelMatchers, func(m *labels.Matcher) bool { return m.Name == needed && m.Type == labels.MatchRegexp }) {
					report("%s is not chosen by %s", n.Name, needed)
				}
			}
		case *parser.MatrixSelector:
			if window := n.Range.String(); window != "1m1s" && (!instant || window != "1h0m7s") {
				report("the interval %s is not $__rate_interval (or $__range, at an instant)", window)
			}
		case *parser.Call:
			if rising(n) && !slices.ContainsFunc(path, func(above parser.Node) bool { _, is := above.(*parser.AggregateExpr); return is }) {
				report("a %s is not summed", n.Func.Name)
			}
		}
		return nil
	})
	return problems
}

// lintSelector holds a selector, and what is made of it, against the metric's kind
// and labels.
func lintSelector(n *parser.VectorSelector, path []parser.Node) (problems []string) {
	report := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	m, problem := metric(n.Name)
	if problem != "" {
		return []string{problem}
	}
	for _, matcher := range n.LabelMatchers {
		if matcher.Name != labels.MetricName && !m.has(matcher.Name) {
			report("%s has no label %s", n.Name, matcher.Name)
		}
	}
	counted := false
	for i := len(path) - 1; i >= 0; i-- {
		switch above := path[i].(type) {
		case *parser.Call:
			counted = counted || rising(above) || above.Func.Name == "delta"
			if rising(above) && m.Kind == instrument.Gauge {
				report("%s of the gauge %s", above.Func.Name, n.Name)
			}
			if above.Func.Name == "histogram_quantile" && strings.HasSuffix(n.Name, "_bucket") {
				if sum := aggregate(path[i+1:]); sum == nil || !slices.Contains(sum.Grouping, "le") {
					report("the buckets %s are not kept apart by le", n.Name)
				}
			}
		case *parser.AggregateExpr:
			for _, label := range above.Grouping {
				if !m.has(label) {
					report("%s has no label %s to sum by", n.Name, label)
				}
			}
		}
	}
	if m.Kind != instrument.Gauge && !counted {
		report("the counter %s is shown without rate or increase", n.Name)
	}
	return problems
}

func rising(c *parser.Call) bool { return c.Func.Name == "rate" || c.Func.Name == "increase" }

func aggregate(path []parser.Node) *parser.AggregateExpr {
	for _, n := range path {
		if sum, is := n.(*parser.AggregateExpr); is {
			return sum
		}
	}
	return nil
}

// known is a metric that may be asked for.
type known struct {
	instrument.Metric
	buckets bool
}

// has tells whether the metric can carry the label, or the scrape adds it.
func (k known) has(label string) bool {
	return slices.Contains(k.Labels, label) || slices.Contains([]string{"cluster", "job", "instance"}, label) || label == "le" && k.buckets
}

// runtime is what the client library and Prometheus itself add.
var runtime = []instrument.Metric{
	{Name: "up", Kind: instrument.Gauge},
	{Name: "process_cpu_seconds_total", Kind: instrument.Counter},
	{Name: "process_resident_memory_bytes", Kind: instrument.Gauge},
	{Name: "process_open_fds", Kind: instrument.Gauge},
	{Name: "go_goroutines", Kind: instrument.Gauge},
	{Name: "go_memstats_heap_inuse_bytes", Kind: instrument.Gauge},
	{Name: "go_gc_duration_seconds_sum", Kind: instrument.Counter},
}

// metric finds what a selector names, or says that there is none.
func metric(name string) (known, string) {
	for _, m := range append(instrument.Catalogue(), runtime...) {
		if m.Name == name {
			return known{Metric: m}, ""
		}
		if base, is := strings.CutSuffix(name, "_bucket"); is && base == m.Name && m.Kind == instrument.Histogram {
			return known{m, true}, ""
		}
	}
	return known{}, fmt.Sprintf("no metric is called %q", name)
}

func nonempty(problem string) []string {
	if problem == "" {
		return nil
	}
	return []string{problem}
}
