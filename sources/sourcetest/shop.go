package sourcetest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/replay"
)

// pod is a pod of the shop in production.
func pod(service, version, name string, series ...replay.Series) replay.Pod {
	return replay.Pod{
		Attributes: map[string]string{
			analysis.AttrService:     service,
			analysis.AttrNamespace:   namespace,
			analysis.AttrVersion:     version,
			analysis.AttrEnvironment: environment,
			analysis.AttrPod:         name,
			podHash:                  "hash-of-" + version,
		},
		Series: series,
	}
}

// startedAt returns the pod with its starts.
func startedAt(p replay.Pod, seconds ...float64) replay.Pod {
	for _, s := range seconds {
		p.Starts = append(p.Starts, at(s))
	}
	return p
}

// in returns the pod in another environment.
func in(p replay.Pod, environment string) replay.Pod {
	p.Attributes[analysis.AttrEnvironment] = environment
	return p
}

// counts is a series of requests with a status, from pairs of second and value.
func counts(status string, pairs ...float64) replay.Series {
	return series(requests, map[string]string{statusCode: status, route: "/"}, pairs...)
}

// cpu is a series that has nothing to do with requests.
func cpu(pairs ...float64) replay.Series { return series("process.cpu.time", nil, pairs...) }

func series(metric string, attributes map[string]string, pairs ...float64) replay.Series {
	s := replay.Series{Metric: metric, Field: analysis.FieldValue, Attributes: attributes}
	for i := 0; i < len(pairs); i += 2 {
		s.Samples = append(s.Samples, analysis.Sample{T: at(pairs[i]), V: pairs[i+1]})
	}
	return s
}

// steady returns pairs: a reading every step seconds in [from, to], the counter
// growing by growth from each to the next.
func steady(from, to, step, value, growth float64) []float64 {
	var pairs []float64
	for t := from; t <= to; t += step {
		pairs = append(pairs, t, value)
		value += growth
	}
	return pairs
}

// randomPods live ten minutes: they are born and die, miss readings, restart, and
// err for the first time late. Every series that a pod has falls at a restart, so
// that those who do not know starts see it too.
func randomPods(service string, seed uint64) []replay.Pod {
	rng := rand.New(rand.NewPCG(seed, 0))
	statuses := []string{"200", "404", "500", "503"}
	chance := []int{40, 4, 2, 1} // highest number counted between two readings
	var pods []replay.Pod
	for n := range 6 {
		p := pod(service, fmt.Sprintf("v%d", 1+n%2), fmt.Sprintf("pod-%d", n))
		from, to := rng.IntN(120), 480+rng.IntN(120)
		step := []int{5, 15, 15, 30}[rng.IntN(4)]
		p.Starts = []time.Time{at(float64(from - 1 - rng.IntN(200)))}
		values := make([]float64, len(statuses))
		all := make([]replay.Series, len(statuses))
		for i, status := range statuses {
			all[i] = counts(status)
		}
		for t := from; t <= to; t += step {
			restart := t > from && values[0] > 0 && rng.IntN(12) == 0
			if restart {
				p.Starts = append(p.Starts, at(float64(t-step)+1))
			}
			for i := range statuses {
				if restart {
					values[i] = float64(rng.IntN(max(1, int(lastOf(all[i])))))
				} else {
					values[i] += float64(rng.IntN(chance[i] + 1))
				}
			}
			if !restart && rng.IntN(10) == 0 {
				continue // a missed reading
			}
			for i := range statuses {
				if values[i] > 0 || len(all[i].Samples) > 0 {
					all[i].Samples = append(all[i].Samples, analysis.Sample{T: at(float64(t)), V: values[i]})
				}
			}
		}
		for _, s := range all {
			if len(s.Samples) > 0 {
				p.Series = append(p.Series, s)
			}
		}
		pods = append(pods, p)
	}
	return pods
}

// lastOf returns the newest value of s: what a fall must be below to be seen.
func lastOf(s replay.Series) float64 {
	if len(s.Samples) == 0 {
		return 0
	}
	return s.Samples[len(s.Samples)-1].V
}

