package validation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/replay"
	"github.com/release-assay/assay/verdicts"
	"github.com/release-assay/assay/verdicts/bundle"
)

// talk is what pods write: lines by arm, each to a share of the requests.
type talk struct{ baseline, canary map[string]float64 }

// say adds lines to the pods of a recording: one a request that it happens to, with a
// trace id of its own.
func (k talk) say(rec replay.Recording, w world, seed uint64) replay.Recording {
	for i := range rec.Pods {
		pod := &rec.Pods[i]
		lines := k.baseline
		if pod.Attributes[analysis.AttrVersion] == "1.5.0" {
			lines = k.canary
		}
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		from := pod.Starts[0]
		for at := from.Add(time.Second); at.Before(start.Add(w.span)); at = at.Add(time.Second) {
			for _, text := range sortedKeys(lines) {
				if rng.Float64() < lines[text]*w.rps {
					severity := analysis.SeverityInfo
					if strings.Contains(text, "failed") || strings.Contains(text, "refused") {
						severity = analysis.SeverityError
					}
					pod.Lines = append(pod.Lines, analysis.Line{
						Time: at, Severity: severity, TraceID: fmt.Sprintf("%016x%016x", rng.Uint64(), rng.Uint64()), Text: fmt.Sprintf(text, rng.IntN(1e6)),
					})
				}
			}
		}
	}
	return rec
}

func sortedKeys(m map[string]float64) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// talkative is a policy about requests and logs.
func talkative() Policy {
	p := policy()
	requests := p.Objectives[0].Signal
	p.Objectives = append(p.Objectives,
		analysis.Objective{Name: "logs", Role: analysis.Advisory, Signal: analysis.Signal{
			Name: "logs", Source: "replay", Unit: "1", Shape: analysis.ShapeTemplates, Logs: &analysis.LogSignal{Requests: &requests},
		}},
		analysis.Objective{Name: "logs_severity", Role: analysis.Secondary, Signal: analysis.Signal{
			Name: "logs_severity", Source: "replay", Unit: "1", Shape: analysis.ShapeRatio, Logs: &analysis.LogSignal{Severity: analysis.SeverityError, Requests: &requests},
		}},
	)
	p.Logs = &analysis.LogPlan{Source: "replay"}
	return p
}

// newTalk is a bench over a world whose pods write lines.
func newTalk(t *testing.T, w world, k talk) *bench {
	b := &bench{t: t, dir: t.TempDir(), source: mustReplay(t, k.say(w.record(1), w, 3)), policy: talkative}
	b.open()
	t.Cleanup(func() { b.close() })
	return b
}

func (b *bench) judgedTo(end time.Duration) verdicts.Verdict {
	b.t.Helper()
	b.deploy(deployment(analysis.Live))
	for at := time.Duration(0); at <= end; at += 15 * time.Second {
		b.advance(start.Add(at))
		if v := b.verdict(); v.Final {
			return v
		}
	}
	return b.verdict()
}

// chatty is a healthy world with enough requests to be promoted.
var chatty = world{baselineRate: 0.001, canaryRate: 0.001, rps: 40, history: 3 * time.Hour, span: 30 * time.Minute}

// A release that only rewords a line, of whatever severity, is not rolled back, and is
// promoted once its rate of errors is shown to be the old one.
func TestRewordedLines(t *testing.T) {
	for name, k := range map[string]talk{
		"INFO":  {map[string]float64{"stored order %d": .02}, map[string]float64{"order %d was stored": .02}},
		"ERROR": {map[string]float64{"payment %d failed": .01}, map[string]float64{"refused payment number %d": .01}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTalk(t, chatty, k)
			v := b.judgedTo(25 * time.Minute)
			if v.Verdict == verdicts.Rollback {
				t.Fatalf("a reworded line was rolled back: %s", v.Reason)
			}
			if name == "INFO" && v.Verdict != verdicts.Promote {
				t.Errorf("%s: %s", v.Verdict, v.Reason)
			}
			if name == "ERROR" && v.Verdict == verdicts.Hold && v.ReasonCode != analysis.NewErrorTemplate {
				t.Errorf("held for another reason: %s: %s", v.ReasonCode, v.Reason)
			}
			fresh := slices.IndexFunc(v.Differences, func(d analysis.Difference) bool { return d.New && d.Kind == analysis.DiffTemplate })
			if fresh < 0 {
				t.Fatalf("the new line is not listed: %+v", v.Differences)
			}
			if d := v.Differences[fresh]; d.Example == nil || d.TraceID == "" || !slices.Equal(d.Pods, []string{"checkout-1.5.0-0"}) {
				t.Errorf("it is listed without its example, trace or pods: %+v", d)
			}
			b.rejudged(v)
		})
	}
}

