package otlp_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/otlp"
	"github.com/release-assay/assay/sources/replay"
)

var lineEpoch = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

func lineAt(second float64) time.Time {
	return lineEpoch.Add(time.Duration(second * float64(time.Second)))
}

func loggingPod(name string) replay.Pod {
	return replay.Pod{Attributes: map[string]string{analysis.AttrService: "shop", analysis.AttrVersion: "1.0", analysis.AttrEnvironment: "production", analysis.AttrPod: name}}
}

// says is a line of a pod.
func says(pod string, second float64, severity analysis.Severity, request int, text string) loggedLine {
	l := analysis.Line{Time: lineAt(second), Severity: severity, Text: text}
	if request > 0 {
		l.TraceID = fmt.Sprintf("%032x", request)
	}
	return loggedLine{loggingPod(pod), l}
}

func logSignal(severity analysis.Severity, mustAppear string) analysis.Signal {
	return analysis.Signal{Name: "logs", Source: "otlp", Unit: "1", Shape: analysis.ShapeRatio, Logs: &analysis.LogSignal{Severity: severity, MustAppear: mustAppear}}
}

func allLines() analysis.Signal {
	return analysis.Signal{Name: "lines", Source: "otlp", Unit: "1", Shape: analysis.ShapeTemplates, Logs: &analysis.LogSignal{}}
}

func ofShop() []analysis.Match {
	return []analysis.Match{{Name: analysis.AttrService, Values: []string{"shop"}}}
}

func lineQuery(signal analysis.Signal, from, to float64) analysis.Query {
	return analysis.Query{Signal: signal, Matches: ofShop(), Fold: analysis.Fold{Start: lineAt(from), End: lineAt(to)}, Since: lineAt(from - 3600), Lines: &analysis.LineQuery{Share: 1}}
}

