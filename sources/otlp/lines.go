package otlp

import (
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/logdiff"
)

// Log lines are not kept: each is added to the tally of its pod and base tick, which
// knows masked texts, how often they came, and the requests that wrote them, all
// bounded. A question adds the tallies of its fold up and matches the texts against the
// templates of its plan, so that plans with other templates ask of the same tallies.
// Frames of stack traces that come as entries of their own are counted, and are no texts:
// to join them, streams would have to come in order and unbroken.
//
// A text that must appear is looked for as lines arrive, once an objective that is
// loaded names it (Track). Of ticks that began before that, masked texts that contain it
// are counted, which misses one that names a number.

// Tallies are kept until [Source.Evict] is told that they are older than raw samples may
// be (Config.Retention), or less where memory is
// short. First the texts go, oldest ticks first, when those of all resources take more
// than maxTextBytes, or those of one more than maxTextBytesEach: one that writes a million
// different texts must not empty the windows of others. What is counted by severity goes,
// oldest minutes first, above maxCountBytes. What goes leaves a sample of its texts to
// learn templates from (lines_sample.go) and the minute sums of tracked signals.
const (
	maxTextBytes     = 64 << 20
	maxTextBytesEach = 16 << 20
	maxCountBytes    = 128 << 20
)

// minuteTicks is how many base ticks a minute has.
const minuteTicks = int64(time.Minute) / baseTick

// A lineTick is what a resource logged in one base tick.
type lineTick struct {
	tally *logdiff.Tally
	must  *mustAppear // what the tally looks for
	lines float64
	notes analysis.NotRead // beside that of the tally

	texts, counts int // bytes, as they were measured last
}

// mustAppear are the texts that tallies look for.
type mustAppear struct {
	key   string // the same for the same texts
	texts []string
}

// lineWindow is what one resource logged lately. Its service's lock protects it.
type lineWindow struct {
	ticks map[int64]*lineTick // by number since the epoch
	texts int                 // bytes of all tallies

	answered int64 // up to here folds were answered: what comes for them is late
	summed   int64 // up to here tallies went
	evicted  int64 // up to here there were lines, when evictLines last looked
	bare     int64 // up to this tick their texts did
	// alive are the ticks before answered in which something else was heard of the
	// resource. They are noted when they are asked about, so that they never change.
	alive map[int64]bool

	minutes map[string][]minute // by the key of a tracked signal; ascending
}

// linesOf returns the window's lines, which begin when they are first heard or asked of.
func (s *Source) linesOf(w *window) *lineWindow {
	if w.lines == nil {
		w.lines = &lineWindow{ticks: map[int64]*lineTick{}, answered: s.askedLines.about(w), alive: map[int64]bool{}}
	}
	return w.lines
}

// closed returns the instant up to which nothing may be added any more.
func (l *lineWindow) closed() int64 { return max(l.answered, l.summed) }

// at returns the tick of that number, begun if need be.
func (l *lineWindow) at(tick int64, must *mustAppear) *lineTick {
	t := l.ticks[tick]
	if t == nil {
		t = &lineTick{must: must}
		l.ticks[tick] = t
	}
	return t
}

// add counts a line, unless its tick is closed: then it is noted in the first that is
// open, since the answers before have been given.
func (l *lineWindow) add(r logdiff.Record, frame bool, must *mustAppear, bare int64) Drop {
	at := r.At.UnixNano()
	if at <= l.closed() {
		l.at(tickOf(l.closed())+1, must).notes.Late++
		return DropLate
	}
	tick := tickOf(at)
	t := l.at(tick, must)
	if t.tally == nil {
		t.tally = logdiff.NewTally(t.must.texts...)
		if tick <= max(l.bare, bare) {
			t.tally.ForgetTexts()
		}
	}
	if frame {
		t.tally.AddFrame(r)
	} else {
		t.tally.Add(r)
	}
	t.lines++
	return ""
}

// lineTickCost is about what a tick takes beside its tally.
const lineTickCost = 160

// measure counts what a tick takes by now.
func (s *Source) measure(l *lineWindow, n int64, t *lineTick) {
	texts, counts := 0, lineTickCost
	if t.tally != nil {
		texts = t.tally.TextSize()
		counts += t.tally.Size() - texts
	}
	s.charge(l, n, t, texts, counts)
}

func (s *Source) charge(l *lineWindow, n int64, t *lineTick, texts, counts int) {
	s.textBytes.add(n, texts-t.texts)
	s.countBytes.add(minuteOf(n), counts-t.counts)
	l.texts += texts - t.texts
	t.texts, t.counts = texts, counts
}

// forgetTexts samples the texts of a tick and lets go of them.
func (s *Source) forgetTexts(svc *service, w *window, n int64, t *lineTick) {
	if t.tally == nil || t.texts == 0 {
		return
	}
	svc.samples.add(releaseOf(w), n*baseTick, t.tally.Rows(noTemplates, s.redactor.String), s.sampleBytes)
	t.tally.ForgetTexts()
	s.measure(w.lines, n, t)
}

// minuteOf returns the minute, since the epoch, that a tick lies in.
func minuteOf(tick int64) int64 { return floorDiv(tick, minuteTicks) }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// hear notes in which ticks up to the given instant something else was heard of the
// window. What comes later for them is not counted.
func (l *lineWindow) hear(w *window, from, to int64) {
	from = max(from, l.answered)
	for tick := tickOf(from) + 1; tick <= tickOf(to); tick++ {
		fold := analysis.Fold{Start: instant(tick * baseTick), End: instant((tick + 1) * baseTick)}
		if w.heardIn(fold) {
			l.alive[tick] = true
		}
	}
	l.answered = max(l.answered, to)
}

// heardIn reports whether anything but lines of the window lies in (from, to].
func (w *window) heardIn(fold analysis.Fold) bool {
	return w.freshIn(fold, nil) || w.spans != nil && w.spans.heardIn(fold)
}

// within returns the ticks of (from, to], in their order.
func (l *lineWindow) within(from, to int64) []*lineTick {
	var numbers []int64
	if span := tickOf(to) - tickOf(from); span < int64(len(l.ticks)) {
		for n := tickOf(from) + 1; n <= tickOf(to); n++ {
			if l.ticks[n] != nil {
				numbers = append(numbers, n)
			}
		}
	} else {
		for n := range l.ticks {
			if n > tickOf(from) && n <= tickOf(to) {
				numbers = append(numbers, n)
			}
		}
		slices.Sort(numbers)
	}
	ticks := make([]*lineTick, len(numbers))
	for i, n := range numbers {
		ticks[i] = l.ticks[n]
	}
	return ticks
}
