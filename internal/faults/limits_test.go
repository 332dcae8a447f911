package faults

import (
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/liar"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/prometheus"
)

// With its own limits a source refuses an answer that is too large before it has it,
// and never holds more of it than the body's limit and what is decoded of that.
func TestAnswersThatAreTooLarge(t *testing.T) {
	const most = 256 << 20 // bytes of heap beyond what was there; the limit of a body is 16 MiB
	world := newWorlds(1).telemetry(harmless, 0)
	for name, script := range map[string]string{
		"a gzip bomb of 1 GiB":     `[{do: bomb, bytes: 1073741824}]`,
		"a body of 1 GiB":          `[{do: huge, bytes: 1073741824}]`,
		"1,000,000 series":         `[{do: explode, count: 1000000}]`,
		"20,000 series":            `[{do: explode, count: 20000}]`,
		"64 label values of 1 MiB": `[{do: explode, count: 64, bytes: 1048576}]`,
	} {
		t.Run(name, func(t *testing.T) {
			rules, err := liar.Read([]byte(script))
			if err != nil {
				t.Fatal(err)
			}
			now := deployedAt.Add(10 * time.Minute)
			server := httptest.NewServer(liar.NewServer(world, rules, func() time.Time { return now }))
			defer server.Close()
			c := prometheus.DefaultConfig()
			c.URL = server.URL
			source, err := prometheus.Open(sourceName, c)
			if err != nil {
				t.Fatal(err)
			}
			defer source.Close()
			heap := watchHeap()
			_, err = source.Rows(t.Context(), analysis.Query{
				Signal: pulledErrors, Matches: []analysis.Match{{Name: analysis.AttrService, Values: []string{"checkout"}}},
				Fold: analysis.FoldAt(now.Add(-time.Minute), 15*time.Second), Since: deployedAt,
			})
			if grown := heap(); grown > most {
				t.Errorf("the heap grew by %d MiB", grown>>20)
			}
			if err == nil || sources.KindOf(err) != sources.Malformed {
				t.Errorf("%v", err)
			}
		})
	}
}

// watchHeap returns a function that ends the watch and returns by how much the heap
// grew at most.
func watchHeap() func() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before, most := m.HeapAlloc, m.HeapAlloc
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		var m runtime.MemStats
		for {
			select {
			case <-tick.C:
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			case <-stop:
				return
			}
		}
	})
	return func() uint64 { close(stop); watching.Wait(); return most - before }
}
