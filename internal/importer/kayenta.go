package importer

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/release-assay/assay/internal/promql"
)

// canaryConfig is a canary configuration of Kayenta; of it, what says how two versions
// are compared.
type canaryConfig struct {
	Name         string         `json:"name"`
	Applications []string       `json:"applications"`
	Metrics      []canaryMetric `json:"metrics"`
	Classifier   struct {
		GroupWeights    map[string]float64 `json:"groupWeights"`
		ScoreThresholds struct {
			Marginal float64 `json:"marginal"`
			Pass     float64 `json:"pass"`
		} `json:"scoreThresholds"`
	} `json:"classifier"`
	Templates map[string]string `json:"templates"`
}

type canaryMetric struct {
	Name                   string      `json:"name"`
	Query                  canaryQuery `json:"query"`
	Groups                 []string    `json:"groups"`
	AnalysisConfigurations struct {
		Canary struct {
			Direction    string `json:"direction"`
			NaNStrategy  string `json:"nanStrategy"`
			Critical     bool   `json:"critical"`
			MustHaveData bool   `json:"mustHaveData"`
			Muted        bool   `json:"muted"`
			EffectSize   struct {
				Measure          string   `json:"measure"`
				AllowedIncrease  *float64 `json:"allowedIncrease"`
				AllowedDecrease  *float64 `json:"allowedDecrease"`
				CriticalIncrease *float64 `json:"criticalIncrease"`
				CriticalDecrease *float64 `json:"criticalDecrease"`
			} `json:"effectSize"`
			Outliers struct {
				Strategy string `json:"strategy"`
			} `json:"outliers"`
		} `json:"canary"`
	} `json:"analysisConfigurations"`
}

// canaryQuery is a query of Kayenta's Prometheus service: a metric with matchers, or an
// expression with variables.
type canaryQuery struct {
	Type                 string   `json:"type"`
	ServiceType          string   `json:"serviceType"`
	MetricName           string   `json:"metricName"`
	LabelBindings        []string `json:"labelBindings"`
	CustomInlineTemplate string   `json:"customInlineTemplate"`
	CustomFilterTemplate string   `json:"customFilterTemplate"`
}

// The bounds of a level where the configuration allows no change of its own.
const (
	levelTolerance = 1.05
	levelMargin    = 1.20
)

// Kayenta imports a canary configuration, for the given service or the one application
// that it names. Its metrics become levels or, where the query is a quotient of
// counters, are pointed out: what Kayenta compares by ranks Assay holds to bounds.
func Kayenta(file string, data []byte, service string) (*Result, error) {
	var c canaryConfig
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("%s: is no canary configuration of Kayenta: %w", file, err)
	}
	if len(c.Metrics) == 0 {
		return nil, fmt.Errorf("%s: is no canary configuration of Kayenta: it has no metrics", file)
	}
	if service == "" {
		if len(c.Applications) != 1 {
			return nil, fmt.Errorf("%s: names %d applications: say which service it is about with --service", file, len(c.Applications))
		}
		service = c.Applications[0]
	}
	r := &Result{}
	v := newValidation(service, nil)
	used := map[string]bool{}
	for _, m := range c.Metrics {
		s, o, ok := r.canaryMetric(file, m, c.Templates, c.role(m))
		if !ok {
			continue
		}
		for used[s.Name] {
			s.Name += "-2"
		}
		used[s.Name] = true
		o.Signal = s.Name
		v.Spec.Signals = append(v.Spec.Signals, s)
		v.Spec.Objectives = append(v.Spec.Objectives, o)
	}
	r.wholeConfig(file, c)
	if len(v.Spec.Objectives) == 0 {
		r.note(file, 0, "nothing was imported")
		return r, nil
	}
	if !slices.ContainsFunc(v.Spec.Objectives, func(o objective) bool { return o.Role == "critical" }) {
		for i := range v.Spec.Objectives {
			v.Spec.Objectives[i].Role = "critical"
		}
		r.note(file, 0, "no metric is critical: all are made critical, since a promote needs a critical objective shown safe; Kayenta passes by a score")
	}
	r.objects = append(r.objects, v)
	return r, nil
}

// wholeConfig says what of the judge as a whole has another meaning.
func (r *Result) wholeConfig(file string, c canaryConfig) {
	t := c.Classifier.ScoreThresholds
	r.note(file, 0, "scores (pass %g, marginal %g) are not imported: a release is rolled back when harm is shown, promoted when every critical objective is shown safe, and held otherwise; there is no marginal pass", t.Pass, t.Marginal)
	r.note(file, 0, "the tolerance of Kayenta's test is a share of the shift that it sees; tolerance and margin here are shares of the baseline, and do not depend on the unit")
	r.note(file, 0, "a group without data counts as 100 in Kayenta, and a metric that errs is left out; here missing telemetry of a critical objective holds")
	sum := 0.0
	for _, w := range c.Classifier.GroupWeights {
		sum += w
	}
	if len(c.Classifier.GroupWeights) > 0 && math.Abs(sum-100) > 1e-9 {
		r.note(file, 0, "the group weights add up to %g, not 100; Kayenta loses or invents the rest", sum)
	}
}