// on returns the pod on a node.
func on(p replay.Pod, name string) replay.Pod {
	p.Attributes[node] = name
	return p
}

// durations is a histogram of classic buckets, from what it held at each second:
// counts in each bucket, the last above all bounds.
func durations(r string, bounds []float64, held ...held) replay.Series {
	s := replay.Series{Metric: "shop.duration", Attributes: map[string]string{route: r}}
	for _, h := range held {
		s.Histograms = append(s.Histograms, replay.HistogramSample{T: at(h.at), Histogram: analysis.Histogram{Bounds: bounds, Counts: h.counts}})
	}
	return s
}

// held is what a histogram held at a second.
type held struct {
	at     float64
	counts []float64
}

func has(second float64, counts ...float64) held { return held{second, counts} }

// powers is a histogram of exponential buckets.
func powers(histograms ...replay.HistogramSample) replay.Series {
	return replay.Series{Metric: "shop.duration", Attributes: map[string]string{route: "/"}, Histograms: histograms}
}

// grown is what an exponential histogram held at a second: pairs of a power and the
// count in the bucket that ends at 2^(power * 2^-schema), and low around zero.
func grown(second float64, schema int, zero, low float64, pairs ...float64) replay.HistogramSample {
	h := analysis.Histogram{Schema: &schema, Zero: zero}
	if low > 0 {
		h.Bounds, h.Counts = []float64{zero}, []float64{low}
	}
	for i := 0; i < len(pairs); i += 2 {
		h.Bounds = append(h.Bounds, math.Exp2(pairs[i]*math.Exp2(-float64(schema))))
		h.Counts = append(h.Counts, pairs[i+1])
	}
	h.Counts = append(h.Counts, 0)
	return replay.HistogramSample{T: at(second), Histogram: h}
}

// gauge is a level in an area of memory, from pairs of second and value.
func gauge(where string, pairs ...float64) replay.Series {
	s := series("shop.memory", map[string]string{area: where}, pairs...)
	s.Gauge = true
	return s
}

// classicOnly returns the recording without exponential buckets.
func classicOnly(rec replay.Recording) replay.Recording {
	var out replay.Recording
	for _, p := range rec.Pods {
		p.Series = slices.DeleteFunc(slices.Clone(p.Series), func(s replay.Series) bool { return len(s.Histograms) > 0 && s.Histograms[0].Schema != nil })
		out.Pods = append(out.Pods, p)
	}
	return out
}

// randomDurations live as randomPods do: what they observe is drawn, and put into
// classic buckets. After a restart they are read before they observe anything, so
// that those who do not know starts see it too.
func randomDurations(service string, seed uint64) []replay.Pod {
	rng := rand.New(rand.NewPCG(seed, 1))
	bounds := []float64{0.1, 0.25, 0.5, 1}
	var pods []replay.Pod
	for n := range 4 {
		p := pod(service, fmt.Sprintf("v%d", 1+n%2), fmt.Sprintf("pod-%d", n))
		from := rng.IntN(120)
		p.Starts = []time.Time{at(float64(from - 1))}
		held := []float64{1, 1, 1, 1, 1}
		s := durations("/", bounds)
		for t := from; t <= 600; t += 15 {
			if t > from && rng.IntN(12) == 0 {
				p.Starts = append(p.Starts, at(float64(t-14)))
				held = make([]float64, len(held))
			} else {
				for range rng.IntN(20) {
					held[sort.SearchFloat64s(bounds, 2*rng.Float64()*rng.Float64())]++
				}
			}
			if rng.IntN(10) > 0 || held[0] == 0 {
				s.Histograms = append(s.Histograms, replay.HistogramSample{T: at(float64(t)), Histogram: analysis.Histogram{Bounds: bounds, Counts: slices.Clone(held)}})
			}
		}
		p.Series = append(p.Series, s)
		pods = append(pods, p)
	}
	return pods
}
