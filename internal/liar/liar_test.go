package liar

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/release-assay/assay/internal/lab"
)

var deployed = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

var recorded = sync.OnceValues(func() (*Telemetry, error) {
	scenario, err := lab.Find("error-regression")
	if err != nil {
		return nil, err
	}
	scenario.CanaryPods = 2
	return Record(scenario, 1, deployed, 10*time.Minute), nil
})

func record(t *testing.T) *Telemetry {
	t.Helper()
	telemetry, err := recorded()
	if err != nil {
		t.Fatal(err)
	}
	return telemetry
}

// ask returns a server that behaves by the script, at a time after the deployment,
// and a function that asks it.
func ask(t *testing.T, script string, since time.Duration) (*Server, func(path string, form url.Values) (*http.Response, error)) {
	t.Helper()
	rules, err := Read([]byte(script))
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(record(t), rules, func() time.Time { return deployed.Add(since) })
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	client := &http.Client{
		Timeout:       time.Second,
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s, func(path string, form url.Values) (*http.Response, error) {
		return client.PostForm(server.URL+path, form)
	}
}

func at(since time.Duration) string { return fmt.Sprint(deployed.Add(since).Unix()) }

// minute asks for the raw samples of one minute of a metric.
func minute(selector string, end time.Duration) url.Values {
	return url.Values{"query": {selector + "[1m]"}, "time": {at(end)}}
}

type answered struct {
	Status   string
	Warnings []string
	Data     struct {
		ResultType string
		Result     []struct {
			Metric map[string]string
			Values [][2]any
		}
	}
}

func decode(t *testing.T, r *http.Response, err error) (a answered) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestHonestAnswers(t *testing.T) {
	_, post := ask(t, "", 5*time.Minute)
	r, err := post(instantPath, minute(Requests+`{service_version="1.5.0"}`, 3*time.Minute))
	a := decode(t, r, err)
	if len(a.Data.Result) != 4 || a.Data.ResultType != "matrix" { // two pods, successes and errors
		t.Fatalf("%+v", a)
	}
	for _, s := range a.Data.Result {
		if len(s.Values) != 4 || s.Metric["track"] != "canary" || s.Metric["pod"] == "" {
			t.Errorf("%+v", s)
		}
		for _, v := range s.Values {
			if when := v[0].(float64) - float64(deployed.Unix()); when <= 120 || when > 180 {
				t.Errorf("a sample of second %v", when)
			}
		}
	}
	r, err = post(rangePath, url.Values{"query": {Requests + `{service_version="1.4.9"}`}, "start": {at(0)}, "end": {at(4 * time.Minute)}, "step": {"60"}})
	if a = decode(t, r, err); len(a.Data.Result) != 8 || len(a.Data.Result[0].Values) != 5 {
		t.Errorf("%d series", len(a.Data.Result))
	}
	for _, refused := range []struct {
		path, query string
		status      int
	}{{instantPath, "up", 400}, {instantPath, "rate(up[5m])", 400}, {instantPath, "up{", 400}, {"/metrics", "up", 404}} {
		if r, err = post(refused.path, url.Values{"query": {refused.query}, "time": {"0"}}); err != nil || r.StatusCode != refused.status {
			t.Errorf("%s %s: %v %v", refused.path, refused.query, r.StatusCode, err)
		}
	}
	// Nobody knows what comes.
	r, err = post(instantPath, minute(Requests, 8*time.Minute))
	if a = decode(t, r, err); len(a.Data.Result) != 0 {
		t.Errorf("%d series of the future", len(a.Data.Result))
	}
}

// What a server holds is the same whenever it is asked, and honest about the rest.
func TestHeld(t *testing.T) {
	whole := record(t)
	count := func(all []Series, keep func(s *Series) bool) (samples int) {
		for i := range all {
			if keep(&all[i]) {
				samples += len(all[i].Samples)
			}
		}
		return samples
	}
	everything := func(*Series) bool { return true }
	for script, check := range map[string]func(all []Series) bool{
		`[{do: silent, arm: canary}]`: func(all []Series) bool {
			return count(all, func(s *Series) bool { return s.Arm == "canary" }) == 0
		},
		`[{do: silent, pod: checkout-1.4.9-1, from: 1m, to: 2m}]`: func(all []Series) bool {
			return count(all, everything) == count(whole.Series, everything)-36*4 // 36 series, of which 30 are buckets; four scrapes
		},
		`[{do: relabel, arm: canary, label: service_version, value: 1.4.9, from: 2m}]`: func(all []Series) bool {
			return count(all, everything) == count(whole.Series, everything) && !slices.ContainsFunc(all, func(s Series) bool {
				late := s.Samples[len(s.Samples)-1].T > deployed.Add(2*time.Minute).UnixMilli()
				return s.Arm == "canary" && late != (s.Labels["service_version"] == "1.4.9")
			})
		},
		`[{do: relabel, label: service_version}]`: func(all []Series) bool {
			return !slices.ContainsFunc(all, func(s Series) bool { _, ok := s.Labels["service_version"]; return ok })
		},
		`[{do: double, arm: canary, label: track, value: stable}]`: func(all []Series) bool {
			return count(all, everything) == count(whole.Series, everything)+count(whole.Series, func(s *Series) bool { return s.Arm == "canary" })
		},
		`[{do: skew, by: 10m}]`: func(all []Series) bool {
			return all[0].Samples[0].T == whole.Series[0].Samples[0].T+600_000
		},
		`[{do: reset, from: 2m, pod: checkout-1.4.9-0, metric: http_}]`: func(all []Series) bool {
			i := slices.IndexFunc(all, func(s Series) bool { return s.Pod == "checkout-1.4.9-0" && s.Labels[StatusCode] == "200" })
			k := after(all[i].Samples, deployed.Add(2*time.Minute).UnixMilli())
			return all[i].Samples[k].V < 1000 && all[i].Samples[k-1].V > 100_000
		},
		`[{do: idle, arm: canary, from: 2m}]`: func(all []Series) bool {
			i := slices.IndexFunc(all, func(s Series) bool { return s.Arm == "canary" && s.Labels[StatusCode] == "200" })
			n := len(all[i].Samples)
			return n == len(whole.Series[i].Samples) && all[i].Samples[n-1].V == all[i].Samples[n-10].V
		},
		`[{do: fail, share: 0.5, arm: baseline, from: 0s}]`: func(all []Series) bool {
			newest := func(of []Series, code string) (v float64) {
				for _, s := range of {
					if s.Arm == "baseline" && s.Labels[StatusCode] == code {
						v += s.Samples[len(s.Samples)-1].V
					}
				}
				return v
			}
			moved := newest(whole.Series, "200") - newest(all, "200")
			return moved > 10_000 && moved == newest(all, "500")-newest(whole.Series, "500")
		},
	} {
		rules, err := Read([]byte(script))
		if err != nil {
			t.Fatal(err)
		}
		before := count(whole.Series, everything)
		all, obeyed := whole.hold(rules)
		if !check(all) || obeyed[0] == 0 {
			t.Errorf("%s: obeyed %d", script, obeyed[0])
		}
		if count(whole.Series, everything) != before {
			t.Errorf("%s changed what others share", script)
		}
	}
}

func TestSent(t *testing.T) {
	for script, check := range map[string]func(r *http.Response, err error) bool{
		`[{do: down}]`: func(_ *http.Response, err error) bool { return err != nil && strings.Contains(err.Error(), "reset") },
		`[{do: hang}]`: func(_ *http.Response, err error) bool { return err != nil && strings.Contains(err.Error(), "deadline") },
		`[{do: status, status: 429, retryAfter: 90s}]`: func(r *http.Response, err error) bool {
			return err == nil && r.StatusCode == 429 && r.Header.Get("Retry-After") == "90"
		},
		`[{do: login}]`: func(r *http.Response, err error) bool {
			return err == nil && r.StatusCode == 200 && strings.HasPrefix(r.Header.Get("Content-Type"), "text/html")
		},
		`[{do: redirect}]`: func(r *http.Response, err error) bool {
			return err == nil && strings.HasPrefix(r.Header.Get("Location"), "http://metrics.example.invalid/")
		},
		`[{do: truncated}]`: func(r *http.Response, err error) bool {
			body, _ := io.ReadAll(r.Body)
			return err == nil && len(body) > 100 && !json.Valid(body)
		},
		`[{do: huge, bytes: 3000000}]`: func(r *http.Response, err error) bool {
			body, _ := io.ReadAll(r.Body)
			return err == nil && len(body) > 3_000_000 && json.Valid(body)
		},
		`[{do: bomb, bytes: 3000000}]`: func(r *http.Response, _ error) bool {
			packed, _ := io.ReadAll(r.Body)
			z, err := gzip.NewReader(strings.NewReader(string(packed)))
			if err != nil {
				return false
			}
			body, _ := io.ReadAll(z)
			return len(packed) < 100_000 && len(body) > 3_000_000 && json.Valid(body)
		},
		`[{do: slow}]`: func(r *http.Response, _ error) bool {
			body, err := io.ReadAll(r.Body)
			return err != nil && len(body) <= 1
		},
		`[{do: skew, by: -10m}]`: func(r *http.Response, err error) bool {
			return err == nil && r.Header.Get("Date") == deployed.Add(-5*time.Minute).Format(http.TimeFormat)
		},
	} {
		s, post := ask(t, script, 5*time.Minute)
		r, err := post(instantPath, minute(Requests, 3*time.Minute))
		if !check(r, err) {
			t.Errorf("%s: %+v %v", script, r, err)
		}
		if err == nil {
			r.Body.Close()
		}
		if s.Obeyed()[0] == 0 {
			t.Errorf("%s was not obeyed", script)
		}
	}
}

func TestAnswersThatAreWrong(t *testing.T) {
	for script, check := range map[string]func(a answered) bool{
		`[{do: warnings}]`:           func(a answered) bool { return len(a.Warnings) == 1 && len(a.Data.Result) > 0 },
		`[{do: empty}]`:              func(a answered) bool { return a.Data.ResultType == "matrix" && len(a.Data.Result) == 0 },
		`[{do: value, value: NaN}]`:  func(a answered) bool { return a.Data.Result[0].Values[0][1] == "NaN" },
		`[{do: value, value: +Inf}]`: func(a answered) bool { return a.Data.Result[0].Values[0][1] == "+Inf" },
		`[{do: value, value: "-1"}]`: func(a answered) bool { return a.Data.Result[0].Values[0][1] == "-1" },
		`[{do: stale}]`: func(a answered) bool {
			v := a.Data.Result[0].Values
			return v[len(v)-1][1] == "NaN" && v[0][1] != "NaN"
		},
		`[{do: twice}]`: func(a answered) bool {
			return fmt.Sprint(a.Data.Result[0]) == fmt.Sprint(a.Data.Result[len(a.Data.Result)/2])
		},
		`[{do: repeated}]`:                    func(a answered) bool { v := a.Data.Result[0].Values; return v[0][0] == v[1][0] },
		`[{do: unsorted}]`:                    func(a answered) bool { v := a.Data.Result[0].Values; return v[0][0].(float64) > v[1][0].(float64) },
		`[{do: explode, count: 7}]`:           func(a answered) bool { return len(a.Data.Result) == 12+7 },
		`[{do: explode, count: 1, bytes: 9}]`: func(a answered) bool { return a.Data.Result[12].Metric["request_id"] == "xxxxxxxxx00000000" },
		`[{do: future, by: 30s}]`:             func(a answered) bool { return len(a.Data.Result[0].Values) == 6 },
		`[{do: lag, by: 150s}]`:               func(a answered) bool { return len(a.Data.Result[0].Values) == 2 },
	} {
		_, post := ask(t, script, 5*time.Minute)
		r, err := post(instantPath, minute(Requests+`{service_name="checkout"}`, 3*time.Minute))
		if a := decode(t, r, err); !check(a) {
			t.Errorf("%s: %+v", script, a)
		}
	}
	for _, kind := range []string{"scalar", "string", "vector"} {
		_, post := ask(t, "[{do: "+kind+"}]", 5*time.Minute)
		r, err := post(instantPath, minute(Requests, 3*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		if !json.Valid(body) || !strings.Contains(string(body), `"resultType":"`+kind+`"`) {
			t.Errorf("%s: %.200s", kind, body)
		}
		r.Body.Close()
	}
}

// A rule holds within its window and for what it names, and the first one wins.
func TestWhichRuleHolds(t *testing.T) {
	const script = `
- {do: status, status: 500, from: 1m, to: 2m}
- {do: status, status: 501, path: query_range}
- {do: status, status: 502, query: process_start}
`
	for _, c := range []struct {
		since       time.Duration
		path, query string
		status      int
	}{
		{time.Minute, instantPath, "up[1m]", 200},
		{time.Minute + time.Second, instantPath, "up[1m]", 500},
		{2 * time.Minute, rangePath, "up", 500},
		{3 * time.Minute, rangePath, "process_start_time_seconds", 501},
		{3 * time.Minute, instantPath, "process_start_time_seconds[5m]", 502},
	} {
		_, post := ask(t, script, c.since)
		r, err := post(c.path, url.Values{"query": {c.query}, "time": {at(0)}, "start": {at(0)}, "end": {at(60)}, "step": {"60"}})
		if err != nil || r.StatusCode != c.status {
			t.Errorf("%v %s %s: %d, want %d (%v)", c.since, c.path, c.query, r.StatusCode, c.status, err)
		}
	}
}

func TestScriptsAreReadStrictly(t *testing.T) {
	for script, says := range map[string]string{
		"[{do: nothing}]":                     `"nothing" is no misbehaviour (legal: silent,`,
		"[{do: down, form: 1m}]":              "field form not found",
		"[{do: down, from: soon}]":            "cannot unmarshal",
		"[{do: reset}]":                       "reset: needs from",
		"[{do: status}]":                      "status: needs status",
		"[{do: silent, arm: both}]":           "legal: canary, baseline",
		"[{do: silent, query: up}]":           "knows no path and no query",
		"[{do: down}, {do: fail, share: 2}]":  "rule 2: fail: needs share",
		"do: down":                            "cannot unmarshal",
		"[{do: relabel, value: x}]":           "needs label",
		"[{do: down}]\n---\n[{do: nonsense}]": "more than one document",
	} {
		if _, err := Read([]byte(script)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", script, err, says)
		}
	}
}

// The collector delivers what it got: not, later, twice, or under another name.
func TestCollector(t *testing.T) {
	points := func(script string, until time.Duration) (resources, named int, c *Collector) {
		rules, err := Read([]byte(script))
		if err != nil {
			t.Fatal(err)
		}
		c = NewCollector(record(t), rules)
		c.Until(deployed)
		for _, m := range c.Until(deployed.Add(until)) {
			for _, r := range m.ResourceMetrics().All() {
				resources++
				if v, _ := r.Resource().Attributes().Get("service.version"); v.AsString() == "9.9.9" {
					named++
				}
			}
		}
		return resources, named, c
	}
	const pods, canary = 4 + 2 + 2 + 2, 2
	for _, c := range []struct {
		script           string
		resources, named int
	}{
		{"", 4 * pods, 0},
		{"[{do: silent, arm: canary}]", 4 * (pods - canary), 0},
		{"[{do: late, by: 30s, arm: canary}]", 4*pods - 2*canary, 0},
		{"[{do: repeat, arm: canary}]", 4*pods + 4*canary, 0},
		{"[{do: relabel, label: service.version, value: 9.9.9, arm: canary, from: 30s}]", 4 * pods, 2 * canary},
	} {
		resources, named, collector := points(c.script, time.Minute)
		if resources != c.resources || named != c.named {
			t.Errorf("%s: %d resources, %d of them renamed, want %d and %d", c.script, resources, named, c.resources, c.named)
		}
		if c.script != "" && collector.Obeyed()[0] == 0 {
			t.Errorf("%s was not obeyed", c.script)
		}
	}
}