// role is what a metric may do. Weights become roles: of a score that adds them up there
// is none.
func (c canaryConfig) role(m canaryMetric) string {
	canary := m.AnalysisConfigurations.Canary
	weight, listed := 0.0, false
	for _, g := range m.Groups {
		w, ok := c.Classifier.GroupWeights[g]
		listed = listed || ok
		weight += w
	}
	switch {
	case canary.Muted || listed && weight == 0:
		return "advisory"
	case canary.Critical:
		return "critical"
	}
	return "secondary"
}

// canaryMetric turns a metric into a gauge and an objective.
func (r *Result) canaryMetric(file string, m canaryMetric, templates map[string]string, role string) (signal, objective, bool) {
	say := func(format string, args ...any) {
		r.note(file, 0, "%s: "+format, append([]any{m.Name}, args...)...)
	}
	refuse := func(format string, args ...any) (signal, objective, bool) {
		say("not imported: "+format, args...)
		return signal{}, objective{}, false
	}
	if kind := strings.ToLower(m.Query.Type + m.Query.ServiceType); !strings.Contains(kind, "prometheus") {
		return refuse("its source is %q; Assay reads Prometheus and OTLP", m.Query.Type)
	}
	query, changed := m.Query.promQL(templates)
	if query == "" {
		return refuse("it names neither a metric nor a query in PromQL")
	}
	if changed {
		say("what the query says of scope and location is left out: Assay adds who plays the arms itself")
	}
	if events, total, err := promql.Ratio(query); err == nil {
		return refuse("it is a quotient of counters: write an SLO on %s of %s, which is compared by counts, with far fewer data", promql.Text(events), promql.Text(total))
	}
	gauge, err := promql.Gauge(query)
	if err != nil {
		return refuse("%v", err)
	}
	if strings.HasSuffix(gauge.Metric, "_total") || strings.HasSuffix(gauge.Metric, "_count") {
		return refuse("%s is a counter, and its level only grows: write an SLO on it and a total", gauge.Metric)
	}
	canary := m.AnalysisConfigurations.Canary
	s := signal{Name: objectName(m.Name), Gauge: prometheus(promql.Text(gauge))}
	o := objective{Role: role}
	limit := canary.EffectSize.AllowedIncrease
	switch canary.Direction {
	case "decrease":
		s.Better = "higher"
		if limit = canary.EffectSize.AllowedDecrease; limit != nil && *limit > 0 {
			inverse := 1 / *limit
			limit = &inverse
		}
	case "increase":
	default:
		say("direction either: only an increase is held to be harm; add an objective with better: higher if a decrease is, too")
	}
	o.Tolerance, o.Margin = &bound{levelTolerance}, &bound{levelMargin}
	if limit != nil && *limit > 1 && canary.EffectSize.Measure != "cles" {
		o.Tolerance, o.Margin = &bound{round(*limit)}, &bound{round(*limit * levelMargin / levelTolerance)}
		say("a change up to %.4g times the baseline is tolerated, as allowed there; the margin of %.4g is Assay's", *limit, o.Margin.Ratio)
	} else {
		say("no change is allowed for: Kayenta reports any shift that it is sure of; here %.0f %% are tolerated and a promote needs less than %.0f %% shown", 100*levelTolerance-100, 100*levelMargin-100)
	}
	if canary.EffectSize.Measure == "cles" {
		say("effect sizes by CLES are not imported")
	}
	if canary.EffectSize.CriticalIncrease != nil || canary.EffectSize.CriticalDecrease != nil {
		say("critical effect sizes are not imported: how bad it is decides how soon it is shown")
	}
	if canary.NaNStrategy == "replace" {
		say("nanStrategy replace is not imported: a missing value is missing, not 0")
	}
	if canary.Outliers.Strategy == "remove" {
		say("outliers are not removed; heavy tails are drawn in to the quantiles of history")
	}
	return s, o, true
}

var (
	// boundMatcher is a matcher with a variable: those say who plays which arm.
	boundMatcher = regexp.MustCompile(`[a-zA-Z_][a-zA-Z0-9_]*\s*(?:=~|!~|!=|=)\s*"[^"]*\$\{[^"]*"`)
	boundRange   = regexp.MustCompile(`\[\$\{[^}]*\}\]`)
	looseComma   = regexp.MustCompile(`,\s*([,}])|([{])\s*,`)
)

// promQL is the query of a metric without the matchers that Kayenta fills in for each
// arm, and whether there were any. It is empty where there is no query.
func (q canaryQuery) promQL(templates map[string]string) (query string, changed bool) {
	inline, is := strings.CutPrefix(strings.TrimSpace(q.CustomInlineTemplate), "PromQL:")
	switch {
	case is:
		query = inline
	case q.MetricName == "":
		return "", false
	default:
		matchers := slices.Clone(q.LabelBindings)
		if filter := templates[q.CustomFilterTemplate]; filter != "" {
			matchers = append(matchers, filter)
		} else if q.CustomInlineTemplate != "" {
			matchers = append(matchers, q.CustomInlineTemplate)
		}
		query = q.MetricName + "{" + strings.Join(matchers, ",") + "}"
	}
	bare := boundRange.ReplaceAllString(boundMatcher.ReplaceAllString(query, ""), "["+anyWindow+"]")
	changed = bare != query
	for looseComma.MatchString(bare) {
		bare = looseComma.ReplaceAllString(bare, "$1$2")
	}
	return strings.TrimSpace(bare), changed
}

func round(v float64) float64 { return math.Round(v*1e4) / 1e4 }