// What only logs show is rolled back by its rate, and the lines behind it are named.
func TestOnlyLogsShowTheDefect(t *testing.T) {
	b := newTalk(t, chatty, talk{
		map[string]float64{"payment %d failed": .002, "stored order %d": .02},
		map[string]float64{"payment %d failed": .002, "cart of user %d refused": .03, "stored order %d": .02},
	})
	v := b.judgedTo(25 * time.Minute)
	if v.Verdict != verdicts.Rollback {
		t.Fatalf("%s: %s", v.Verdict, v.Reason)
	}
	if len(v.Differences) == 0 || !strings.Contains(v.Differences[0].Template, "cart of user") || !v.Differences[0].Found {
		t.Errorf("the line is not named first: %+v", v.Differences)
	}
	b.rejudged(v)
}

// A restart at any minute gives the same templates, the same looks and the same verdict.
func TestTemplatesOutliveARestart(t *testing.T) {
	k := talk{
		map[string]float64{"payment %d failed": .004},
		map[string]float64{"payment %d failed": .004, "refused voucher %d": .001, "order %d was stored": .01, "cache of %d warmed": .01},
	}
	whole := newTalk(t, chatty, k)
	want := whole.judgedTo(25 * time.Minute)
	broken := newTalk(t, chatty, k)
	broken.deploy(deployment(analysis.Live))
	for at := time.Duration(0); at <= 25*time.Minute && !broken.verdictOr().Final; at += 15 * time.Second {
		if at%(2*time.Minute) == 0 {
			broken.close()
			broken.open()
		}
		broken.advance(start.Add(at))
	}
	got := broken.verdict()
	if with, without := encoded(t, got), encoded(t, want); with != without {
		t.Errorf("with restarts\n%s\nwithout\n%s", with, without)
	}
	broken.rejudged(got)
}

func encoded(t *testing.T, v verdicts.Verdict) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// verdictOr is the newest verdict, or none where there is no validation yet.
func (b *bench) verdictOr() verdicts.Verdict {
	rows, err := b.Store.ByDeployment(b.t.Context(), "d1")
	if err != nil || len(rows) == 0 {
		return verdicts.Verdict{}
	}
	return b.verdict()
}

// traces are a source of whole traces: it has one of every id, or none.
type traces struct {
	asked []analysis.ExemplarQuery
	none  bool
	err   error
}

func (s *traces) Exemplars(_ context.Context, q analysis.ExemplarQuery) ([]analysis.Exemplar, error) {
	s.asked = append(s.asked, q)
	if s.none || s.err != nil {
		return nil, s.err
	}
	body := []byte(fmt.Sprintf(`{"resourceSpans":[],"asked":%q}`, q.TraceID))
	sum := sha256.Sum256(body)
	return []analysis.Exemplar{{TraceID: q.TraceID, Kind: q.Kind, Source: "traces", Spans: 1, Digest: "sha256:" + hex.EncodeToString(sum[:]), Body: body}}, nil
}

