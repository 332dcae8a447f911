package gather

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

func TestManyDeploymentsAreOneQuery(t *testing.T) {
	f, requests := shop("prom", 100)
	for i := range requests {
		requests[i].Query.Signal.Name = fmt.Sprint("errors of ", i) // every service has its own SLO
		requests[i].Query.Since = noon.Add(-time.Duration(i) * time.Minute)
	}
	g := New(table(map[string]*fake{"prom": f}), Options{})
	checkShop(t, g.Rows(context.Background(), requests), 0, 100)
	if s := g.Stats(); s.Issued != 1 || s.Unmerged != 100 {
		t.Errorf("%+v", s)
	}
	if since := f.queries[0].Since; !since.Equal(noon.Add(-99 * time.Minute)) {
		t.Errorf("since %v is not the earliest", since)
	}
}

func TestMergedQueriesAreLimited(t *testing.T) {
	f, requests := shop("prom", 600)
	g := New(table(map[string]*fake{"prom": f}), Options{})
	checkShop(t, g.Rows(context.Background(), requests), 0, 600)
	if len(f.queries) != 3 {
		t.Errorf("%d queries", len(f.queries))
	}
	for _, q := range f.queries {
		for _, m := range q.Matches {
			if limit := 250 * many[m.Name]; len(m.Values) > limit || !slices.IsSorted(m.Values) {
				t.Errorf("%s has %d values", m.Name, len(m.Values))
			}
		}
	}
	for i := range requests { // the same two versions everywhere: the services are the limit
		requests[i].Cohorts.Baseline[analysis.AttrVersion], requests[i].Cohorts.Canary[analysis.AttrVersion] = "1", "2"
	}
	f.queries = nil
	g.Rows(context.Background(), requests[:251])
	if len(f.queries) != 2 {
		t.Errorf("251 services in %d queries", len(f.queries))
	}
}

// The service may be the query's own match, while the cohorts select on something
// that all services have.
func TestMergedByAMatchThatIsInNoCohort(t *testing.T) {
	f := new(fake)
	var requests []Request
	for _, service := range []string{"cart", "checkout"} {
		for _, track := range []string{"canary", "stable"} {
			f.pods = append(f.pods, podCount{service + "-" + track, map[string]string{analysis.AttrService: service, "track": track}, analysis.Row{Received: 1}})
		}
		r := deployment("prom", "", "", "")
		r.Query.Matches = []analysis.Match{{Name: analysis.AttrService, Values: []string{service}}}
		r.Cohorts = analysis.Cohorts{Baseline: analysis.Cohort{"track": "stable"}, Canary: analysis.Cohort{"track": "canary"}}
		requests = append(requests, r)
	}
	got := New(table(map[string]*fake{"prom": f}), Options{}).Rows(context.Background(), requests)
	if f.asked() != 1 {
		t.Errorf("%d queries", f.asked())
	}
	for i, service := range []string{"cart", "checkout"} {
		rows := got[i].Evidence.Rows
		if len(rows) != 2 || rows[0].Pod != service+"-stable" || rows[1].Pod != service+"-canary" {
			t.Errorf("%s: %+v", service, rows)
		}
	}
}

