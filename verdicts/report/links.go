package report

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// A Link is an address under which something that is listed can be looked at.
type Link struct {
	For  string `json:"for"`  // key of the difference, or id of the trace
	Name string `json:"name"` // of the configured source
	URL  string `json:"url"`
}

// A Place is a configured source that people can look things up in.
type Place struct {
	Name   string
	Kind   string            // "loki", "jaeger" or "tempo"; of others nothing is made
	URL    string            // root of the server; credentials in it are left out
	Labels map[string]string // of Loki: attribute to label, where that is not the attribute's name with underscores for dots
}

// Links makes the links of a verdict: for each of the first differences the lines, the
// traces and the trace that it names, for each exemplar its trace. The plan says when
// the deployment began and which versions there are; without it there are links to
// single traces only.
func Links(places []Place, plan *analysis.Plan, v verdicts.Verdict) []Link {
	var out []Link
	add := func(key string, p Place, address string) {
		if l := (Link{key, p.Name, address}); address != "" && !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	for _, d := range v.Differences[:min(len(v.Differences), shownDifferences)] {
		if d.Muted {
			continue
		}
		for _, p := range places {
			from, to, known := seenIn(plan, v, d)
			if known {
				add(d.Key, p, p.search(plan, d, from, to))
			}
			if d.TraceID != "" {
				add(d.Key, p, p.trace(d.TraceID))
			}
		}
	}
	for _, x := range v.Exemplars {
		for _, p := range places {
			if x.Missing == "" && (x.Source == p.Name || x.Source == "") {
				add(x.TraceID, p, p.trace(x.TraceID))
			}
		}
	}
	return out
}

// seenIn is the time in which a difference shows: from the fold in which it was first
// seen, or the start of the deployment, up to where telemetry was folded.
func seenIn(plan *analysis.Plan, v verdicts.Verdict, d analysis.Difference) (from, to time.Time, known bool) {
	if plan == nil || v.AsOf == nil {
		return from, to, false
	}
	from, to = plan.Deployment.StartedAt, *v.AsOf
	if d.Since != nil {
		from = d.Since.Add(-time.Minute) // it is the end of the fold
	}
	return from, to, !from.IsZero() && from.Before(to)
}

// search is the address of what shows a difference: lines in a Loki, traces in a Jaeger
// or Tempo; "" where p shows nothing of the kind.
func (p Place) search(plan *analysis.Plan, d analysis.Difference, from, to time.Time) string {
	version := plan.Deployment.Release.Version
	if d.Gone {
		version = plan.Deployment.Release.PreviousVersion
	}
	switch {
	case p.Kind == "loki" && d.Kind == analysis.DiffTemplate:
		return p.address("loki/api/v1/query_range", url.Values{
			"query": {p.logQL(d, version)}, "start": {strconv.FormatInt(from.UnixNano(), 10)}, "end": {strconv.FormatInt(to.UnixNano(), 10)},
			"limit": {"100"}, "direction": {"forward"},
		})
	case d.Edge == nil:
	case p.Kind == "jaeger":
		q := url.Values{"service": {d.Edge.Service}, "start": {strconv.FormatInt(from.UnixMicro(), 10)}, "end": {strconv.FormatInt(to.UnixMicro(), 10)}, "limit": {"20"}}
		if d.Edge.Operation != "" && d.Edge.Operation != analysis.OtherOperation {
			q.Set("operation", d.Edge.Operation)
		}
		return p.address("search", q)
	case p.Kind == "tempo":
		return p.address("api/search", url.Values{
			"q": {traceQL(d, version)}, "start": {strconv.FormatInt(from.Unix(), 10)}, "end": {strconv.FormatInt(to.Unix()+1, 10)}, "limit": {"20"},
		})
	}
	return ""
}

var traceID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// trace is the address of one trace; "" where p has none.
func (p Place) trace(id string) string {
	switch {
	case !traceID.MatchString(id):
	case p.Kind == "jaeger":
		return p.address("trace/"+id, nil)
	case p.Kind == "tempo":
		return p.address("api/v2/traces/"+id, nil)
	}
	return ""
}

// address joins a path and a query to the root of p.
func (p Place) address(path string, q url.Values) string {
	root, err := url.Parse(p.URL)
	if err != nil || root.Scheme != "http" && root.Scheme != "https" || root.Host == "" {
		return ""
	}
	root.User, root.Fragment = nil, ""
	root = root.JoinPath(path)
	root.RawQuery = q.Encode()
	return root.String()
}

// logQL selects the lines of a template: the service in the index, the version wherever
// the server keeps it, and what does not differ from line to line.
func (p Place) logQL(d analysis.Difference, version string) string {
	query := fmt.Sprintf("{%s=%s}", p.label(analysis.AttrService), strconv.Quote(d.Service))
	if version != "" {
		query += fmt.Sprintf(" | %s=%s", p.label(analysis.AttrVersion), strconv.Quote(version))
	}
	for _, part := range constant(d.Template) {
		query += " |= " + strconv.Quote(part)
	}
	return query
}

// label is the name of an attribute in a Loki.
func (p Place) label(attribute string) string {
	if name := p.Labels[attribute]; name != "" {
		return name
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, attribute)
}

// variable is what stands in a template for what differs, or was hidden.
var variable = regexp.MustCompile(`<[^<>]{0,64}>`)

// constant returns the longest parts of a template that every line of it has, at most
// three.
func constant(template string) []string {
	var parts []string
	for _, part := range variable.Split(template, -1) {
		// The ends of a part may have been in one word with what differs.
		if part = strings.TrimSpace(part); len(part) > 2 {
			parts = append(parts, part)
		}
	}
	slices.SortStableFunc(parts, func(a, b string) int { return len(b) - len(a) })
	return parts[:min(len(parts), 3)]
}

// traceQL selects the traces of an operation or a call, failed ones where it is about
// errors.
func traceQL(d analysis.Difference, version string) string {
	query := `{resource.service.name=` + strconv.Quote(d.Edge.Service)
	if version != "" && d.Kind != analysis.DiffVersions {
		query += ` && resource.service.version=` + strconv.Quote(version)
	}
	if d.Edge.Operation != "" && d.Edge.Operation != analysis.OtherOperation {
		query += ` && name=` + strconv.Quote(d.Edge.Operation)
	}
	query += "}"
	if d.Edge.Callee != "" {
		query += ` >> {resource.service.name=` + strconv.Quote(d.Edge.Callee) + "}"
	}
	return query
}
