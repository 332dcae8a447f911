package accuracy

import (
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/release-assay/assay/analysis"
)

// A TicketCase is one fault of the nezha-trainticket recording as a deployment: every
// service runs one pod of the version before until then, and one of the version after
// from then on. Only the service of the fault was changed.
type TicketCase struct {
	Case
	Near     []string // statements around the defect; none where it is not of code
	Services []string // all that wrote a line or made a span, sorted
	Until    time.Time
	lines    []TicketLine
	spans    []TicketSpan
}

// ticketJudged is how long the recording goes on after a fault.
const ticketJudged = 3 * time.Minute

// ticketCadence is how often such a release is looked at, which makes Deadline folds.
const ticketCadence = ticketJudged / Deadline

// deployed are the instants at which the faults of code began in truth: three are at work
// before they are listed. Where there is another, history is what lies before it.
var deployed = map[string]struct{ at, from, to time.Duration }{
	"2023-01-29 08:52:06": {8*time.Hour + 51*time.Minute, 8*time.Hour + 48*time.Minute + 16*time.Second, 8*time.Hour + 51*time.Minute},
	"2023-01-29 08:58:16": {8*time.Hour + 57*time.Minute + 8*time.Second, 8*time.Hour + 48*time.Minute + 16*time.Second, 8*time.Hour + 51*time.Minute},
	"2023-01-29 09:03:53": {9*time.Hour + 3*time.Minute + 5*time.Second, 9*time.Hour + 2*time.Minute, 9*time.Hour + 3*time.Minute + 5*time.Second},
}

// Cases makes a deployment of each fault.
func (d TicketDay) Cases() []TicketCase {
	var out []TicketCase
	for _, f := range d.Faults {
		name := f.At.Format(time.DateTime)
		start, from, to := f.At, f.At.Add(-time.Minute), f.At
		if known, ok := deployed[name]; ok {
			day := f.At.Truncate(24 * time.Hour)
			start, from, to = day.Add(known.at), day.Add(known.from), day.Add(known.to)
		}
		c := TicketCase{
			Case: Case{Name: name + " " + f.Kind + " " + f.Service, Group: f.Kind, Truth: Elsewhere, Service: f.Service, StartedAt: start},
			Near: f.Near, Until: start.Add(ticketJudged),
		}
		if len(f.Near) > 0 {
			c.Truth = Bad
		}
		within := func(at time.Time) bool {
			return !at.Before(from) && at.Before(to) || !at.Before(start) && at.Before(c.Until)
		}
		services := map[string]bool{}
		for _, l := range d.Lines {
			if within(l.At) {
				c.lines = append(c.lines, l)
				services[service(l.Pod)] = true
			}
		}
		for _, s := range d.Spans {
			if within(s.End) {
				c.spans = append(c.spans, s)
				services[service(s.Pod)] = true
			}
		}
		c.Services = slices.Sorted(maps.Keys(services))
		out = append(out, c)
	}
	return out
}

// Export calls each with what was told in each step of the recording's clock, until the
// case ends.
func (c TicketCase) Export(step time.Duration, each func(at time.Time, logs plog.Logs, traces ptrace.Traces) error) error {
	kinds := kindsOf(c.spans)
	lines, spans := c.lines, c.spans
	first := c.StartedAt
	if len(lines) > 0 {
		first = lines[0].At
	}
	for at := first.Truncate(step).Add(step); ; at = at.Add(step) {
		logs, traces := plog.NewLogs(), ptrace.NewTraces()
		records, made := map[string]plog.LogRecordSlice{}, map[string]ptrace.SpanSlice{}
		n := 0
		for ; n < len(lines) && lines[n].At.Before(at); n++ {
			l := lines[n]
			key, attributes := c.resource(l.Pod, l.At)
			to, ok := records[key]
			if !ok {
				rl := logs.ResourceLogs().AppendEmpty()
				put(rl.Resource().Attributes(), attributes)
				to = rl.ScopeLogs().AppendEmpty().LogRecords()
				records[key] = to
			}
			r := to.AppendEmpty()
			r.SetTimestamp(pcommon.NewTimestampFromTime(l.At))
			r.SetObservedTimestamp(pcommon.NewTimestampFromTime(l.At))
			r.Body().SetStr(l.Raw)
			r.SetTraceID(idOf[pcommon.TraceID](l.TraceID))
			r.SetSpanID(idOf[pcommon.SpanID](l.SpanID))
		}
		lines = lines[n:]
		n = 0
		for ; n < len(spans) && spans[n].End.Before(at); n++ {
			s := spans[n]
			key, attributes := c.resource(s.Pod, s.End)
			to, ok := made[key]
			if !ok {
				rs := traces.ResourceSpans().AppendEmpty()
				put(rs.Resource().Attributes(), attributes)
				to = rs.ScopeSpans().AppendEmpty().Spans()
				made[key] = to
			}
			sp := to.AppendEmpty()
			sp.SetTraceID(idOf[pcommon.TraceID](s.TraceID))
			sp.SetSpanID(idOf[pcommon.SpanID](s.SpanID))
			sp.SetParentSpanID(idOf[pcommon.SpanID](s.ParentID))
			sp.SetName(s.Operation)
			sp.SetKind(kinds[s.SpanID])
			sp.SetStartTimestamp(pcommon.NewTimestampFromTime(s.Start))
			sp.SetEndTimestamp(pcommon.NewTimestampFromTime(s.End))
		}
		spans = spans[n:]
		if err := each(at, logs, traces); err != nil {
			return err
		}
		if !at.Before(c.Until) {
			return nil
		}
	}
}