func TestWhatIsNotMerged(t *testing.T) {
	for name, change := range map[string]func(*Request){
		"nothing":   func(*Request) {},
		"zone":      func(r *Request) { r.Query.Matches = []analysis.Match{{Name: "zone", Values: []string{"b"}}} },
		"condition": func(r *Request) { r.Query.Signal.Total = &analysis.Selector{Metric: "other_total"} },
		"fold":      func(r *Request) { r.Query.Fold = r.Query.Fold.Next() },
		"bound":     func(r *Request) { r.Query.Bounds = []float64{.3} },
		"stratum":   func(r *Request) { r.Query.Strata = []string{"zone"} },
		"control":   func(r *Request) { r.Cohorts.Control = analysis.Cohort{"zone": "a"} }, // a question of its own
		"observe":   func(r *Request) { r.Query.Observe = []string{analysis.AttrVersion} },
		"environment": func(r *Request) {
			r.Query.Matches = []analysis.Match{{Name: analysis.AttrEnvironment, Values: []string{"production"}}}
		},
		"lines":      func(r *Request) { r.Query.Lines = &analysis.LineQuery{} }, // matched against a plan's own templates
		"operations": func(r *Request) { r.Query.Spans = &analysis.SpanQuery{} },
		"cohort":     func(r *Request) { r.Cohorts.Baseline["zone"], r.Cohorts.Canary["zone"] = "a", "a" },
	} {
		f, requests := shop("prom", 2)
		if name == "zone" {
			requests[0].Query.Matches = []analysis.Match{{Name: "zone", Values: []string{"a"}}}
		}
		if name == "lines" || name == "operations" { // even where both ask for them
			change(&requests[0])
		}
		change(&requests[1])
		want := 2
		if name == "nothing" {
			want = 1
		}
		New(table(map[string]*fake{"prom": f}), Options{}).Rows(context.Background(), requests)
		if f.asked() != want {
			t.Errorf("another %s: %d queries", name, f.asked())
		}
	}
}

// What a request gets from a merged query is what it would have got alone, which
// is what a reader of the pods would have written down.
func TestMergingChangesNothing(t *testing.T) {
	names := []string{analysis.AttrService, analysis.AttrVersion, "track", analysis.AttrEnvironment}
	values := []string{"a", "b", ".*", "a|b", `a"} or vector(0) #`, "A"}
	rapid.Check(t, func(r *rapid.T) {
		value := rapid.SampledFrom(values)
		f := new(fake)
		for i := range rapid.IntRange(0, 12).Draw(r, "pods") {
			p := podCount{name: fmt.Sprint("pod", i), attributes: map[string]string{}, row: analysis.Row{
				Increase: analysis.Increase{Bad: float64(i), Exposure: float64(10 * i), New: rapid.Bool().Draw(r, "new"), FirstBad: 100, FirstExposure: 1000},
				PodStart: noon.Add(-time.Duration(rapid.IntRange(0, 3).Draw(r, "age")) * time.Hour), Received: i % 3, Fresh: i%2 == 0, Level: float64(-i),
			}}
			for _, name := range names {
				p.attributes[name] = value.Draw(r, name)
			}
			f.pods = append(f.pods, p)
		}
		var requests []Request
		for i := range rapid.IntRange(1, 8).Draw(r, "requests") {
			cohort := func() analysis.Cohort {
				c := analysis.Cohort{}
				for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names[:3]), 1, 3, rapid.ID).Draw(r, "names") {
					c[name] = value.Draw(r, "value")
				}
				return c
			}
			q := deployment("prom", "", "", "")
			q.Objective = fmt.Sprint("objective", i)
			q.Cohorts = analysis.Cohorts{Baseline: cohort(), Canary: cohort()}
			if rapid.Bool().Draw(r, "controlled") {
				q.Cohorts.Control = cohort()
			}
			q.DeployedAt = noon.Add(-time.Duration(rapid.IntRange(0, 3).Draw(r, "deployed")) * time.Hour)
			if rapid.Bool().Draw(r, "observe") {
				q.Query.Observe = []string{"track", analysis.AttrVersion}
			}
			q.Query.Bounds = rapid.SampledFrom([][]float64{nil, {2, 4}, {2, 4, 8}}).Draw(r, "bounds")
			q.Query.Strata = rapid.SampledFrom([][]string{nil, {"track"}, {analysis.AttrEnvironment, "track"}}).Draw(r, "strata")
			if rapid.Bool().Draw(r, "restrict") {
				q.Query.Matches = []analysis.Match{{Name: analysis.AttrEnvironment, Values: []string{value.Draw(r, "environment")}}}
			}
			requests = append(requests, q)
		}
		services := rapid.IntRange(1, 4).Draw(r, "services")
		g := New(table(map[string]*fake{"prom": f}), Options{Services: services})
		together := g.Rows(context.Background(), requests)
		if s := g.Stats(); s.Issued > s.Unmerged {
			r.Fatalf("merging made more: %+v", s)
		}
		for i, q := range requests {
			alone := New(table(map[string]*fake{"prom": f}), Options{}).Rows(context.Background(), []Request{q})
			if !reflect.DeepEqual(together[i], alone[0]) {
				r.Fatalf("request %d\ntogether %+v\n   alone %+v", i, together[i], alone[0])
			}
			if want := written(f.pods, q); !reflect.DeepEqual(together[i].Evidence, want) || together[i].Err != nil {
				r.Fatalf("request %d\n got %+v\nwant %+v", i, together[i], want)
			}
		}
	})
}

