package otlp

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

var _ sources.LineSampler = (*Source)(nil)

var errNoLines = errors.New("the signal is not one of log lines")

// lineSpacing is how far apart folds of lines are: lines come with requests and have no
// clock of their own (statistics 2.3).
const lineSpacing = 15 * time.Second

// compileLines makes a signal of lines ready. Requests are counted by another signal.
func compileLines(signal analysis.Signal) *selection {
	return &selection{key: lineWords(signal.Logs), shape: signal.Shape, logs: signal.Logs}
}

// lineWords says what is counted, for people.
func lineWords(l *analysis.LogSignal) string {
	switch {
	case l.MustAppear != "":
		return "lines with " + strconv.Quote(l.MustAppear)
	case l.Severity != analysis.SeverityUnknown:
		return "lines of severity " + l.Severity.String() + " or above"
	}
	return "lines"
}

// newMustAppear is the set of the texts, whatever their order.
func newMustAppear(texts []string) *mustAppear {
	texts = slices.Clone(texts)
	slices.Sort(texts)
	texts = slices.Compact(texts)
	m := &mustAppear{texts: texts}
	var key strings.Builder
	for _, text := range texts {
		key.WriteString(strconv.Quote(text))
	}
	m.key = key.String()
	return m
}

// lineSpacing answers Spacing for lines: it is fixed where there are any.
func (s *Source) lineSpacing(ctx context.Context, q analysis.SpacingQuery) (time.Duration, error) {
	found := false
	err := s.each(ctx, "spacing", q.Matches, func(w *window, _ []string) {
		found = found || w.lines != nil && w.lines.count(analysis.Fold{Start: q.From, End: q.To}) > 0
	})
	if err != nil || !found {
		return 0, err
	}
	return lineSpacing, nil
}

// seen is what a window sent of the signal in a fold, and how many readings or lines.
// The exposure of lines is their number.
func (s *selection) seen(w *window, fold analysis.Fold) (exposure float64, received int) {
	if s.spans != nil {
		return w.spanExposure(fold)
	}
	if s.logs != nil {
		if w.lines == nil {
			return 0, 0
		}
		n := w.lines.count(fold)
		return n, int(n)
	}
	picked, _ := s.pick(w)
	return s.exposure(picked, fold)
}
