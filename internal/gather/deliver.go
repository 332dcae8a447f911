package gather

import (
	"slices"
	"sync"

	"github.com/release-assay/assay/analysis"
)

// A delivery collects what becomes of requests, and hands them over validation by
// validation.
type delivery struct {
	requests []Request
	hand     func([]int, []Result)

	mu      sync.Mutex
	parts   [][]part // of each request, until all its questions are answered
	results []Result
	of      map[analysis.ValidationID]*rest
}

// A rest is what a validation still waits for.
type rest struct {
	requests []int
	open     int
}

func newDelivery(requests []Request, hand func([]int, []Result)) *delivery {
	d := &delivery{
		requests: requests, hand: hand, parts: make([][]part, len(requests)), results: make([]Result, len(requests)),
		of: map[analysis.ValidationID]*rest{},
	}
	for i, r := range requests {
		if d.of[r.Validation] == nil {
			d.of[r.Validation] = &rest{}
		}
		v := d.of[r.Validation]
		v.requests = append(v.requests, i)
		v.open++
	}
	return d
}

// expect says that a request is answered by n questions.
func (d *delivery) expect(i, n int) { d.parts[i] = make([]part, 0, n) }

// take sorts the answer to a merged query into the requests that it is for.
func (d *delivery) take(asked *merged, answer analysis.Answer, err error, rendered func(*question) []string) {
	sorted := sortByWho(asked.query, answer.Rows)
	d.mu.Lock()
	defer d.mu.Unlock()
	var complete []int
	for _, q := range asked.questions {
		i := q.request
		p := part{q, answer, sorted, err}
		if len(asked.questions) > 1 && err == nil && !d.requests[i].Query.Fold.Start.After(d.requests[i].DeployedAt) {
			p.answer.Rendered = rendered(q)
		}
		if d.parts[i] = append(d.parts[i], p); len(d.parts[i]) == cap(d.parts[i]) {
			d.results[i] = join(d.requests[i], d.parts[i])
			d.parts[i] = nil
			complete = append(complete, i)
		}
	}
	d.over(complete)
}

// settled hands over what needed no answer.
func (d *delivery) settled(requests []int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over(requests)
}

// over notes that requests are complete, and hands over the validations that wait
// for nothing more.
func (d *delivery) over(requests []int) {
	var answered []int
	for _, i := range requests {
		v := d.of[d.requests[i].Validation]
		if v.open--; v.open == 0 {
			answered = append(answered, v.requests...)
		}
	}
	if len(answered) == 0 {
		return
	}
	slices.Sort(answered)
	results := make([]Result, len(answered))
	for k, i := range answered {
		results[k] = d.results[i]
		d.results[i] = Result{}
	}
	d.hand(answered, results)
}
