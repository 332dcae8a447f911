package intake

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"
)

// progress tells Kafka how far the partitions were read, once a
// second. It is advice for the lag shown in dashboards: where Assay goes on is in
// the store, so a commit that fails, is late or is lost has no effect (P2, P8).
type progress struct {
	mu      sync.Mutex
	offsets map[int]int64
}

func newProgress() *progress { return &progress{offsets: map[int]int64{}} }

func (p *progress) set(partition int, next int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.offsets[partition] = next
}

func (p *progress) commit(ctx context.Context, send func(context.Context, map[int]int64) error, log *slog.Logger) {
	told := map[int]int64{}
	for sleep(ctx, time.Second) {
		p.mu.Lock()
		offsets := maps.Clone(p.offsets)
		p.mu.Unlock()
		maps.DeleteFunc(offsets, func(partition int, next int64) bool {
			last, ok := told[partition]
			return ok && last == next
		})
		if len(offsets) == 0 {
			continue
		}
		if err := send(ctx, offsets); err != nil {
			log.Debug("kafka did not take our offsets", "err", err)
			continue
		}
		maps.Copy(told, offsets)
	}
}
