package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// heard is a source that writes down what it is asked and answers the same always.
type heard struct {
	err  error
	sums []analysis.MinuteSum
	seen []analysis.Seen
	wait func(context.Context)

	mu    sync.Mutex // guards asked
	asked []string
}

func (h *heard) note(ctx context.Context, format string, args ...any) {
	if h.wait != nil {
		h.wait(ctx)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, fmt.Sprintf(format, args...))
}

func (h *heard) Seen(ctx context.Context, q analysis.SeenQuery) ([]analysis.Seen, error) {
	h.note(ctx, "seen %s of %s %s to %s", q.Service, q.Signal.Source, q.From.Format(time.TimeOnly), q.To.Format(time.TimeOnly))
	return h.seen, h.err
}

func (h *heard) Spacing(ctx context.Context, q analysis.SpacingQuery) (time.Duration, error) {
	h.note(ctx, "spacing of %s %v", q.Signal.Total.Metric, q.Matches)
	return 15 * time.Second, h.err
}

func (h *heard) History(ctx context.Context, q analysis.HistoryQuery) ([]analysis.MinuteSum, bool, error) {
	h.note(ctx, "history of %s %v above %v each %v", q.Signal.Selectors()[0].Metric, q.Matches, q.Bounds, q.Step)
	return h.sums, true, h.err
}

func (h *heard) Distribution(ctx context.Context, q analysis.DistributionQuery) (analysis.Histogram, error) {
	h.note(ctx, "distribution of %s %v", q.Signal.Histogram.Metric, q.Matches)
	return analysis.Histogram{Bounds: []float64{.1, .2}, Counts: []float64{7, 2, 1}}, h.err
}

func (h *heard) Metric(ctx context.Context, name string, _, _ time.Time) (sources.Metric, error) {
	h.note(ctx, "metric %s", name)
	return sources.Metric{Type: "counter", Labels: []string{"code"}}, h.err
}

func (h *heard) Values(ctx context.Context, metric, label string, _, _ time.Time) ([]string, error) {
	h.note(ctx, "values of %s of %s", label, metric)
	return nil, h.err
}

// answerOf posts a question to the source "otlp", which h is.
func answerOf(t *testing.T, h *heard, question, body string) (int, http.Header, string) {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler := New(Config{Pushed: map[string]Pushed{"otlp": h}, Metrics: http.NotFoundHandler()})
	handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/sources/"+question, strings.NewReader(body)))
	return recorder.Code, recorder.Header(), recorder.Body.String()
}

const (
	hour         = `"from":"2026-03-02T09:00:00Z","to":"2026-03-02T10:00:00Z"`
	oneSignal    = `"signal":{"name":"errors","shape":"ratio","unit":"1","bad":{"metric":"failed"},"total":{"metric":"requests"}}`
	oneHistogram = `"signal":{"name":"duration","shape":"distribution","unit":"s","histogram":{"metric":"duration"}}`
	oneArm       = `"matches":[{"name":"service.version","values":["1","2"]}]`
)

func TestSourceQuestions(t *testing.T) {
	h := &heard{seen: []analysis.Seen{{Service: "cart", Version: "1", Pods: 2, Exposure: 9}}, sums: []analysis.MinuteSum{{Minute: at, Pod: "a", Bad: 1, Exposure: 9}}}
	for _, test := range []struct{ question, body, asked, answer string }{
		{
			"seen", `{` + oneSignal + `,"service":"cart",` + hour + `}`, "seen cart of otlp 09:00:00 to 10:00:00",
			`{"seen":[{"service":"cart","namespace":"","environment":"","version":"1","pods":2,"exposure":9}]}`,
		},
		{"spacing", `{` + oneSignal + `,` + oneArm + `,` + hour + `}`, "spacing of requests [{service.version [1 2]}]", `{"spacing":"15s"}`},
		{
			"history", `{` + oneSignal + `,` + hour + `}`, "history of failed [] above [] each 0s",
			`{"sums":[{"minute":"2026-03-02T10:00:00Z","pod":"a","bad":1,"exposure":9}],"kept":true}`,
		},
		{
			"history", `{` + oneHistogram + `,` + oneArm + `,"bounds":[0.1,0.2],"step":"15s",` + hour + `}`, "history of duration [{service.version [1 2]}] above [0.1 0.2] each 15s",
			`{"sums":[{"minute":"2026-03-02T10:00:00Z","pod":"a","bad":1,"exposure":9}],"kept":true}`,
		},
		{"distribution", `{` + oneHistogram + `,` + oneArm + `,` + hour + `}`, "distribution of duration [{service.version [1 2]}]", `{"bounds":[0.1,0.2],"counts":[7,2,1]}`},
		{"metric", `{"metric":"requests",` + hour + `}`, "metric requests", `{"type":"counter","labels":["code"]}`},
		{"values", `{"metric":"requests","label":"code",` + hour + `}`, "values of code of requests", `{"values":[]}`},
	} {
		h.asked = nil
		code, header, body := answerOf(t, h, "otlp/"+test.question, test.body)
		if code != 200 || header.Get("Content-Type") != "application/json" || strings.TrimSpace(body) != test.answer || len(h.asked) != 1 || h.asked[0] != test.asked {
			t.Errorf("%s: %d %s, asked %q", test.question, code, body, h.asked)
		}
	}
}