func TestExemplars(t *testing.T) {
	k := talk{map[string]float64{"payment %d failed": .002}, map[string]float64{"payment %d failed": .002, "cart of user %d refused": .03}}
	for name, source := range map[string]*traces{"there": {}, "not there": {none: true}, "down": {err: &sources.Error{Kind: sources.Unavailable, Err: errors.New("down")}}} {
		t.Run(name, func(t *testing.T) {
			b := &bench{t: t, dir: t.TempDir(), source: mustReplay(t, k.say(chatty.record(1), chatty, 3)), policy: talkative, exemplars: map[string]sources.ExemplarSource{"traces": source}}
			b.open()
			t.Cleanup(func() { b.close() })
			v := b.judgedTo(25 * time.Minute)
			if v.Verdict != verdicts.Rollback {
				t.Fatalf("%s: %s", v.Verdict, v.Reason)
			}
			if len(source.asked) == 0 {
				t.Fatal("no trace was asked for")
			}
			if there := len(v.Exemplars) > 0; there != (name == "there") {
				t.Errorf("the verdict tells of %d traces", len(v.Exemplars))
			}
			b.advance(v.IssuedAt.Add(exemplarGrace + time.Second))
			sealed, err := bundle.Open(filepath.Join(b.Bundles(), v.Bundle))
			if err != nil {
				t.Fatal(err)
			}
			defer sealed.Close()
			kept, err := sealed.Exemplars()
			if err != nil || len(kept) == 0 {
				t.Fatalf("the bundle keeps no traces: %v", err)
			}
			for _, e := range kept {
				if had := e.Missing == ""; had != (name == "there") || had != (len(e.Body) > 0) || !had && e.Missing != analysis.ExemplarUnavailable {
					t.Errorf("kept %+v", e)
				}
			}
			b.rejudged(v)
		})
	}
}

// Exemplars decide nothing: with and without them the verdict is the same but for what
// it tells of them.
func TestExemplarsDecideNothing(t *testing.T) {
	k := talk{map[string]float64{"payment %d failed": .002}, map[string]float64{"payment %d failed": .002, "cart of user %d refused": .03}}
	judge := func(exemplars map[string]sources.ExemplarSource) string {
		b := &bench{t: t, dir: t.TempDir(), source: mustReplay(t, k.say(chatty.record(1), chatty, 3)), policy: talkative, exemplars: exemplars}
		b.open()
		defer b.close()
		v := b.judgedTo(25 * time.Minute)
		v.Exemplars, v.EvidenceDigest = nil, ""
		return encoded(t, v)
	}
	if with, without := judge(map[string]sources.ExemplarSource{"traces": &traces{}}), judge(nil); with != without {
		t.Errorf("with exemplars\n%s\nwithout\n%s", with, without)
	}
}

// halfDown is a source that cannot answer one kind of question.
type halfDown struct {
	sources.LineSampler
	logs bool // which kind: about lines, else about counters
}

func (s halfDown) Rows(ctx context.Context, q analysis.Query) (analysis.Answer, error) {
	if (q.Signal.Logs != nil) == s.logs {
		return analysis.Answer{}, &sources.Error{Kind: sources.Unavailable, Source: "replay", Op: "rows", Err: errors.New("down")}
	}
	return s.LineSampler.Rows(ctx, q)
}

// Logs that cannot be asked keep nobody from a promote by its SLOs, and the verdict says
// that it knows nothing of them. Without the SLOs' metrics nothing is promoted, however
// good the logs look.
func TestOneOfLogsAndMetricsIsDown(t *testing.T) {
	k := talk{map[string]float64{"payment %d failed": .002}, map[string]float64{"payment %d failed": .002}}
	for name, c := range map[string]struct {
		logs bool
		word verdicts.Word
		told []string
	}{
		"logs":    {true, verdicts.Promote, []string{"source_unavailable: logs: ", "source_unavailable: logs_severity: "}},
		"metrics": {false, verdicts.Hold, nil},
	} {
		t.Run(name, func(t *testing.T) {
			source := mustReplay(t, k.say(chatty.record(1), chatty, 3)).(sources.LineSampler)
			b := &bench{t: t, dir: t.TempDir(), source: halfDown{source, c.logs}, policy: talkative}
			b.open()
			t.Cleanup(func() { b.close() })
			v := b.judgedTo(26 * time.Minute)
			if !v.Final || v.Verdict != c.word {
				t.Fatalf("%s: %s", v.Verdict, v.Reason)
			}
			if slices.ContainsFunc(v.Warnings, func(w string) bool { return strings.HasPrefix(w, "source_unavailable: errors: nothing was learned") }) {
				t.Errorf("what coverage waits for is no warning: %q", v.Warnings)
			}
			for _, told := range c.told {
				if !slices.ContainsFunc(v.Warnings, func(w string) bool { return strings.HasPrefix(w, told) }) {
					t.Errorf("no warning begins with %q: %q", told, v.Warnings)
				}
			}
			b.rejudged(v)
		})
	}
}