func askLines(t testing.TB, source *otlp.Source, q analysis.Query) analysis.Answer {
	t.Helper()
	answer, err := source.Rows(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// text is an answer as bytes, so that two can be compared.
func textOf(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// everything is what a source answers about ten minutes of lines: all folds, then what
// went by.
func everything(t testing.TB, source *otlp.Source) string {
	t.Helper()
	var all []any
	for start := 0.; start < 600; start += 15 {
		for _, signal := range []analysis.Signal{allLines(), logSignal(analysis.SeverityError, ""), logSignal(analysis.SeverityWarn, ""), logSignal(0, "order stored")} {
			all = append(all, askLines(t, source, lineQuery(signal, start, start+15)))
		}
	}
	return textOf(t, append(all, pastLines(t, source)...))
}

// pastLines is what a source answers about what went by.
func pastLines(t testing.TB, source *otlp.Source) (all []any) {
	t.Helper()
	for _, signal := range []analysis.Signal{logSignal(analysis.SeverityError, ""), logSignal(0, "order stored")} {
		history, err := source.History(t.Context(), analysis.HistoryQuery{Signal: signal, Matches: ofShop(), From: lineAt(0), To: lineAt(600)})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, history)
	}
	sample, err := source.SampleLines(t.Context(), analysis.LineSampleQuery{Signal: allLines(), Matches: ofShop(), From: lineAt(0), To: lineAt(600), Slices: 1, Lines: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, l := range sample {
		texts = append(texts, l.Text)
	}
	slices.Sort(texts)
	return append(all, slices.Compact(texts))
}

func trackingLines(t testing.TB, source *otlp.Source) *otlp.Source {
	t.Helper()
	if err := source.Track([]analysis.Signal{logSignal(analysis.SeverityError, ""), logSignal(0, "order stored"), allLines()}); err != nil {
		t.Fatal(err)
	}
	return source
}

func drawLines(r *rapid.T) []loggedLine {
	wrapped := []string{
		"order %d stored", "Order stored after %d tries", "payment %d refused by bank", `{"level":"error","msg":"cannot reach db %d"}`,
		`level=warn msg="slow query %d"`, "user%d@example.com logged in", "\tat com.shop.Cart.add(Cart.java:%d)",
	}
	severities := []analysis.Severity{0, 0, analysis.SeverityInfo, analysis.SeverityWarn, analysis.SeverityError, analysis.SeverityFatal}
	n := rapid.IntRange(1, 120).Draw(r, "lines")
	var all []loggedLine
	for range n {
		text := fmt.Sprintf(rapid.SampledFrom(wrapped).Draw(r, "text"), rapid.IntRange(0, 99).Draw(r, "n"))
		if rapid.IntRange(0, 3).Draw(r, "odd") == 0 { // of more texts than are kept of a tick
			text = fmt.Sprintf("event %s %s", strings.Repeat(string(rune('g'+rapid.IntRange(0, 15).Draw(r, "a"))), 3), strings.Repeat(string(rune('g'+rapid.IntRange(0, 15).Draw(r, "b"))), 4))
		}
		all = append(all, says(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "pod"), float64(rapid.IntRange(0, 6000).Draw(r, "at"))/10,
			rapid.SampledFrom(severities).Draw(r, "severity"), rapid.IntRange(0, 40).Draw(r, "request"), text))
	}
	return all
}

// sendInBatches sends the lines in the order in which they are, in requests of random sizes.
func sendInBatches(t testing.TB, source *otlp.Source, lines []loggedLine, rng *rand.Rand) {
	t.Helper()
	for len(lines) > 0 {
		n := 1 + rng.IntN(min(len(lines), 40))
		consumeLines(t, source, logRequest(t, lines[:n]), n)
		lines = lines[n:]
	}
}

// Neither the order in which lines arrive, nor how they are dealt out to requests, nor
// requests that come twice, nor whether they are still raw, makes a difference.
func TestLinesInAnyOrder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		lines := drawLines(r)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), 0))
		whole := trackingLines(t, newSource(t))
		consumeLines(t, whole, logRequest(t, lines), len(lines))
		want, wantPast := everything(t, whole), textOf(t, pastLines(t, whole))

		shuffled := slices.Clone(lines)
		rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		apart := trackingLines(t, newSource(t))
		sendInBatches(t, apart, shuffled, rng)
		if got := everything(t, apart); got != want {
			r.Fatalf("in another order and other requests:\n%s\nwant\n%s", got, want)
		}
		// Summed by minute, and sampled: the past is the same.
		apart.Evict(lineAt(601 + 2*3600))
		apart.Evict(lineAt(602 + 2*3600))
		if got := textOf(t, pastLines(t, apart)); got != wantPast {
			r.Fatalf("after the tallies went:\n%s\nwant\n%s", got, wantPast)
		}
	})
}

// A backlog of lines is no silence: none is late because old ones are evicted meanwhile.
func TestABacklogOfLinesIsNotEvictedOnItsWay(t *testing.T) {
	source := trackingLines(t, newSource(t))
	for i := range 3000 { // 50 minutes, five hours ago
		consumeLines(t, source, logRequest(t, []loggedLine{says("a", float64(i), analysis.SeverityError, i+1, "failed")}), 1)
		if i%20 == 0 {
			source.Evict(lineAt(5 * 3600))
		}
	}
}

func TestLinesOfOneRequestCountOnce(t *testing.T) {
	source := newSource(t)
	data := logRequest(t, []loggedLine{says("a", 1, analysis.SeverityError, 0, "failed"), says("a", 2, analysis.SeverityError, 0, "failed"), says("b", 2, analysis.SeverityError, 0, "failed")})
	consumeLines(t, source, data, 3)
	outcome, err := source.ConsumeLogs(t.Context(), data)
	if err != nil || outcome.Accepted != 0 || outcome.Dropped(otlp.DropDuplicate) != 3 {
		t.Errorf("the same request again: %+v, %v, want three duplicates", outcome, err)
	}
	if n, why := outcome.Rejected(); n != 0 {
		t.Errorf("%d lines were refused (%s): a retry is no fault", n, why)
	}
	answer := askLines(t, source, lineQuery(allLines(), 0, 15))
	if len(answer.Lines) != 2 || answer.Lines[0].Lines != 2 || answer.Lines[1].Lines != 1 {
		t.Errorf("got %+v, want two lines of a and one of b", answer.Lines)
	}
	if stats := source.Stats(); stats.Lines.Requests != 2 || stats.Lines.Accepted != 3 || stats.Lines.Dropped[otlp.DropDuplicate] != 3 || stats.Untraced != 3 || stats.Resources != 2 || stats.Lines.Bytes == 0 {
		t.Errorf("stats %+v", stats)
	}
}