// resource is who told something at an instant.
func (c TicketCase) resource(pod string, at time.Time) (key string, attributes map[string]string) {
	version := VersionBefore
	if !at.Before(c.StartedAt) {
		version = VersionAfter
	}
	name := pod + "-" + version
	return name, map[string]string{
		analysis.AttrService: service(pod), analysis.AttrVersion: version, analysis.AttrEnvironment: Environment, analysis.AttrPod: name,
	}
}

func put(m pcommon.Map, attributes map[string]string) {
	for _, k := range slices.Sorted(maps.Keys(attributes)) {
		m.PutStr(k, attributes[k])
	}
}

// kindsOf tells from who called whom what the recording does not say: a span whose parent
// is of another pod, or that has none, serves; one with a child in another pod calls.
func kindsOf(spans []TicketSpan) map[string]ptrace.SpanKind {
	pods := map[string]string{}
	for _, s := range spans {
		pods[s.SpanID] = s.Pod
	}
	kinds := map[string]ptrace.SpanKind{}
	for _, s := range spans {
		if kinds[s.SpanID] == ptrace.SpanKindUnspecified {
			kinds[s.SpanID] = ptrace.SpanKindInternal
		}
		parent, known := pods[s.ParentID]
		if s.ParentID == "" || known && parent != s.Pod {
			kinds[s.SpanID] = ptrace.SpanKindServer
		}
		if known && parent != s.Pod && kinds[s.ParentID] != ptrace.SpanKindServer {
			kinds[s.ParentID] = ptrace.SpanKindClient
		}
	}
	return kinds
}

// idOf reads hexadecimal digits; of anything else nothing is left.
func idOf[ID ~[8]byte | ~[16]byte](text string) (id ID) {
	raw, err := hex.DecodeString(text)
	if err == nil && len(raw) == len(id) {
		for i := range raw {
			id[i] = raw[i]
		}
	}
	return id
}

// Event is the deployment of one service as its pipeline would have told.
func (c TicketCase) Event(service string) analysis.Event {
	id := c.StartedAt.Format("0102-150405-") + service
	return analysis.Event{
		Source: "/recordings", ID: id, Time: c.StartedAt, StartedAt: c.StartedAt, Phase: analysis.PhaseStarted, Mode: analysis.Live,
		DeploymentID: analysis.DeploymentID(id),
		Release:      analysis.Release{Environment: Environment, Service: service, Version: VersionAfter, PreviousVersion: VersionBefore},
	}
}

// TicketPolicy is how every service of the recording is compared: with the time before,
// by its lines and by its spans, which count its requests.
func TicketPolicy(source string) analysis.Policy {
	signal := func(name string, shape analysis.Shape, s analysis.Signal) analysis.Signal {
		s.Name, s.Source, s.Unit, s.Shape = name, source, "1", shape
		return s
	}
	requests := signal("span_errors", analysis.ShapeRatio, analysis.Signal{Spans: &analysis.SpanSignal{Event: analysis.SpanErrors}})
	lines := func(name string, shape analysis.Shape, severity analysis.Severity) analysis.Signal {
		return signal(name, shape, analysis.Signal{Logs: &analysis.LogSignal{Severity: severity, Requests: &requests}})
	}
	spans := func(name string, shape analysis.Shape, event analysis.SpanEvent) analysis.Signal {
		return signal(name, shape, analysis.Signal{Spans: &analysis.SpanSignal{Event: event}})
	}
	return analysis.Policy{
		Name: "ticket", Window: Window(ticketCadence), Comparison: analysis.PreviousWindow,
		AlphaRollback: analysis.DefaultAlphaRollback, AlphaPromote: analysis.DefaultAlphaPromote,
		Logs: &analysis.LogPlan{Source: source}, Traces: &analysis.TracePlan{Source: source},
		Objectives: []analysis.Objective{
			{Name: requests.Name, Role: analysis.Critical, Signal: requests},
			{Name: "logs", Role: analysis.Advisory, Signal: lines("logs", analysis.ShapeTemplates, analysis.SeverityUnknown)},
			{Name: "logs_severity", Role: analysis.Secondary, Signal: lines("logs_severity", analysis.ShapeRatio, analysis.SeverityError)},
			{Name: "traces", Role: analysis.Advisory, Signal: spans("traces", analysis.ShapeTopology, "")},
			{Name: "traces_exclusive_errors", Role: analysis.Secondary, Signal: spans("traces_exclusive_errors", analysis.ShapeRatio, analysis.SpanExclusive), Strata: []string{analysis.StratumOperation}},
			{Name: "traces_errors_per_call", Role: analysis.Secondary, Signal: spans("traces_errors_per_call", analysis.ShapeRatio, analysis.SpanCalls), Strata: []string{analysis.StratumCall}},
		},
	}
}
