package loki

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/release-assay/assay/sources"
)

// An inquiry is one question to the source while it is being answered: what the server
// said on the side, and how much it has sent.
type inquiry struct {
	*Source
	op       string
	rendered []string
	warnings []string
	most     int // lines that it may read
	lines    int
	bytes    int64
}

// about classifies an error of one query. An answer that the question does not admit
// names the question, which may be what is wrong.
func (i *inquiry) about(query string, err error) error {
	err = i.fault(i.op, err)
	if known := (*sources.Error)(nil); errors.As(err, &known) && known.Kind == sources.Malformed {
		known.Err = fmt.Errorf("%w, in the answer to %.300s", known.Err, query)
	}
	return err
}

// instant returns the values of a metric query at one instant; zero: now.
func (i *inquiry) instant(ctx context.Context, query string, at time.Time) ([]point, error) {
	i.rendered = append(i.rendered, query)
	parameters := url.Values{"query": {query}}
	if !at.IsZero() {
		parameters.Set("time", strconv.FormatInt(at.UnixNano(), 10))
	}
	body, err := i.get(ctx, "query", parameters)
	if err != nil {
		return nil, i.about(query, err)
	}
	return i.points(query, body, "vector")
}

// steps returns the values of a metric query at every step from the first to the last.
func (i *inquiry) steps(ctx context.Context, query string, first, last time.Time, step time.Duration) ([]point, error) {
	i.rendered = append(i.rendered, query)
	body, err := i.get(ctx, "query_range", url.Values{
		"query": {query}, "start": {strconv.FormatInt(first.UnixNano(), 10)}, "end": {strconv.FormatInt(last.UnixNano(), 10)}, "step": {milliseconds(step)},
	})
	if err != nil {
		return nil, i.about(query, err)
	}
	return i.points(query, body, "matrix")
}

// A span is the time from its first nanosecond to before its end.
type span struct{ from, to int64 }

// minPage is the least number of lines that is asked for where an answer is too large.
const minPage = 20

// pull returns the lines of an expression in a span, in order of time and stream, each
// once. Pages go forward, each from the last instant of the one before: there may be
// more lines of it. Where the inquiry has read as much as it may, and where more lines
// have one instant than a page has room for, the rest is cut: cut is the instant before
// which all was read, and missed whether anything was left out.
func (i *inquiry) pull(ctx context.Context, e expression, over span) (all []entry, cut int64, missed bool, err error) {
	query, err := e.render()
	if err != nil {
		return nil, 0, false, i.rejected(i.op, err)
	}
	i.rendered = append(i.rendered, query)
	limit, from := min(i.pageLines, max(i.most, minPage)), over.from
	last := map[string]bool{} // lines at the instant from, which are in all
	cut = over.to
	for from < over.to {
		page, err := i.page(ctx, query, span{from, over.to}, limit)
		if tooLarge(err) && limit > minPage {
			limit = max(minPage, limit/4)
			continue
		}
		if err != nil {
			return nil, 0, false, err
		}
		full, newest := len(page) >= limit, from
		for k := range page {
			newest = max(newest, page[k].at)
		}
		if full && newest == from { // a page of one instant: there is no way past the rest of it
			missed, cut = true, min(cut, from)
			all = slices.DeleteFunc(all, func(e entry) bool { return e.at == from })
			from, last = from+1, map[string]bool{}
			continue
		}
		next := map[string]bool{}
		for _, e := range page {
			key := e.key()
			if e.at == from && last[key] || next[key] && e.at == newest {
				continue
			}
			if e.at == newest {
				next[key] = true
			}
			all = append(all, e)
			i.lines++
			i.bytes += int64(len(e.line))
		}
		if !full {
			break
		}
		if i.lines >= i.most || i.bytes >= 4*i.maxBytes {
			all = slices.DeleteFunc(all, func(e entry) bool { return e.at == newest })
			return all, min(cut, newest), true, nil
		}
		from, last = newest, next
	}
	return all, cut, missed, nil
}

// page asks for one page and returns its lines in order.
func (i *inquiry) page(ctx context.Context, query string, over span, limit int) ([]entry, error) {
	body, err := i.get(ctx, "query_range", url.Values{
		"query": {query}, "start": {strconv.FormatInt(over.from, 10)}, "end": {strconv.FormatInt(over.to, 10)},
		"limit": {strconv.Itoa(limit)}, "direction": {"forward"},
	})
	if err != nil {
		return nil, i.about(query, err)
	}
	page, err := i.streams(query, body)
	if err != nil {
		return nil, err
	}
	if len(page) > limit {
		return nil, i.wrong(i.op, query, "%d lines where %d were asked for", len(page), limit)
	}
	page = slices.DeleteFunc(page, func(e entry) bool { return e.at < over.from || e.at >= over.to })
	sortEntries(page)
	return page, nil
}

func sortEntries(all []entry) {
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.order, b.order)) })
}

// key tells lines of one instant apart. Loki keeps a line once that comes twice with the
// same stream, time and metadata.
func (e *entry) key() string { return e.order + "\x00" + nameOf(e.meta) + "\x00" + e.line }

// nameOf writes labels in an order.
func nameOf(labels map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		b.WriteString(name + "=" + strconv.Quote(labels[name]) + ",")
	}
	return b.String()
}
