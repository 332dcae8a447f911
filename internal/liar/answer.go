package liar

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// A question is a request that the server understands.
type question struct {
	path, query string
	selector    *parser.VectorSelector
	over        time.Duration // of a range selector

	start, end time.Time // of a range query; end is the moment of an instant query
	step       time.Duration
	lookBack   time.Duration
}

// Paths of the API that are served.
const (
	instantPath = "/api/v1/query"
	rangePath   = "/api/v1/query_range"
)

// defaultLookBack is how old the newest sample of a step may be.
const defaultLookBack = 5 * time.Minute

// understand reads a request, or says with which status it is refused.
func understand(r *http.Request) (q question, status int, err error) {
	if r.URL.Path != instantPath && r.URL.Path != rangePath {
		return q, http.StatusNotFound, fmt.Errorf("nothing is served at %s", r.URL.Path)
	}
	q = question{path: r.URL.Path, query: r.FormValue("query"), lookBack: defaultLookBack}
	expr, err := parser.ParseExpr(q.query)
	if err != nil {
		return q, http.StatusBadRequest, err
	}
	switch e := expr.(type) {
	case *parser.MatrixSelector:
		if q.path == instantPath {
			q.selector, q.over = e.VectorSelector.(*parser.VectorSelector), e.Range
		}
	case *parser.VectorSelector:
		if q.path == rangePath {
			q.selector = e
		}
	}
	if q.selector == nil {
		return q, http.StatusBadRequest, fmt.Errorf("only range selectors at %s and bare selectors at %s are answered", instantPath, rangePath)
	}
	if q.path == instantPath {
		q.end, err = moment(r, "time")
		return q, http.StatusBadRequest, err
	}
	var errs [4]error
	var step float64
	q.start, errs[0] = moment(r, "start")
	q.end, errs[1] = moment(r, "end")
	step, errs[2] = strconv.ParseFloat(r.FormValue("step"), 64)
	q.step = time.Duration(step * float64(time.Second))
	if text := r.FormValue("lookback_delta"); text != "" {
		q.lookBack, errs[3] = time.ParseDuration(text)
	}
	for _, err := range errs {
		if err != nil {
			return q, http.StatusBadRequest, err
		}
	}
	if q.step <= 0 || q.end.Sub(q.start)/q.step > 11_000 {
		return q, http.StatusBadRequest, fmt.Errorf("exceeded maximum resolution of 11,000 points per timeseries")
	}
	return q, 0, nil
}

func moment(r *http.Request, name string) (time.Time, error) {
	seconds, err := strconv.ParseFloat(r.FormValue(name), 64)
	return time.UnixMilli(int64(math.Round(seconds * 1000))), err
}

// A stream is a series of an answer.
type stream struct {
	labels  map[string]string
	samples []Sample
}

// honest returns what the query selects, as Prometheus 3 does: ranges are open at
// the left. No sample after newest is known yet; further is how far the answer goes
// beyond the moment that it is asked for.
func (q question) honest(all []Series, newest int64, further time.Duration) []stream {
	var out []stream
	for i := range all {
		if !q.selects(&all[i]) {
			continue
		}
		known := all[i].Samples
		known = known[:after(known, newest)]
		var samples []Sample
		if q.path == instantPath {
			samples = known[after(known, q.end.Add(-q.over).UnixMilli()):after(known, q.end.Add(further).UnixMilli())]
		} else {
			for at := q.start; !at.After(q.end); at = at.Add(q.step) {
				if k := after(known, at.UnixMilli()); k > 0 && known[k-1].T > at.Add(-q.lookBack).UnixMilli() {
					samples = append(samples, Sample{at.UnixMilli(), known[k-1].V})
				}
			}
		}
		if len(samples) > 0 {
			out = append(out, stream{all[i].Labels, samples})
		}
	}
	return out
}

// after returns the index of the first sample after an instant.
func after(samples []Sample, at int64) int {
	i, _ := slices.BinarySearchFunc(samples, at+1, func(s Sample, t int64) int { return cmp.Compare(s.T, t) })
	return i
}

func (q question) selects(s *Series) bool {
	return !slices.ContainsFunc(q.selector.LabelMatchers, func(m *labels.Matcher) bool { return !m.Matches(s.Labels[m.Name]) })
}

// A reply is an answer before it is written.
type reply struct {
	kind     string // matrix, vector, scalar, string
	streams  []stream
	warnings []string
}

// encode returns the reply as Prometheus writes it.
func (r reply) encode() []byte {
	b := []byte(`{"status":"success",`)
	if len(r.warnings) > 0 {
		text, _ := json.Marshal(r.warnings) // strings
		b = append(append(append(b, `"warnings":`...), text...), ',')
	}
	b = append(b, `"data":{"resultType":"`+r.kind+`","result":[`...)
	switch r.kind {
	case "scalar", "string":
		b = append(b, `1767225600,"1"`...)
	case "matrix", "vector":
		for i, s := range r.streams {
			if i > 0 {
				b = append(b, ',')
			}
			text, _ := json.Marshal(s.labels) // strings
			b = append(append(b, `{"metric":`...), text...)
			if r.kind == "vector" {
				b = appendSample(append(b, `,"value":`...), s.samples[len(s.samples)-1])
			} else {
				b = append(b, `,"values":[`...)
				for k, sample := range s.samples {
					if k > 0 {
						b = append(b, ',')
					}
					b = appendSample(b, sample)
				}
				b = append(b, ']')
			}
			b = append(b, '}')
		}
	}
	return append(b, `]}}`...)
}

func appendSample(b []byte, s Sample) []byte {
	b = strconv.AppendFloat(append(b, '['), float64(s.T)/1000, 'f', 3, 64)
	b = append(b, `,"`...)
	switch {
	case math.IsInf(s.V, 1):
		b = append(b, "+Inf"...)
	default:
		b = strconv.AppendFloat(b, s.V, 'f', -1, 64)
	}
	return append(b, `"]`...)
}