// What was answered never changes; what comes for it later is told of in the next answer.
func TestLateLines(t *testing.T) {
	source := newSource(t)
	consumeLines(t, source, logRequest(t, []loggedLine{says("a", 1, analysis.SeverityError, 1, "failed"), says("a", 16, analysis.SeverityInfo, 2, "stored")}), 2)
	q := lineQuery(allLines(), 0, 15)
	want := textOf(t, askLines(t, source, q))
	outcome, err := source.ConsumeLogs(t.Context(), logRequest(t, []loggedLine{
		says("a", 2, analysis.SeverityError, 3, "failed"), says("new", 3, analysis.SeverityError, 4, "failed"), says("a", 15, analysis.SeverityError, 5, "failed"), says("a", 17, analysis.SeverityError, 6, "failed"),
	}))
	if err != nil || outcome.Accepted != 1 || outcome.Dropped(otlp.DropLate) != 3 {
		t.Errorf("got %+v, %v, want one line and three late ones", outcome, err)
	}
	if got := textOf(t, askLines(t, source, q)); got != want {
		t.Errorf("the answer changed: %s\nwant %s", got, want)
	}
	answer := askLines(t, source, lineQuery(allLines(), 15, 30))
	if answer.NotRead.Late != 2 || len(answer.Lines) != 2 {
		t.Errorf("the next fold: %+v, want two late lines of a pod that is known", answer)
	}
	// Questions about metrics close no folds of lines.
	if _, err := source.Rows(t.Context(), analysis.Query{
		Signal:  analysis.Signal{Name: "errors", Source: "otlp", Unit: "1", Shape: analysis.ShapeRatio, Bad: &analysis.Selector{Metric: "bad"}, Total: &analysis.Selector{Metric: "all"}},
		Matches: ofShop(), Fold: analysis.Fold{Start: lineAt(45), End: lineAt(60)}, Since: lineAt(0),
	}); err != nil {
		t.Fatal(err)
	}
	consumeLines(t, source, logRequest(t, []loggedLine{says("a", 50, analysis.SeverityError, 7, "failed")}), 1)
}

// A text that must appear is looked for in whole lines once it is tracked, and in masked
// ones before.
func TestMustAppearTracked(t *testing.T) {
	source := newSource(t)
	consumeLines(t, source, logRequest(t, []loggedLine{says("a", 1, analysis.SeverityInfo, 1, "Stored order 42 of 43")}), 1)
	if err := source.Track([]analysis.Signal{logSignal(0, "order 42")}); err != nil {
		t.Fatal(err)
	}
	consumeLines(t, source, logRequest(t, []loggedLine{says("a", 2, analysis.SeverityInfo, 2, "Stored order 42 of 43"), says("a", 6, analysis.SeverityInfo, 3, "Stored ORDER 42 of 43"), says("a", 7, analysis.SeverityInfo, 4, "Stored order 17 of 43")}), 3)
	for text, want := range map[string]float64{"order 42": 1, "stored order": 4, "refused": 0} {
		if answer := askLines(t, source, lineQuery(logSignal(0, text), 0, 15)); len(answer.Rows) != 1 || answer.Rows[0].Bad != want {
			t.Errorf("%q: got %+v, want %v requests", text, answer.Rows, want)
		}
	}
	if !source.Tracks(logSignal(0, "order 42")) || source.Tracks(logSignal(0, "refused")) {
		t.Error("which signals are tracked")
	}
}

