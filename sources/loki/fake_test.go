package loki

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A fake answers the queries that this package sends, as Loki 3 does: the start of a
// range of lines belongs to it and its end does not, and a count is of what lies after
// the start of its time up to its end. That it does so is shown by the same suite against
// the real server, in internal/e2e.
type fake struct {
	*httptest.Server
	merged   bool // as servers before 3.0: no metadata apart from labels
	warnings []string
	most     int // lines of a page; 0: 5,000

	mu      sync.Mutex
	lines   []stored
	queries []string
}

// stored is one line as the server keeps it.
type stored struct {
	stream, meta map[string]string
	at           int64
	line         string
}

func (s stored) label(name string) string {
	if v := s.meta[name]; v != "" {
		return v
	}
	return s.stream[name]
}

func newFake(t testing.TB, lines ...stored) *fake {
	f := &fake{lines: lines}
	slices.SortStableFunc(f.lines, func(a, b stored) int { return int(a.at - b.at) })
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

// asked returns the queries since the last call.
func (f *fake) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := f.queries
	f.queries = nil
	return q
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	query := r.FormValue("query")
	f.queries = append(f.queries, query)
	result, kind, err := f.answer(r, query)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"status": "success", "warnings": f.warnings, "data": map[string]any{"resultType": kind, "result": result}})
}

var metricQuery = regexp.MustCompile(`(?s)^sum by \(([^)]*)\) \(count_over_time\((.*) \[(\w+)\]\)\)$`)

func (f *fake) answer(r *http.Request, query string) (result any, kind string, err error) {
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(r.FormValue(name), 10, 64)
		return n
	}
	if query == "vector(1)" {
		return []any{map[string]any{"metric": map[string]string{}, "value": []any{1, "1"}}}, "vector", nil
	}
	m := metricQuery.FindStringSubmatch(query)
	if m == nil {
		e, err := parse(query)
		if err != nil || r.URL.Path != "/loki/api/v1/query_range" {
			return nil, "", fmt.Errorf("parse error: %w", err)
		}
		most := 5000
		if f.most > 0 {
			most = f.most
		}
		if limit := int(number("limit")); limit > most {
			return nil, "", fmt.Errorf("max entries limit per query exceeded, limit > max_entries_limit_per_query (%d > %d)", limit, most)
		} else {
			most = limit
		}
		return f.streams(e, number("start"), number("end"), most), "streams", nil
	}
	e, err := parse(m[2])
	if err != nil {
		return nil, "", err
	}
	over, err := time.ParseDuration(m[3])
	if err != nil {
		return nil, "", err
	}
	by := strings.Split(m[1], ", ")
	if r.URL.Path == "/loki/api/v1/query" {
		at := number("time")
		var out []any
		for _, c := range f.count(e, by, at-int64(over), at) {
			out = append(out, map[string]any{"metric": c.labels, "value": []any{float64(at) / 1e9, fmt.Sprint(c.value)}})
		}
		return slices.Concat([]any{}, out), "vector", nil
	}
	step, err := time.ParseDuration(r.FormValue("step"))
	if err != nil {
		return nil, "", err
	}
	series := map[string]map[string]any{}
	var names []string
	for at := number("start"); at <= number("end"); at += int64(step) {
		for _, c := range f.count(e, by, at-int64(over), at) {
			name := nameOf(c.labels)
			if series[name] == nil {
				series[name] = map[string]any{"metric": c.labels, "values": []any{}}
				names = append(names, name)
			}
			series[name]["values"] = append(series[name]["values"].([]any), []any{float64(at) / 1e9, fmt.Sprint(c.value)})
		}
	}
	out := []any{}
	for _, name := range names {
		out = append(out, series[name])
	}
	return out, "matrix", nil
}

func (f *fake) count(e expression, by []string, after, to int64) (out []point) {
	index := map[string]int{}
	for _, s := range f.lines {
		if s.at <= after || s.at > to || !e.selects(s) {
			continue
		}
		labels := map[string]string{}
		for _, name := range by {
			if v := s.label(name); v != "" {
				labels[name] = v
			}
		}
		name := nameOf(labels)
		if _, ok := index[name]; !ok {
			index[name] = len(out)
			out = append(out, point{labels: labels})
		}
		out[index[name]].value++
	}
	return out
}

func (f *fake) streams(e expression, from, to int64, most int) []any {
	type stream struct {
		Stream map[string]string `json:"stream"`
		Values []any             `json:"values"`
	}
	index := map[string]int{}
	var out []*stream
	n := 0
	for _, s := range f.lines {
		if s.at < from || s.at >= to || !e.selects(s) {
			continue
		}
		if n++; n > most {
			break
		}
		labels, value := s.stream, []any{strconv.FormatInt(s.at, 10), s.line, map[string]any{"structuredMetadata": s.meta}}
		if f.merged {
			labels, value = map[string]string{}, value[:2]
			for _, from := range []map[string]string{s.stream, s.meta} {
				for name, v := range from {
					labels[name] = v
				}
			}
		}
		name := nameOf(labels)
		if _, ok := index[name]; !ok {
			index[name] = len(out)
			out = append(out, &stream{Stream: labels})
		}
		at := out[index[name]]
		at.Values = append(at.Values, value)
	}
	all := []any{}
	for _, s := range out {
		all = append(all, s)
	}
	return all
}

// selects does what the server does with the parts of a query.
func (e expression) selects(s stored) bool {
	holds := func(m matcher, value string) bool {
		switch m.op {
		case "=":
			return value == m.value
		case "=~":
			return compiled(`^(?s:` + m.value + `)$`).MatchString(value)
		}
		panic("the package does not send " + m.op)
	}
	for _, m := range e.streams {
		if !holds(m, s.stream[m.name]) {
			return false
		}
	}
	for _, pattern := range e.lines {
		if !compiled(pattern).MatchString(s.line) {
			return false
		}
	}
	for _, any := range e.filters {
		if !slices.ContainsFunc(any, func(m matcher) bool { return holds(m, s.label(m.name)) }) {
			return false
		}
	}
	return true
}

var patterns sync.Map

func compiled(pattern string) *regexp.Regexp {
	known, ok := patterns.Load(pattern)
	if !ok {
		known, _ = patterns.LoadOrStore(pattern, regexp.MustCompile(pattern))
	}
	return known.(*regexp.Regexp)
}
