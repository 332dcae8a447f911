package validation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/verdicts"
	"github.com/release-assay/assay/verdicts/bundle"
)

// Exemplars are whole traces that show what a finding says. They are fetched when it
// first reaches exemplarBar, are told with the next look by their digests, and are
// never folded: no answer depends on them. Their bodies wait in a file beside the
// spool until the bundle is sealed; what was not to be had by then is asked for once
// more, and after exemplarGrace the bundle says that it is missing.

const (
	// exemplarBar is the e-value at which a finding asks for traces.
	exemplarBar = 10
	// exemplarsEach bounds the traces of one validation.
	exemplarsEach = 12
	// exemplarWindow is how far behind the newest fold of all objectives traces are looked
	// for, and exemplarAhead how far ahead of it at most: the others are ahead of the one
	// that waits for whole traces.
	exemplarWindow = 5 * time.Minute
	exemplarAhead  = 2 * time.Minute
	// exemplarAgain is when what was not to be had is asked for once more.
	exemplarAgain = 30 * time.Second
	// exemplarBytes bounds one answer.
	exemplarBytes = 1 << 20
	// exemplarsFound bounds the traces of one answer, exemplarsKept those of one validation
	// in bytes, whatever sources answer.
	exemplarsFound = 4
	exemplarsKept  = 14 << 20
	// exemplarServices are the services that are named of a trace, exemplarText the longest
	// of what a source says of one.
	exemplarServices = 32
	exemplarText     = 200
	// fetchesAtOnce bounds the questions for traces under way: they are for looking at, and
	// must not keep thousands of validations waiting.
	fetchesAtOnce = 64
	// exemplarGrace is how long the seal waits for traces after the final verdict.
	exemplarGrace = 10 * time.Second
	// baselineKey names what a trace of the baseline is for: to be held beside others.
	baselineKey = "baseline"
)

// A want is a trace that a finding asks for.
type want struct {
	key   string // what it is for: of a difference or of an objective
	arm   analysis.Arm
	query analysis.ExemplarQuery
}

// fetched is what an answer brings of the traces that were asked for.
type fetched struct {
	id    analysis.ValidationID
	want  want
	last  bool // for the seal
	found []analysis.Exemplar
	err   error
}

// wants returns the traces that a verdict of now asks for, the strongest findings first.
func wants(plan *analysis.Plan, v verdicts.Verdict, now time.Time) []want {
	if v.AsOf == nil {
		return nil
	}
	to := earlier(now, v.AsOf.Add(exemplarAhead))
	query := func(arm analysis.Arm, kind analysis.ExemplarKind, operation string) analysis.ExemplarQuery {
		return analysis.ExemplarQuery{
			Kind: kind, Matches: plan.Cohorts.Of(arm).Matches(), Operation: operation,
			From: v.AsOf.Add(-exemplarWindow), To: to, Limit: 1, MaxBytes: exemplarBytes,
		}
	}
	var out []want
	for _, f := range v.Findings {
		if float64(f.ERollback) < exemplarBar || f.EAdjusted != f.EAdjusted { // without a share in a rollback it asks for nothing
			continue
		}
		kind := analysis.ExemplarFailed
		for i := range plan.Objectives {
			if o := &plan.Objectives[i]; o.Name == f.Objective && o.Signal.Shape == analysis.ShapeDistribution {
				kind = analysis.ExemplarSlow
			}
		}
		out = append(out, want{f.Objective, analysis.Canary, query(analysis.Canary, kind, "")})
	}
	for _, d := range v.Differences {
		if d.Muted || !d.Found && !(float64(d.E) >= exemplarBar) {
			continue
		}
		switch {
		case d.TraceID != "":
			out = append(out, want{d.Key, analysis.Canary, analysis.ExemplarQuery{TraceID: d.TraceID, To: to, Limit: 1, MaxBytes: exemplarBytes}})
		case d.Edge != nil:
			out = append(out, want{d.Key, analysis.Canary, query(analysis.Canary, analysis.ExemplarFailed, d.Edge.Operation)})
		}
	}
	if len(out) > 0 {
		out = append(out[:min(len(out), exemplarsEach-1)], want{baselineKey, analysis.Baseline, query(analysis.Baseline, analysis.ExemplarTypical, "")})
	}
	return out
}

