package oc

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"
)

// blockSize is how many runs of a row are one task and one line of the work file.
const blockSize = 20

// Options of Simulate.
type Options struct {
	Runs    int    // of each row that takes all
	Seed    uint64 // of everything
	Workers int
	// Progress is told of every finished block; it is called by one worker at a time.
	Progress func(done, blocks int, row string)
	// Until says that no further block is to be begun; nil: never. The clock is the
	// caller's.
	Until func() bool
}

// streamOf seeds run i of a row: it depends on nothing else.
func streamOf(row string, i int) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%d", row, i)
	return h.Sum64()
}

// block is a task: some runs of a row.
type block struct {
	row   int
	first int
	runs  int
}

// Simulate runs what the work file does not hold yet, in the order of the rows, and
// appends it.
func Simulate(rows []Row, file *WorkFile, o Options) error {
	blocks := missing(rows, file, o.Runs)
	opened := make([]func() (runner, error), len(rows))
	for i, r := range rows {
		opened[i] = sync.OnceValues(func() (runner, error) { return r.open(o.Seed) })
	}
	next := make(chan block)
	go func() {
		defer close(next)
		for _, b := range blocks {
			if o.Until != nil && o.Until() {
				return
			}
			next <- b
		}
	}()
	var (
		all  sync.WaitGroup
		lock sync.Mutex
		errs []error
		done int
	)
	for range max(1, o.Workers) {
		all.Add(1)
		go func() {
			defer all.Done()
			for b := range next {
				line, err := simulateBlock(rows[b.row], opened[b.row], b, o.Seed)
				lock.Lock()
				if err == nil {
					err = file.Append(line)
				}
				if err != nil {
					errs = append(errs, err)
				}
				done++
				if o.Progress != nil {
					o.Progress(done, len(blocks), rows[b.row].ID())
				}
				lock.Unlock()
			}
		}()
	}
	all.Wait()
	return errors.Join(errs...)
}

// missing are the blocks that the work file does not hold. Rows take turns, so that
// a simulation that is stopped has something of each.
func missing(rows []Row, file *WorkFile, runs int) []block {
	var out []block
	for first := 0; first < runs; first += blockSize {
		for i, r := range rows {
			n := min(blockSize, r.runs(runs)-first)
			if n > 0 && !file.has(r.ID(), first, n) {
				out = append(out, block{row: i, first: first, runs: n})
			}
		}
	}
	return out
}

func simulateBlock(r Row, open func() (runner, error), b block, seed uint64) (Line, error) {
	run, err := open()
	if err != nil {
		return Line{}, err
	}
	line := Line{Row: r.ID(), First: b.first, Outcomes: map[string][][2]int{}}
	for i := b.first; i < b.first+b.runs; i++ {
		outcomes, err := run(i, rand.New(rand.NewPCG(seed, streamOf(r.ID(), i))))
		if err != nil {
			return Line{}, err
		}
		for judge, o := range outcomes {
			line.Outcomes[judge] = append(line.Outcomes[judge], [2]int{o.alarm, o.promote})
		}
	}
	return line, nil
}

// minutesOf a number of seconds.
func minutesOf(seconds int) float64 { return (time.Duration(seconds) * time.Second).Minutes() }
