package sourcetest

import (
	"fmt"
	"math/rand/v2"
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