// What is long, broken or of another time is cut and counted, and harms nothing else.
func TestHostileLines(t *testing.T) {
	source := newSource(t)
	huge := "failed " + strings.Repeat("x y ", 2_500_000) // 10 MB
	lines := []loggedLine{
		says("a", 1, analysis.SeverityError, 1, huge), says("a", 2, analysis.SeverityError, 2, "bad \xff\xfe bytes"), says("a", 3, analysis.SeverityError, 3, "bell \x07 and \x1b[31mred\x1b[0m"),
		says("a", 4, analysis.SeverityError, 4, ""), says("a", 5, analysis.SeverityError, 5, "fine"),
		says("a", 300, analysis.SeverityError, 6, "five minutes ahead"), says("a", -300, analysis.SeverityError, 7, "five minutes behind"),
		says("a", 365*24*3600, analysis.SeverityError, 8, "a year ahead"), says("a", -365*24*3600, analysis.SeverityError, 9, "a year behind"),
		{loggingPod("a"), analysis.Line{Time: time.Unix(0, 0), Severity: analysis.SeverityError, Text: "no time"}},
	}
	outcome, err := source.ConsumeLogs(t.Context(), logRequest(t, lines))
	if err != nil || outcome.Accepted != len(lines)-1 || outcome.Dropped(otlp.DropNoTime) != 1 {
		t.Fatalf("%+v, %v", outcome, err)
	}
	answer := askLines(t, source, lineQuery(logSignal(analysis.SeverityError, ""), 0, 15))
	if len(answer.Rows) != 1 || answer.Rows[0].Bad != 5 || answer.NotRead.Truncated != 1 {
		t.Errorf("got %+v, %+v, want five requests, and one line cut", answer.Rows, answer.NotRead)
	}
	for _, row := range answer.Lines {
		if !utf8.ValidString(row.Text) || len(row.Text) > 9<<10 || strings.ContainsAny(row.Text+row.Example.Text, "\x07\x1b") || !utf8.ValidString(row.Example.Text) {
			t.Errorf("told as it came: %.100q", row.Text)
		}
	}
	source.Evict(lineAt(60))
	consumeLines(t, source, logRequest(t, []loggedLine{says("a", 20, analysis.SeverityError, 10, "fine")}), 1)
	if answer := askLines(t, source, lineQuery(logSignal(analysis.SeverityError, ""), 15, 30)); len(answer.Rows) != 1 || answer.Rows[0].Bad != 1 || answer.Partial {
		t.Errorf("after a line of next year: %+v", answer)
	}
	if stats := source.Stats(); stats.Lines.Bytes > 1<<20 {
		t.Errorf("%d bytes are held", stats.Lines.Bytes)
	}
}

// A flood of different texts is bounded and counted. How many requests failed is still
// known, and so are the texts of other pods.
func TestFloodOfTexts(t *testing.T) {
	source := newSource(t)
	rng := rand.New(rand.NewPCG(1, 2))
	word := func() string {
		b := make([]byte, 6)
		for i := range b {
			b[i] = byte('g' + rng.IntN(20))
		}
		return string(b)
	}
	const texts = 30_000
	var lines []loggedLine
	for i := range texts {
		words := make([]string, 200)
		for j := range words {
			words[j] = word()
		}
		lines = append(lines, says(fmt.Sprintf("flood-%d", i%5), float64(i)*60/texts, analysis.SeverityError, i%100+1, strings.Join(words, " ")))
		if len(lines) == 2000 {
			lines = append(lines, says("calm", float64(i)*60/texts, analysis.SeverityError, 1, "failed"))
			consumeLines(t, source, logRequest(t, lines), len(lines))
			lines = nil
		}
	}
	if stats := source.Stats(); stats.Lines.Bytes > 64<<20 {
		t.Errorf("%d MiB are held", stats.Lines.Bytes>>20)
	}
	for start := 0.; start < 60; start += 15 {
		answer := askLines(t, source, lineQuery(logSignal(analysis.SeverityError, ""), start, start+15))
		if answer.Partial || answer.NotRead.Dropped == 0 {
			t.Errorf("partial %v, %+v: what was dropped must be told, and all was counted", answer.Partial, answer.NotRead)
		}
		for _, row := range answer.Rows {
			if want := 20.; strings.HasPrefix(row.Pod, "flood") && row.Bad != want { // request i%100 writes in pod i%5
				t.Errorf("%s: %v requests failed, want %v", row.Pod, row.Bad, want)
			}
		}
	}
	answer := askLines(t, source, lineQuery(allLines(), 45, 60))
	if !slices.ContainsFunc(answer.Lines, func(r analysis.LineRow) bool { return r.Pod == "calm" && r.Text == "failed" }) {
		t.Error("the text of the calm pod went with the flood")
	}
}