// written is the evidence as a reader of all pods would write it down.
func written(pods []podCount, q Request) analysis.Evidence {
	e := analysis.Evidence{Objective: q.Objective, Fold: q.Query.Fold, Source: "prom", Rows: []analysis.ArmRow{}}
	for _, arm := range []analysis.Arm{analysis.Baseline, analysis.Canary, analysis.Control} {
		for _, p := range pods {
			in := len(q.Cohorts.Of(arm)) > 0
			for name, v := range q.Cohorts.Of(arm) {
				in = in && p.attributes[name] == v
			}
			for _, m := range q.Query.Matches {
				in = in && p.attributes[m.Name] == m.Values[0]
			}
			if !in {
				continue
			}
			row := analysis.ArmRow{Arm: arm, Pod: p.name, PodStart: p.row.PodStart, Bad: p.row.Bad, Exposure: p.row.Exposure, Level: p.row.Level, Received: p.row.Received, Fresh: p.row.Fresh}
			var first []float64
			row.Above, first = p.above(q.Query.Bounds)
			if arm == analysis.Canary && p.row.New && !p.row.PodStart.Before(q.DeployedAt) {
				row.Bad += p.row.FirstBad
				row.Exposure += p.row.FirstExposure
				for i := range first {
					row.Above[i] += first[i]
				}
			}
			var stratum []string
			for _, name := range q.Query.Strata {
				stratum = append(stratum, p.attributes[name])
			}
			row.Stratum = strings.Join(stratum, " / ")
			if len(q.Query.Observe) > 0 {
				row.Version = p.attributes[analysis.AttrVersion]
			}
			e.Rows = append(e.Rows, row)
		}
	}
	slices.SortFunc(e.Rows, compareRows)
	return e
}

func TestOverlappingCohortsGetTheRowTwice(t *testing.T) {
	f := &fake{pods: []podCount{pod("a", "checkout", "1", 1, 10)}}
	got := New(table(map[string]*fake{"prom": f}), Options{}).Rows(context.Background(), []Request{deployment("prom", "checkout", "1", "1")})
	want := []analysis.ArmRow{{Arm: analysis.Baseline, Pod: "a", Bad: 1, Exposure: 10, Received: 1}, {Arm: analysis.Canary, Pod: "a", Bad: 1, Exposure: 10, Received: 1}}
	if !reflect.DeepEqual(got[0].Evidence.Rows, want) {
		t.Errorf("got %+v", got[0])
	}
}