// askExemplars asks for the traces that the latest verdict of v wants and that it does not
// have.
func (r *Runner) askExemplars(v *run, now time.Time) {
	if !r.Gatherer.HasExemplars() {
		return
	}
	for _, w := range wants(v.plan, v.latest, now) {
		asked, known := v.wanted[w.key]
		had := v.judge.has(w.key) || slices.ContainsFunc(v.exemplars, func(e analysis.Exemplar) bool { return e.For == w.key })
		if had || known && now.Before(asked.Add(exemplarAgain)) || !known && len(v.wanted) >= exemplarsEach {
			continue
		}
		if v.wanted == nil {
			v.wanted = map[string]time.Time{}
		}
		v.wanted[w.key] = now
		r.fetch(v.row.ID, w, false)
	}
}

// fetch asks for one trace, beside the line.
func (r *Runner) fetch(id analysis.ValidationID, w want, last bool) {
	r.fetches++
	r.answer(func(ctx context.Context) answer {
		got := &fetched{id: id, want: w, last: last}
		if err := guarded(func() error {
			got.found, got.err = r.Gatherer.Exemplars(ctx, w.query)
			return nil
		}); err != nil {
			got.err = err
		}
		return answer{fetched: got}
	})
}

// takeExemplars keeps the traces that came: for the next look, or for the seal that
// waits for them.
func (r *Runner) takeExemplars(got *fetched, now time.Time) error {
	r.fetches--
	v, sealing := r.open[got.id], r.sealing[got.id]
	if v == nil && sealing == nil {
		return nil // nobody waits any more
	}
	if got.err != nil {
		r.Log.Warn("exemplar traces could not be fetched", "validation", got.id, "for", got.want.key, "error", got.err)
	}
	for _, e := range got.found[:min(len(got.found), exemplarsFound)] {
		e.For, e.Arm = got.want.key, got.want.arm
		kept, err := r.spools.keepExemplar(got.id, presentable(e))
		if err != nil && !errors.Is(err, store.ErrFull) { // what space there is belongs to verdicts
			return err
		}
		if kept == nil {
			r.Log.Warn("an exemplar trace is not kept: it is not what it should be, or there is no room", "validation", got.id, "for", got.want.key, "source", e.Source, "error", err)
			continue
		}
		if v != nil && !v.latest.Final {
			v.exemplars = append(v.exemplars, *kept)
		}
	}
	if sealing == nil || !got.last {
		return nil
	}
	if sealing.open--; sealing.open == 0 {
		if w, waits := r.unsealed[got.id]; waits && w.err == nil {
			r.unsealed[got.id] = wait{}
			r.sealUnsealed(context.WithoutCancel(r.base), now)
		}
	}
	return nil
}

// A sealing is a bundle that waits for traces.
type sealing struct {
	open int
}

// awaitExemplars asks once more for what a final verdict wants and does not have, and
// returns how long the seal waits for it.
func (r *Runner) awaitExemplars(v *run, now time.Time) wait {
	if !r.Gatherer.HasExemplars() || v.plan == nil {
		return wait{}
	}
	kept, err := r.spools.exemplars(v.row.ID)
	if err != nil {
		return wait{}
	}
	s := &sealing{}
	for _, w := range wants(v.plan, v.latest, now) {
		if !slices.ContainsFunc(kept, func(e analysis.Exemplar) bool { return e.For == w.key }) {
			if r.fetches >= fetchesAtOnce {
				continue // it will be missing
			}
			s.open++
			r.fetch(v.row.ID, w, true)
		}
	}
	if s.open == 0 {
		return wait{}
	}
	r.sealing[v.row.ID] = s
	return wait{until: now.Add(exemplarGrace)}
}

