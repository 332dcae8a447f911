package prometheus

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/httpquery"
)

func historyQuery(from, to time.Time) analysis.HistoryQuery {
	return analysis.HistoryQuery{Signal: errorRatio(), Matches: checkout("v1"), From: from, To: to}
}

func sum(minute int, pod string, bad, exposure float64) analysis.MinuteSum {
	return analysis.MinuteSum{Minute: at(60 * minute), Pod: pod, Bad: bad, Exposure: exposure}
}

func TestHistory(t *testing.T) {
	f := newFake(t,
		requests("a", "v1", "200", readings(-10, 100, 20, 110, 50, 120, 110, 140, 170, 30, 230, 40, 290, 1000)),
		requests("a", "v1", "500", readings(110, 2, 230, 1)), // born in minute 1, reset unseen in minute 2
		requests("b", "v1", "200", readings(-15, 5, 45, 6)),
		requests("c", "v1", "200", readings(95, 50, 155, 53)), // new in minute 1: a reference
		requests("d", "v2", "200", readings(-15, 5, 45, 6)),
	)
	got, err := open(t, f.URL).History(context.Background(), historyQuery(at(-20), at(245)))
	want := []analysis.MinuteSum{
		sum(0, "a", 0, 20), sum(0, "b", 0, 1),
		sum(1, "a", 2, 22),
		sum(2, "a", 0, 30), sum(2, "c", 0, 3),
		sum(3, "a", 1, 11),
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if q := f.asked(); !slices.Equal(q, []string{`http_requests_total{service_name="checkout",service_version="v1"}`}) {
		t.Errorf("asked %q", q)
	}
}

// The sums do not depend on how the time is cut into answers, and they are those
// of IncreaseOf on the same readings.
func TestHistoryIsIncreaseOf(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		const minutes = 40
		var series []recorded
		targets := map[string]*analysis.Target{}
		for p := range rapid.IntRange(1, 3).Draw(r, "pods") {
			pod := fmt.Sprint("pod", p)
			targets[pod] = new(analysis.Target)
			present := rapid.SliceOfN(rapid.Bool(), minutes+1, minutes+1).Draw(r, "scraped")
			for _, code := range []string{"200", "500"} {
				var samples []analysis.Sample
				value := float64(rapid.IntRange(0, 5).Draw(r, "first"))
				for m := rapid.IntRange(0, minutes).Draw(r, "born"); m <= minutes; m++ {
					if value += float64(rapid.IntRange(0, 3).Draw(r, "more")); rapid.IntRange(0, 9).Draw(r, "restart") == 0 {
						value = float64(rapid.IntRange(0, 2).Draw(r, "since"))
					}
					if present[m] {
						samples = append(samples, analysis.Sample{T: at(60 * m), V: value})
					}
				}
				series = append(series, requests(pod, "v1", code, samples))
				targets[pod].Series = append(targets[pod].Series, analysis.CounterSeries{Event: code == "500", Total: true, Samples: samples})
			}
		}
		var want []analysis.MinuteSum
		for m := range minutes {
			for _, pod := range []string{"pod0", "pod1", "pod2"} {
				if targets[pod] == nil {
					continue
				}
				inc, received := analysis.IncreaseOf(*targets[pod], analysis.Fold{Start: at(60 * m), End: at(60*m + 60)}, false)
				if received > 0 && !inc.New {
					want = append(want, sum(m, pod, inc.Bad, inc.Exposure))
				}
			}
		}
		f := newFake(t, series...)
		defer f.Close()
		limit := rapid.SampledFrom([]int64{2500, 4000, 1 << 20}).Draw(r, "bytes")
		got, err := open(t, f.URL, func(c *Config) { c.MaxBytes = limit }).History(context.Background(), historyQuery(at(0), at(60*minutes)))
		if err != nil {
			if limit == 2500 && strings.Contains(err.Error(), httpquery.ErrTooBig.Error()) {
				return // ten minutes of three pods are too much
			}
			r.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			r.Fatalf("limit %d\n got %+v\nwant %+v", limit, got, want)
		}
	})
}

