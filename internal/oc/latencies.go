package oc

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/history"
)

// A latencyWorld is a service whose requests take their time: lognormal, with factors
// that the arms share and factors of each pod. Requests are drawn one by one, as
// logarithms of seconds, since quantiles are what the peers look at.
type latencyWorld struct {
	rps     float64
	share   float64
	minutes int
	pods    int     // of the baseline
	median  float64 // seconds
	sigma   float64

	slower float64 // factor on the canary; 0: 1
	tail   float64 // share of the canary's requests that take three times as long
	shared noise   // factor on both arms, a minute a step
	pod    noise   // factor on each pod, a minute a step
}

// A telling of latencies is how the service reports them.
type latencyTelling struct {
	name    string
	cadence time.Duration
	shape   func(logs []float64) (analysis.Histogram, error)
}

// requests are the logarithms of what the requests of one arm took, tick by tick.
type requests [][]float64

// draw simulates the deployment.
func (w *latencyWorld) draw(rng *rand.Rand) (canary, baseline requests) {
	shared := w.shared.wander(rng, w.minutes)
	pods := make([][]float64, w.pods+1)
	for i := range pods {
		pods[i] = w.pod.wander(rng, w.minutes)
	}
	mean := w.rps * tick.Seconds()
	for t := range w.minutes * ticksPerMinute {
		minute := t / ticksPerMinute
		c := w.some(rng, nil, mean*w.share, shared[minute]*pods[0][minute]*max(1, w.slower))
		for i := range c {
			if w.tail > 0 && rng.Float64() < w.tail {
				c[i] += math.Log(3)
			}
		}
		var b []float64
		for _, pod := range pods[1:] {
			b = w.some(rng, b, mean*(1-w.share)/float64(w.pods), shared[minute]*pod[minute])
		}
		canary, baseline = append(canary, c), append(baseline, b)
	}
	return canary, baseline
}

// some draws about so many requests that are slower by a factor.
func (w *latencyWorld) some(rng *rand.Rand, into []float64, mean, factor float64) []float64 {
	at := math.Log(w.median * factor)
	for range int(poisson(rng, mean)) {
		into = append(into, at+w.sigma*rng.NormFloat64())
	}
	return into
}

// facts simulates the day before the deployment, as each telling reports it. The
// thresholds come from its last hour.
func (w *latencyWorld) facts(rng *rand.Rand, tellings []latencyTelling, seed string) ([]analysis.Facts, error) {
	const minutes = 24 * 60
	pods := w.pods + 1
	shared := w.shared.wander(rng, minutes)
	factors := make([][]float64, pods)
	for i := range factors {
		factors[i] = w.pod.wander(rng, minutes)
	}
	perPod := w.rps * 60 / float64(pods)
	var hour []float64
	for m := minutes - 60; m < minutes; m++ {
		for i := range factors {
			hour = w.some(rng, hour, perPod, shared[m]*factors[i][m])
		}
	}
	out := make([]analysis.Facts, len(tellings))
	bounds := make([][]float64, len(tellings))
	sums := make([][]analysis.MinuteSum, len(tellings))
	for k, telling := range tellings {
		h, err := telling.shape(hour)
		if err != nil {
			return nil, err
		}
		out[k] = analysis.Facts{Spacing: telling.cadence, Distribution: h}
		bounds[k] = analysis.LatencyBounds(latencyObjective(), h)
	}
	var one []float64
	for m := range minutes {
		for i := range factors {
			one = w.some(rng, one[:0], perPod, shared[m]*factors[i][m])
			for k := range tellings {
				sums[k] = append(sums[k], analysis.MinuteSum{
					Minute: deployedAt.Add(-time.Duration(minutes-m) * time.Minute), Pod: podName(i),
					Exposure: float64(len(one)), Above: countAbove(make([]float64, len(bounds[k])), bounds[k], one),
				})
			}
		}
	}
	for k := range tellings {
		out[k].History = history.Learn(sums[k], deployedAt, w.share, seed)
	}
	return out, nil
}