// Lines, metrics and spans of one process are of one resource.
func TestLinesAndMetricsAreOfOnePod(t *testing.T) {
	source := newSource(t)
	pod := loggingPod("a")
	pod.Attributes["process.pid"] = "7"
	pod.Series = []replay.Series{{Metric: "requests", Samples: []analysis.Sample{{T: lineAt(1), V: 1}, {T: lineAt(16), V: 2}}}}
	for _, md := range requestsOf(replay.Recording{Pods: []replay.Pod{pod}}, 2) {
		if _, err := source.Consume(t.Context(), md); err != nil {
			t.Fatal(err)
		}
	}
	consumeLines(t, source, logRequest(t, []loggedLine{{pod, analysis.Line{Time: lineAt(2), Text: "stored"}}}), 1)
	if stats := source.Stats(); stats.Resources != 1 || stats.Services != 1 {
		t.Errorf("%d resources of %d services, want one", stats.Resources, stats.Services)
	}
	answer := askLines(t, source, lineQuery(allLines(), 15, 30))
	if len(answer.Rows) != 1 || answer.Rows[0].Received != 0 || !answer.Rows[0].Fresh {
		t.Errorf("a fold without lines: %+v, want the pod, alive", answer.Rows)
	}
	// A metric that comes after the answer makes nobody alive in it.
	answer = askLines(t, source, lineQuery(allLines(), 30, 45))
	if len(answer.Rows) != 0 {
		t.Fatalf("a fold without anything: %+v", answer.Rows)
	}
	pod.Series[0].Samples = []analysis.Sample{{T: lineAt(31), V: 3}}
	for _, md := range requestsOf(replay.Recording{Pods: []replay.Pod{pod}}, 2) {
		if _, err := source.Consume(t.Context(), md); err != nil {
			t.Fatal(err)
		}
	}
	if again := askLines(t, source, lineQuery(allLines(), 30, 45)); len(again.Rows) != 0 {
		t.Errorf("the answer changed: %+v", again.Rows)
	}
	for i := range 3 { // that it is silent, its sums, and what was kept of its service
		source.Evict(lineAt(26*3600 + 60*float64(i)))
	}
	if stats := source.Stats(); stats.Resources != 0 || stats.Services != 0 || stats.Lines.Bytes != 0 {
		t.Errorf("a day later: %+v", stats)
	}
}

// What is wrong with a request is told, and nothing of it is counted.
func TestRefusedLogRequests(t *testing.T) {
	source := newSource(t)
	data := logRequest(t, []loggedLine{says("a", 1, analysis.SeverityError, 1, "failed")})
	for _, bad := range [][]byte{data[:len(data)-1], {0xff}, []byte("{}")} {
		if outcome, err := source.ConsumeLogs(t.Context(), bad); err == nil || outcome.Accepted != 0 {
			t.Errorf("%x: %+v, %v", bad, outcome, err)
		}
	}
	long := loggingPod("a")
	long.Attributes["long"] = strings.Repeat("x", 64<<10)
	outcome, err := source.ConsumeLogs(t.Context(), logRequest(t, []loggedLine{{long, analysis.Line{Time: lineAt(1), Text: "failed"}}}))
	if n, why := outcome.Rejected(); err != nil || n != 1 || why != otlp.DropTooLong {
		t.Errorf("a resource of 64 KiB: %+v, %v", outcome, err)
	}
	if outcome, err := source.ConsumeLogs(t.Context(), nil); err != nil || outcome.Accepted != 0 {
		t.Errorf("an empty request: %+v, %v", outcome, err)
	}
	if stats := source.Stats(); stats.Resources != 0 || stats.Services != 0 {
		t.Errorf("kept of refused requests: %+v", stats)
	}
	q := lineQuery(allLines(), 0, 15)
	q.Strata = []string{"zone"}
	if _, err := source.Rows(t.Context(), q); err == nil {
		t.Error("strata of lines were answered")
	}
	q = lineQuery(allLines(), 0, 15)
	q.Lines.Templates = &analysis.TemplateSet{Masks: []string{"("}}
	if _, err := source.Rows(t.Context(), q); err == nil {
		t.Error("a mask that is no pattern was taken")
	}
}