func TestEachSourceFailsForItself(t *testing.T) {
	up, requests := shop("up", 3)
	down := &fake{before: func(context.Context, analysis.Query) error {
		return &sources.Error{Kind: sources.Unavailable, Source: "down", Op: "rows", RetryAfter: time.Minute, Err: errors.New("503")}
	}}
	requests = append(requests, deployment("down", "service-0", "1", "2"), deployment("nowhere", "service-0", "1", "2"), Request{})
	requests[5].Query.Signal = signal("up") // no cohorts
	g := New(table(map[string]*fake{"up": up, "down": down}), Options{})
	got := g.Rows(context.Background(), requests)
	checkShop(t, got, 0, 3)
	var e *sources.Error
	if !errors.As(got[3].Err, &e) || e.Kind != sources.Unavailable || e.RetryAfter != time.Minute || down.asked() != 1 {
		t.Errorf("down: %v after %d questions", got[3].Err, down.asked())
	}
	for _, r := range got[4:] {
		if r.Err == nil || sources.KindOf(r.Err) != sources.Rejected {
			t.Errorf("got %v", r.Err)
		}
	}
	if got := g.Rows(context.Background(), nil); len(got) != 0 {
		t.Errorf("nothing asked: %v", got)
	}
}

// asksFor makes a source that answers an error when a service is asked for.
func asksFor(kind sources.Kind, services ...string) func(context.Context, analysis.Query) error {
	return func(_ context.Context, q analysis.Query) error {
		for _, m := range q.Matches {
			for _, s := range services {
				if m.Name == analysis.AttrService && slices.Contains(m.Values, s) {
					return &sources.Error{Kind: kind, Source: "prom", Op: "rows", Err: errors.New(s)}
				}
			}
		}
		return nil
	}
}

func TestOneBrokenServiceSpoilsNobody(t *testing.T) {
	for _, kind := range []sources.Kind{sources.Malformed, sources.Rejected} {
		f, requests := shop("prom", 250)
		f.before = asksFor(kind, "service-77")
		got := New(table(map[string]*fake{"prom": f}), Options{}).Rows(context.Background(), requests)
		if got[77].Err == nil || sources.KindOf(got[77].Err) != kind {
			t.Errorf("the broken service: %+v", got[77])
		}
		checkShop(t, got, 0, 77)
		checkShop(t, got, 78, 250)
		if f.asked() > 1+askedAgain {
			t.Errorf("%d queries", f.asked())
		}
	}
}

func TestABrokenSourceIsNotAttacked(t *testing.T) {
	f, requests := shop("prom", 250)
	f.before = func(context.Context, analysis.Query) error {
		return &sources.Error{Kind: sources.Rejected, Source: "prom", Op: "rows", Err: errors.New("401")}
	}
	for i, r := range New(table(map[string]*fake{"prom": f}), Options{}).Rows(context.Background(), requests) {
		if r.Err == nil {
			t.Errorf("request %d was answered", i)
		}
	}
	if f.asked() != 1+askedAgain {
		t.Errorf("%d queries", f.asked())
	}
	f.queries, f.before = nil, asksFor(sources.Unavailable, "service-77")
	New(table(map[string]*fake{"prom": f}), Options{}).Rows(context.Background(), requests)
	if f.asked() != 1 {
		t.Errorf("%d queries to a source that is unavailable", f.asked())
	}
}

func TestConcurrencyIsLimited(t *testing.T) {
	f, requests := shop("prom", 40)
	for i := range requests {
		requests[i].Query.Observe = []string{fmt.Sprint("attribute", i)} // nothing can be merged
	}
	f.before = func(context.Context, analysis.Query) error { time.Sleep(time.Millisecond); return nil }
	g := New(table(map[string]*fake{"prom": f}), Options{Concurrency: 3})
	done := make(chan struct{})
	go func() { g.Rows(context.Background(), requests); close(done) }()
	checkShop(t, g.Rows(context.Background(), requests), 0, 40)
	<-done
	if f.busiest > 3 || f.asked() != 80 {
		t.Errorf("%d at once, %d in all", f.busiest, f.asked())
	}
}