// countAbove adds how many of the requests took longer than each bound.
func countAbove(counts, bounds, logs []float64) []float64 {
	if len(bounds) == 0 {
		return counts
	}
	limits := make([]float64, len(bounds))
	for i, b := range bounds {
		limits[i] = math.Log(b)
	}
	for _, v := range logs {
		for i := 0; i < len(limits) && v > limits[i]; i++ {
			counts[i]++
		}
	}
	return counts
}

func latencyObjective() analysis.Objective {
	return analysis.Objective{
		Name: "duration", Role: analysis.Critical,
		Signal: analysis.Signal{
			Name: "duration", Source: "simulated", Unit: "s", Shape: analysis.ShapeDistribution,
			Histogram: &analysis.Selector{Metric: "http_request_duration_seconds"},
		},
	}
}

// judgeLatency judges the requests as one telling reports them.
func judgeLatency(p *analysis.Plan, canary, baseline requests) (outcome, error) {
	bounds := p.Objectives[0].Latency.Bounds
	rows := []analysis.ArmRow{
		{Arm: analysis.Baseline, Pod: "baseline", Received: 1, Fresh: true, Version: "1.4.9", PodStart: deployedAt.Add(-24 * time.Hour)},
		{Arm: analysis.Canary, Pod: "canary", Received: 1, Fresh: true, Version: "1.5.0", PodStart: deployedAt},
	}
	return judge(p, nil, func(_ int, fold analysis.Fold) []analysis.ArmRow {
		from, to := ticksOf(fold)
		for arm, all := range []requests{baseline, canary} {
			r := &rows[arm]
			r.Exposure, r.Above = 0, make([]float64, len(bounds))
			for _, one := range all[from:to] {
				r.Exposure += float64(len(one))
				countAbove(r.Above, bounds, one)
			}
		}
		return rows
	})
}

// quantilesPerMinute are the p-quantiles of each minute, in seconds; the nearest rank.
func (r requests) quantilesPerMinute(p float64) []float64 {
	out := make([]float64, len(r)/ticksPerMinute)
	for m := range out {
		minute := slices.Concat(r[m*ticksPerMinute : (m+1)*ticksPerMinute]...)
		if len(minute) == 0 {
			out[m] = math.NaN()
			continue
		}
		slices.Sort(minute)
		out[m] = math.Exp(minute[int(math.Ceil(p*float64(len(minute))))-1])
	}
	return out
}

// ofSpans reports single observations.
func ofSpans(logs []float64) (analysis.Histogram, error) {
	return analysis.ExactHistogram(seconds(logs))
}

// ofSchema reports exponential buckets.
func ofSchema(schema int) func([]float64) (analysis.Histogram, error) {
	return func(logs []float64) (analysis.Histogram, error) {
		growth := math.Exp2(math.Exp2(-float64(schema)))
		low, high := slices.Min(logs), slices.Max(logs)
		first := int(math.Floor(low / math.Log(growth)))
		last := int(math.Ceil(high/math.Log(growth))) + 1
		h := analysis.Histogram{Schema: &schema}
		for i := first; i <= last; i++ {
			h.Bounds = append(h.Bounds, math.Pow(growth, float64(i)))
		}
		h.Counts = bucketCounts(h.Bounds, logs)
		return h, nil
	}
}

// ofClassic reports the default buckets of the Prometheus clients.
func ofClassic(logs []float64) (analysis.Histogram, error) {
	h := analysis.Histogram{Bounds: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}}
	h.Counts = bucketCounts(h.Bounds, logs)
	return h, nil
}

// bucketCounts has one count for each bound, inclusive, and one more.
func bucketCounts(bounds, logs []float64) []float64 {
	counts := make([]float64, len(bounds)+1)
	limits := make([]float64, len(bounds))
	for i, b := range bounds {
		limits[i] = math.Log(b)
	}
	for _, v := range logs {
		i, _ := slices.BinarySearch(limits, v)
		counts[i]++
	}
	return counts
}

func seconds(logs []float64) []float64 {
	out := make([]float64, len(logs))
	for i, v := range logs {
		out[i] = math.Exp(v)
	}
	return out
}