// No hostile body comes as far as the source.
func TestSourceHostileBodies(t *testing.T) {
	day := `"from":"2026-03-01T00:00:00Z","to":"2026-03-02T02:00:00Z"`
	for name, test := range map[string]struct {
		question, body string
		code           int
		says           string
	}{
		"a source that is not pushed": {"prom/seen", `{}`, 404, `no source \"prom\" is pushed to this server (legal: otlp)`},
		"rows":                        {"otlp/rows", `{}`, 404, `\"rows\" is no question to a source (legal: distribution, history, metric, seen, spacing, values)`},
		"nothing":                     {"otlp/seen", ``, 400, "EOF"},
		"no JSON":                     {"otlp/seen", `<xml/>`, 400, "invalid character"},
		"an unknown key":              {"otlp/seen", `{` + oneSignal + `,"colour":"red",` + hour + `}`, 400, `unknown field \"colour\"`},
		"two questions":               {"otlp/seen", `{` + oneSignal + `,` + hour + `}{}`, 400, "something follows it"},
		"another source":              {"otlp/seen", `{"signal":{"source":"prom"},` + hour + `}`, 400, `signal.source: \"prom\", but the address names \"otlp\"`},
		"no time":                     {"otlp/seen", `{` + oneSignal + `}`, 400, "from: missing"},
		"a time that no clock shows":  {"otlp/seen", `{` + oneSignal + `,"from":"2026-03-02T09:00:00Z","to":"9999-12-31T23:59:59Z"}`, 400, "to: missing, or not between"},
		"backwards":                   {"otlp/history", `{` + oneSignal + `,"to":"2026-03-02T09:00:00Z","from":"2026-03-02T10:00:00Z"}`, 400, "-1h0m0s apart"},
		"too long a time":             {"otlp/history", `{` + oneSignal + `,` + day + `}`, 400, "26h0m0s apart; legal is more than 0s and at most 25h0m0s"},
		"nobody's match":              {"otlp/spacing", `{` + oneSignal + `,"matches":[{"name":"","values":[]}],` + hour + `}`, 400, "matches[0]: a name and at least one value"},
		"a step backwards":            {"otlp/history", `{` + oneSignal + `,"step":"-15s",` + hour + `}`, 400, "legal are up to 1000 and a step that is not negative"},
		"too many bounds":             {"otlp/history", `{` + oneHistogram + `,"bounds":[` + strings.Repeat("1,", maxBounds) + `1],` + hour + `}`, 400, "1001 bounds"},
		"a distribution of nobody":    {"otlp/distribution", `{` + oneHistogram + `,"matches":[{"name":"","values":[]}],` + hour + `}`, 400, "matches[0]: a name and at least one value"},
		"no metric":                   {"otlp/metric", `{` + hour + `}`, 400, "metric: missing"},
		"no label":                    {"otlp/values", `{"metric":"m",` + hour + `}`, 400, "label: missing"},
		"deep nesting":                {"otlp/seen", strings.Repeat("[", 30_000), 400, "exceeded max depth"},
		"too large":                   {"otlp/seen", `{"service":"` + strings.Repeat("x", maxQuestion) + `"}`, 413, "at most 65536 bytes"},
	} {
		h := &heard{}
		code, header, body := answerOf(t, h, test.question, test.body)
		if code != test.code || header.Get("Content-Type") != "application/problem+json" || !strings.Contains(body, test.says) || len(h.asked) > 0 {
			t.Errorf("%s: %d %s, asked %q; want %d and %q", name, code, body, h.asked, test.code, test.says)
		}
	}
}