func TestWhatHasNotAnsweredWhenTheContextEnds(t *testing.T) {
	fast, requests := shop("fast", 2)
	slow, more := shop("slow", 2)
	ctx, cancel := context.WithCancelCause(context.Background())
	reason := errors.New("the second is over")
	slow.before = func(ctx context.Context, _ analysis.Query) error {
		for fast.asked() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel(reason)
		<-ctx.Done()
		return ctx.Err() // not classified by the source
	}
	more[1].Query.Observe = []string{"x"} // waits for the only slot
	g := New(table(map[string]*fake{"fast": fast, "slow": slow}), Options{Concurrency: 1})
	got := g.Rows(ctx, append(requests, more...))
	checkShop(t, got, 0, 2)
	for _, r := range got[2:] {
		var e *sources.Error
		if !errors.As(r.Err, &e) || e.Kind != sources.Unavailable || e.Source != "slow" {
			t.Errorf("got %v", r.Err)
		}
	}
	if slow.asked() != 1 {
		t.Errorf("%d queries to the slow source", slow.asked())
	}
}

// A control has its own question and rows of its own arm; without its answer there is
// no evidence.
func TestControl(t *testing.T) {
	f := &fake{pods: []podCount{pod("a", "checkout", "1", 1, 10), pod("b", "checkout", "2", 1, 10), pod("c", "search", "9", 0, 5)}}
	r := deployment("prom", "checkout", "1", "2")
	r.Cohorts.Control = analysis.Cohort{analysis.AttrService: "search"}
	g := New(table(map[string]*fake{"prom": f}), Options{})
	got := g.Rows(context.Background(), []Request{r})[0]
	want := []analysis.ArmRow{
		{Arm: analysis.Baseline, Pod: "a", Bad: 1, Exposure: 10, Received: 1},
		{Arm: analysis.Canary, Pod: "b", Bad: 1, Exposure: 10, Received: 1},
		{Arm: analysis.Control, Pod: "c", Exposure: 5, Received: 1},
	}
	if !reflect.DeepEqual(got.Evidence.Rows, want) || f.asked() != 2 {
		t.Errorf("%+v after %d questions", got, f.asked())
	}
	f.before = asksFor(sources.Malformed, "search")
	if got = g.Rows(context.Background(), []Request{r})[0]; sources.KindOf(got.Err) != sources.Malformed || len(got.Evidence.Rows) > 0 {
		t.Errorf("without the control: %+v", got)
	}
}

// keeper is a source that keeps every sample.
type keeper struct{ *fake }

func (keeper) KeepsSamples() bool { return true }

func TestHistoryStep(t *testing.T) {
	g := New(map[string]sources.Source{"sums": new(fake), "samples": keeper{new(fake)}}, Options{})
	for _, test := range []struct {
		source        string
		cadence, want time.Duration
	}{
		{"sums", 15 * time.Second, time.Minute},
		{"samples", 15 * time.Second, 15 * time.Second},
		{"samples", 2 * time.Minute, time.Minute},
		{"nowhere", 15 * time.Second, time.Minute},
	} {
		if got := g.HistoryStep(test.source, test.cadence); got != test.want {
			t.Errorf("%s at %v: %v, want %v", test.source, test.cadence, got, test.want)
		}
	}
}

func TestPassThrough(t *testing.T) {
	g := New(table(map[string]*fake{"prom": {}}), Options{})
	if d, err := g.Spacing(context.Background(), analysis.SpacingQuery{Signal: signal("prom")}); d != 15*time.Second || err != nil {
		t.Error(d, err)
	}
	if s, err := g.Seen(context.Background(), analysis.SeenQuery{Signal: signal("prom")}); len(s) != 1 || err != nil {
		t.Error(s, err)
	}
	if h, err := g.Distribution(context.Background(), analysis.DistributionQuery{Signal: signal("prom")}); h.Counts != nil || err != nil {
		t.Error(h, err)
	}
	if _, err := g.Seen(context.Background(), analysis.SeenQuery{Signal: signal("nowhere")}); sources.KindOf(err) != sources.Rejected {
		t.Error(err)
	}
}