// exemplarLines are the traces of a final verdict as the bundle keeps them, those that
// could not be had among them; nil where none was wanted.
func (r *Runner) exemplarLines(plan *analysis.Plan, v verdicts.Verdict) ([]byte, error) {
	kept, err := r.spools.exemplars(v.ValidationID)
	if err != nil {
		return nil, err
	}
	issued := time.Time{}
	if v.IssuedAt != nil {
		issued = *v.IssuedAt
	}
	for _, w := range wants(plan, v, issued) {
		if !slices.ContainsFunc(kept, func(e analysis.Exemplar) bool { return e.For == w.key }) && r.Gatherer.HasExemplars() {
			kept = append(kept, analysis.Exemplar{TraceID: w.query.TraceID, Kind: w.query.Kind, Arm: w.arm, For: w.key, Missing: analysis.ExemplarUnavailable})
		}
	}
	var lines []byte
	for i, e := range kept {
		if slices.ContainsFunc(kept[:i], func(o analysis.Exemplar) bool { return o.For == e.For && o.TraceID == e.TraceID }) {
			continue // fetched by two processes
		}
		if e.Kind == "" {
			e.Kind = analysis.ExemplarNamed
		}
		if lines, err = bundle.AppendExemplar(lines, e); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

const exemplarSuffix = ".exemplars"

// presentable bounds what a source says of a trace, beside the trace itself.
func presentable(e analysis.Exemplar) analysis.Exemplar {
	short := func(text string) string { return verdicts.Shorten(verdicts.Plain(text), exemplarText) }
	e.TraceID, e.Source, e.Kind = short(e.TraceID), short(e.Source), analysis.ExemplarKind(short(string(e.Kind)))
	e.Services = slices.Clone(e.Services[:min(len(e.Services), exemplarServices)])
	for i := range e.Services {
		e.Services[i] = short(e.Services[i])
	}
	e.Missing = ""
	return e
}

// keepExemplar appends a trace to those of a validation and returns what was kept. Its
// body is kept as JSON is written here, and the digest is of that. Nil: it is no trace, its
// body is not the one that its digest names, or there is no room for it.
func (s spools) keepExemplar(id analysis.ValidationID, e analysis.Exemplar) (*analysis.Exemplar, error) {
	if sum := sha256.Sum256(e.Body); e.Digest != digestOf(sum) || len(e.Body) > 2*exemplarBytes {
		return nil, nil
	}
	body, err := json.Marshal(json.RawMessage(e.Body))
	if err != nil {
		return nil, nil
	}
	e.Body, e.Digest = body, digestOf(sha256.Sum256(body))
	line, err := bundle.AppendExemplar(nil, e)
	if err != nil {
		return nil, nil
	}
	f, err := os.OpenFile(s.path(id)+exemplarSuffix, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, diskError(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, diskError(err)
	}
	size := info.Size()
	if size+int64(len(line)) > exemplarsKept {
		return nil, nil
	}
	if last := make([]byte, 1); size > 0 {
		if _, err := f.ReadAt(last, size-1); err != nil {
			return nil, diskError(err)
		}
		if last[0] != '\n' { // what a crash or a full disk left of a line
			line = append([]byte{'\n'}, line...)
		}
	}
	if _, err := f.Write(line); err != nil {
		return nil, diskError(err)
	}
	return &e, nil
}

func digestOf(sum [sha256.Size]byte) string { return "sha256:" + hex.EncodeToString(sum[:]) }

// exemplars returns the traces that were kept. What a crash or a full disk left of a line
// is none.
func (s spools) exemplars(id analysis.ValidationID) ([]analysis.Exemplar, error) {
	data, err := os.ReadFile(s.path(id) + exemplarSuffix)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, diskError(err)
	}
	var kept []analysis.Exemplar
	for line := range bytes.Lines(data) {
		one, err := bundle.ReadExemplars(line)
		if err == nil {
			kept = append(kept, one...)
		}
	}
	return kept, nil
}