func TestHistoryKeepsItsBudget(t *testing.T) {
	var samples []analysis.Sample
	for m := range 24*60 + 1 {
		samples = append(samples, analysis.Sample{T: at(60 * m), V: float64(m)})
	}
	f := newFake(t, requests("a", "v1", "200", samples))
	s := open(t, f.URL, func(c *Config) { c.MaxSamples = 800 })
	got, err := s.History(context.Background(), historyQuery(at(0), at(24*3600)))
	if err != nil || len(got) != 12*60 {
		t.Fatalf("got %d minutes, %v", len(got), err)
	}
	if first := got[0].Minute; !first.Equal(at(12 * 3600)) {
		t.Errorf("begins at %v, want the newest 12 hours", first)
	}
}

func TestHistoryKnowsNoFuture(t *testing.T) {
	f := newFake(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if end := seconds(r.FormValue("end")); end.After(at(600)) {
			t.Errorf("asked until %v", end)
		}
		f.serve(w, r)
	}))
	defer server.Close()
	if _, err := open(t, server.URL).History(context.Background(), historyQuery(at(0), at(601))); err != nil {
		t.Error(err)
	}
	if got, err := open(t, server.URL).History(context.Background(), historyQuery(at(0), at(0))); err != nil || len(got) != 0 {
		t.Errorf("of no time: %v, %v", got, err)
	}
}

func TestSpacing(t *testing.T) {
	var often, seldom []analysis.Sample
	for s := 0; s <= 3600; s += 15 {
		often = append(often, analysis.Sample{T: at(s).Add(time.Duration(s%4) * time.Millisecond), V: 1})
		if s%900 == 0 {
			seldom = append(seldom, analysis.Sample{T: at(s), V: 1})
		}
	}
	for _, test := range []struct {
		name    string
		samples []analysis.Sample
		to      time.Time
		want    time.Duration
	}{
		{"each 15 s", often, at(3600), 15 * time.Second},
		{"each quarter of an hour", seldom, at(3600), 15 * time.Minute},
		{"one", often[:1], at(3600), 0},
		{"none", nil, at(3600), 0},
		{"no time", often, at(0), 0},
	} {
		s := open(t, newFake(t, requests("a", "v1", "200", test.samples), requests("a", "v1", "500", test.samples)).URL)
		got, err := s.Spacing(context.Background(), analysis.SpacingQuery{Signal: errorRatio(), Matches: checkout("v1"), From: at(0), To: test.to})
		if err != nil || (got-test.want).Abs() > 5*time.Millisecond {
			t.Errorf("%s: got %v, want %v (%v)", test.name, got, test.want, err)
		}
	}
}

func TestSeen(t *testing.T) {
	hour := func(first float64) (samples []analysis.Sample) {
		for s := 0; s <= 3600; s += 30 {
			samples = append(samples, analysis.Sample{T: at(s), V: first + float64(s)})
		}
		return samples
	}
	other := recorded{labels: pairs("__name__", "http_requests_total", "service_name", "cart", "service_namespace", "shop", "deployment_environment_name", "production", "instance", "x"), samples: hour(0)}
	f := newFake(t, other,
		requests("a", "v1", "200", hour(1000)), requests("b", "v1", "500", hour(0)), requests("c", "v2", "200", hour(0)[100:]),
		requests("gone", "v0", "200", []analysis.Sample{{T: at(-30), V: 4}}))
	s := open(t, f.URL)
	got, err := s.Seen(context.Background(), analysis.SeenQuery{Signal: errorRatio(), Service: "checkout", From: at(0), To: at(3600)})
	if err != nil || len(got) != 2 {
		t.Fatalf("got %+v, %v", got, err)
	}
	for i, want := range []analysis.Seen{{Service: "checkout", Version: "v1", Pods: 2, Exposure: 7200}, {Service: "checkout", Version: "v2", Pods: 1, Exposure: 600}} {
		exposure := got[i].Exposure
		got[i].Exposure = want.Exposure
		if got[i] != want || exposure < want.Exposure-1000 || exposure > want.Exposure {
			t.Errorf("got %+v with exposure %v, want %+v", got[i], exposure, want)
		}
	}
	all, err := s.Seen(context.Background(), analysis.SeenQuery{Signal: errorRatio(), From: at(0), To: at(3600)})
	if err != nil || len(all) != 3 || all[0].Service != "cart" || all[0].Namespace != "shop" || all[0].Environment != "production" {
		t.Errorf("got %+v, %v", all, err)
	}
}
