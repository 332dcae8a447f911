package gather

import (
	"context"
	"slices"
	"sync"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// askedAgain is how often the parts of one failed query are asked. Halving finds
// one culprit among 250 services in 16 queries; where more than that fails, the
// source fails, and asking on would be an attack.
const askedAgain = 16

// run asks all queries and calls answered with each outcome, from several
// goroutines, and returns when the last one has. Sources do not wait for each
// other.
func (g *Gatherer) run(ctx context.Context, queries []*merged, answered func(*merged, analysis.Answer, error)) {
	bySource := map[string][]*merged{}
	for _, q := range queries {
		bySource[q.query.Signal.Source] = append(bySource[q.query.Signal.Source], q)
	}
	var wait sync.WaitGroup
	for _, queue := range bySource {
		work := make(chan *merged, len(queue))
		for _, q := range queue {
			work <- q
		}
		close(work)
		for range min(g.concurrency(queue[0].query.Signal.Source), len(queue)) {
			wait.Go(func() {
				for q := range work {
					g.settle(ctx, q, answered)
				}
			})
		}
	}
	wait.Wait()
}

// settle asks a query, and its halves where it failed for a reason that some of
// its questions may have brought in: broken telemetry of one service, or more
// than the limits admit. Nothing is halved for a source that is unavailable.
func (g *Gatherer) settle(ctx context.Context, q *merged, answered func(*merged, analysis.Answer, error)) {
	answer, err := g.issue(ctx, q)
	if err == nil || sources.KindOf(err) == sources.Unavailable {
		answered(q, answer, err)
		return
	}
	type failed struct {
		*merged
		err error
	}
	left := askedAgain
	for queue := []failed{{q, err}}; len(queue) > 0; queue = queue[1:] {
		f := queue[0]
		if len(f.questions) == 1 || left < 2 || ctx.Err() != nil {
			answered(f.merged, analysis.Answer{}, f.err)
			continue
		}
		left -= 2
		middle := len(f.questions) / 2
		for _, half := range [][]*question{f.questions[:middle], f.questions[middle:]} {
			h := unite(slices.Clone(half))
			answer, err := g.issue(ctx, h)
			if err != nil && sources.KindOf(err) != sources.Unavailable {
				queue = append(queue, failed{h, err})
				continue
			}
			answered(h, answer, err)
		}
	}
}

func (g *Gatherer) issue(ctx context.Context, q *merged) (analysis.Answer, error) {
	return put(ctx, g, folds, q.query.Signal.Source, "rows", func(s sources.Source) (analysis.Answer, error) {
		g.issued.Add(1)
		return s.Rows(ctx, q.query)
	})
}
