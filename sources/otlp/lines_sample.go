package otlp

import (
	"cmp"
	"context"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// Templates are learned from what a service wrote before its deployment (statistics
// 10.1). Of what goes from the windows, one line is kept of each masked text, release
// and hour: at most hourTexts of them, those of ERROR and above first, then those whose
// hashes are the lowest, so that it does not matter in which order they came. They are
// masked and redacted, and have no pod.

const (
	hourTexts      = 256
	maxSampleText  = 2 << 10 // bytes
	maxSampleBytes = 32 << 20
	sampleCost     = 48 // of a line beside its text
	hourWidth      = int64(time.Hour)
)

// A release is what lines are sampled by. Templates are one set for both arms: it does
// not matter which pods wrote them.
type release struct{ service, namespace, environment, version string }

func releaseOf(w *window) release {
	return release{w.attribute(analysis.AttrService), w.attribute(analysis.AttrNamespace), w.attribute(analysis.AttrEnvironment), w.attribute(analysis.AttrVersion)}
}

// matches reports whether a release may have telemetry that matches. Of attributes that
// are not its own it knows nothing.
func (r release) matches(matches []analysis.Match) bool {
	own := map[string]string{analysis.AttrService: r.service, analysis.AttrNamespace: r.namespace, analysis.AttrEnvironment: r.environment, analysis.AttrVersion: r.version}
	for _, m := range matches {
		if value, ok := own[m.Name]; ok && !slices.Contains(m.Values, value) {
			return false
		}
	}
	return true
}

// samples are the sampled lines of one service.
type samples map[sampled][]sampleLine

type sampled struct {
	release
	hour int64 // since the epoch
}

type sampleLine struct {
	low      uint64 // of ERROR and above the lower half: the lowest are kept
	at       int64  // of the first line
	severity analysis.Severity
	text     string
}

// add samples rows of the tick that begins at.
func (s samples) add(r release, at int64, rows []analysis.LineRow, bytes *ledger) {
	key := sampled{r, at / hourWidth}
	if len(rows) == 0 || key.hour <= bytes.floor.Load() {
		return
	}
	kept := s[key]
	for _, row := range rows {
		if row.Text == "" || len(row.Text) > maxSampleText {
			continue
		}
		line := sampleLine{low: lowOf(row), at: at, severity: row.Severity, text: intern(row.Text)}
		if row.Example != nil {
			line.at = row.Example.Time.UnixNano()
		}
		i, known := slices.BinarySearchFunc(kept, line, func(a, b sampleLine) int {
			return cmp.Or(cmp.Compare(a.low, b.low), cmp.Compare(a.text, b.text))
		})
		if known {
			kept[i].at = min(kept[i].at, line.at)
			kept[i].severity = max(kept[i].severity, line.severity)
			continue
		}
		kept = slices.Insert(kept, i, line)
		bytes.add(key.hour, sampleCost+len(line.text))
		if len(kept) > hourTexts {
			bytes.add(key.hour, -sampleCost-len(kept[hourTexts].text))
			kept[hourTexts] = sampleLine{}
			kept = kept[:hourTexts]
		}
	}
	s[key] = kept
}

func lowOf(row analysis.LineRow) uint64 {
	h := fnv.New64a()
	h.Write([]byte(row.Text))
	low := h.Sum64() * 0x9e3779b97f4a7c15 >> 1 // the last letter reaches the first bits
	if row.Severity < analysis.SeverityError {
		low |= 1 << 63
	}
	return low
}

// forget lets go of hours up to the given one.
func (s samples) forget(hour int64, bytes *ledger) {
	maps.DeleteFunc(s, func(key sampled, lines []sampleLine) bool {
		if key.hour > hour {
			return false
		}
		for _, line := range lines {
			bytes.add(key.hour, -sampleCost-len(line.text))
		}
		return true
	})
}

// SampleLines implements sources.LineSampler. It knows one line of each text and hour,
// and of the newest hours one of each text and minute, masked; which pods wrote them is
// not known, nor are conditions on other attributes than those of a release.
func (s *Source) SampleLines(ctx context.Context, q analysis.LineSampleQuery) ([]analysis.Line, error) {
	sel, err := s.begin(ctx, "lines", q.Signal)
	if err != nil {
		return nil, err
	}
	if sel.logs == nil {
		return nil, s.fail("lines", sources.Rejected, errNoLines)
	}
	if q.Slices < 1 || q.Lines < 1 || !q.To.After(q.From) {
		return nil, nil
	}
	from, to := q.From.UnixNano(), q.To.UnixNano()
	var lines []analysis.Line
	for _, svc := range s.servicesOf(q.Matches) {
		if err := ctx.Err(); err != nil {
			return nil, s.fail("lines", sources.Unavailable, err)
		}
		svc.mu.Lock()
		for key, kept := range svc.samples {
			if !key.matches(q.Matches) {
				continue
			}
			for _, line := range kept {
				if line.at >= from && line.at < to {
					lines = append(lines, analysis.Line{Time: instant(line.at), Severity: line.severity, Text: line.text})
				}
			}
		}
		for _, w := range svc.ordered {
			if w.lines != nil && releaseOf(w).matches(q.Matches) {
				lines = append(lines, s.liveSample(w.lines, from, to)...)
			}
		}
		svc.mu.Unlock()
	}
	slices.SortFunc(lines, func(a, b analysis.Line) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Text, b.Text), cmp.Compare(a.Severity, b.Severity))
	})
	lines = slices.CompactFunc(lines, func(a, b analysis.Line) bool { return a.Time.Equal(b.Time) && a.Text == b.Text })
	return thin(lines, q), nil
}

// liveSample is one line of each text and minute that is still in the window.
func (s *Source) liveSample(l *lineWindow, from, to int64) (lines []analysis.Line) {
	byMinute := map[int64]*podLines{}
	for _, n := range slices.Sorted(maps.Keys(l.ticks)) {
		if (n+1)*baseTick >= from && n*baseTick < to {
			sumInto(byMinute, n, l.ticks[n])
		}
	}
	for number, p := range byMinute {
		for _, row := range p.rows(nil, s.redactor.String) {
			line := analysis.Line{Time: instant(number * minuteWidth), Severity: row.Severity, Text: row.Text}
			if row.Example != nil {
				line.Time = row.Example.Time
			}
			if at := line.Time.UnixNano(); at >= from && at < to {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// thin keeps the first lines of each slice of the time that is asked about.
func thin(lines []analysis.Line, q analysis.LineSampleQuery) (out []analysis.Line) {
	width := q.To.Sub(q.From) / time.Duration(q.Slices)
	slice, n := time.Duration(-1), 0
	for _, line := range lines {
		of := line.Time.Sub(q.From) / max(width, 1)
		if of != slice {
			slice, n = of, 0
		}
		if n++; n <= q.Lines {
			out = append(out, line)
		}
	}
	return out
}