// The error of a source keeps its kind and when to ask again.
func TestSourceErrors(t *testing.T) {
	for _, test := range []struct {
		err        error
		code       int
		kind       string
		retryAfter string
	}{
		{&sources.Error{Kind: sources.Unavailable, Source: "otlp", Op: "metric", RetryAfter: 1500 * time.Millisecond, Err: errors.New("it rests")}, 503, "unavailable", "2"},
		{&sources.Error{Kind: sources.Unavailable, Source: "otlp", Op: "metric", Err: errors.New("it rests")}, 503, "unavailable", "1"},
		{&sources.Error{Kind: sources.Rejected, Source: "otlp", Op: "metric", Err: errors.New("no")}, 422, "rejected", ""},
		{fmt.Errorf("wrapped: %w", &sources.Error{Kind: sources.Malformed, Source: "otlp", Op: "metric", Err: errors.New("too much")}), 502, "malformed", ""},
		{errors.New("nobody classified it"), 503, "unavailable", "1"},
	} {
		code, header, body := answerOf(t, &heard{err: test.err}, "otlp/metric", `{"metric":"m",`+hour+`}`)
		var problem struct {
			Status       int
			Kind, Detail string
		}
		if err := json.Unmarshal([]byte(body), &problem); err != nil || code != test.code || problem.Status != code || problem.Kind != test.kind ||
			header.Get("Retry-After") != test.retryAfter || !strings.HasSuffix(test.err.Error(), problem.Detail) {
			t.Errorf("%v: %d %v %s", test.err, code, header, body)
		}
	}
}

// An answer holds the newest whole minutes, and no more releases than anybody reads.
func TestSourceAnswersAreBounded(t *testing.T) {
	h := &heard{seen: make([]analysis.Seen, maxSeen+1)}
	if code, _, body := answerOf(t, h, "otlp/seen", `{`+oneSignal+`,`+hour+`}`); code != 502 || !strings.Contains(body, `"malformed"`) || !strings.Contains(body, "ask for one service") {
		t.Errorf("%d %.200s", code, body)
	}
	const pods = 300
	for i := range maxSums + 1 {
		h.sums = append(h.sums, analysis.MinuteSum{Minute: at.Add(time.Duration(i/pods) * time.Minute), Pod: fmt.Sprint(i % pods)})
	}
	code, _, body := answerOf(t, h, "otlp/history", `{`+oneSignal+`,`+hour+`}`)
	var answer HistoryAnswer
	if err := json.Unmarshal([]byte(body), &answer); err != nil || code != 200 || !answer.Shortened || len(answer.Sums) != maxSums+1-pods ||
		!answer.Sums[0].Minute.Equal(at.Add(time.Minute)) || answer.Sums[0].Pod != "0" {
		t.Errorf("%d %v: %d sums, shortened %v", code, err, len(answer.Sums), answer.Shortened)
	}
}

// Two questions are under way at once; the next waits, and goes when its asker goes.
func TestSourceIsAskedFewAtOnce(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	slow := &heard{wait: func(context.Context) { inside <- struct{}{}; <-leave }}
	quick := &heard{}
	server := httptest.NewServer(New(Config{Pushed: map[string]Pushed{"slow": slow, "quick": quick}, Metrics: http.NotFoundHandler()}))
	defer server.Close()
	post := func(ctx context.Context, source string) (int, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/v1/sources/"+source+"/metric", strings.NewReader(`{"metric":"m",`+hour+`}`))
		if err != nil {
			return 0, err
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, err
		}
		return res.StatusCode, res.Body.Close()
	}
	answered := make(chan string, askedAtOnce)
	for range askedAtOnce {
		go func() {
			code, err := post(t.Context(), "slow")
			answered <- fmt.Sprint(code, err)
		}()
		<-inside
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if code, err := post(ctx, "quick"); !errors.Is(err, context.DeadlineExceeded) || len(quick.asked) > 0 {
		t.Errorf("while others ask: %d, %v, asked %q", code, err, quick.asked)
	}
	close(leave)
	for range askedAtOnce {
		if got := <-answered; got != "200 <nil>" {
			t.Errorf("who asked first: %s", got)
		}
	}
	if code, err := post(t.Context(), "quick"); code != 200 || err != nil {
		t.Errorf("when they are done: %d, %v", code, err)
	}
}
