package otlp_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/replay"
)

// Series that vanish at a restart, come back late, or are silent for long; folds
// of any width; memories of any length. However the source shortens what it looks
// at, it counts what the plain rule counts over everything.
func TestRandomLivesCountAsThePlainRuleSays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		rec := randomLife(rng, rapid.Bool().Draw(rt, "starts"))
		plain, err := replay.New(rec)
		if err != nil {
			rt.Fatal(err)
		}
		source := newSource(t)
		inProcess(t, source, requestsOf(rec, cumulativeSum))
		for range 20 {
			from := float64(rng.IntN(300))
			q := checkout(fold(from, from+float64(1+rng.IntN(60))))
			q.Since = q.Fold.Start.Add(-time.Duration(rng.IntN(200)) * time.Second)
			if len(rec.Pods[0].Starts) == 0 {
				q.Since = epoch // without starts, resets long ago matter to series that vanished in them
			}
			got, want := answerTo(t, source, q).Rows, answer(rt, plain, q).Rows
			for i := range want {
				if want[i].Received == 0 {
					got[i].PodStart = want[i].PodStart
				}
			}
			if !reflect.DeepEqual(got, want) {
				rt.Fatalf("fold from %v s for %v, since %v\n got: %+v\nwant: %+v", from, q.Fold.End.Sub(q.Fold.Start), q.Since.Sub(epoch), got, want)
			}
		}
	})
}

func answer(t *rapid.T, source *replay.Source, q analysis.Query) analysis.Answer {
	out, err := source.Rows(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func randomLife(rng *rand.Rand, starts bool) replay.Recording {
	var rec replay.Recording
	for n := range 2 {
		p := replay.Pod{Attributes: map[string]string{analysis.AttrService: "checkout", analysis.AttrPod: fmt.Sprint(n)}}
		all := make([]replay.Series, 4)
		values := make([]float64, len(all))
		for i := range all {
			all[i] = replay.Series{Metric: "requests", Field: analysis.FieldValue, Attributes: map[string]string{"status": []string{"200", "404", "500", "503"}[i]}}
		}
		if starts {
			p.Starts = append(p.Starts, at(-50+float64(rng.IntN(100))))
		}
		for s := 60; s < 360; s += 1 + rng.IntN(20) {
			if rng.IntN(8) == 0 {
				clear(values)
				if starts {
					p.Starts = append(p.Starts, at(float64(s)-0.5))
				}
			}
			for i := range all {
				values[i] += float64(max(0, rng.IntN(5)-2-i%2))
				if values[i] > 0 && rng.IntN(10) > 0 {
					all[i].Samples = append(all[i].Samples, analysis.Sample{T: at(float64(s)), V: values[i]})
				}
			}
		}
		for _, s := range all {
			if len(s.Samples) > 0 {
				p.Series = append(p.Series, s)
			}
		}
		rec.Pods = append(rec.Pods, p)
	}
	return rec
}
