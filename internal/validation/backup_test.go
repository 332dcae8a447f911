package validation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/backup"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/sources/replay"
	"github.com/release-assay/assay/verdicts"
)

// street is a recording of many services, every second one of which is broken.
func street(services int) replay.Recording {
	return row(services, func(i int) world {
		w := world{baselineRate: .001, canaryRate: .001, rps: 40, history: 3 * time.Hour, span: 40 * time.Minute}
		if i%2 == 1 {
			w.canaryRate = .05
		}
		return w
	})
}

// row is a recording of many services, each of a world of its own.
func row(services int, of func(i int) world) replay.Recording {
	var all replay.Recording
	for i := range services {
		for _, pod := range of(i).record(uint64(i) + 1).Pods {
			pod.Attributes[analysis.AttrService] = serviceOf(i)
			pod.Attributes[analysis.AttrPod] = serviceOf(i) + pod.Attributes[analysis.AttrPod]
			all.Pods = append(all.Pods, pod)
		}
	}
	return all
}

func serviceOf(i int) string { return fmt.Sprint("service-", i) }

// TestBackupsUnderLoad takes backups at random moments beside a line that runs and
// events that arrive. Each is restored and goes on by itself: every event that was
// acknowledged before the backup ends in exactly one verdict, which is the one that
// the first line came to, byte for byte where it was final already.
func TestBackupsUnderLoad(t *testing.T) {
	const services, seeds = 6, 3
	source := mustReplay(t, street(services))
	open := 0
	for seed := range uint64(seeds) {
		rng := rand.New(rand.NewPCG(seed, 3))
		b := newBench(t, source)
		var line, one sync.Mutex // as the program has them
		clock := start
		told := map[int]int{}
		for i := range services {
			told[rng.IntN(60)] = i // the step at which its event arrives; one may displace another
		}
		var copies []*copied
		var writing sync.WaitGroup
		moments := map[int]bool{}
		for range 3 {
			moments[5+rng.IntN(200)] = true
		}
		var acked []int
		for step := range 40 * 12 {
			now := start.Add(time.Duration(step) * 5 * time.Second)
			if i, ok := told[step]; ok {
				e := called(deployment(analysis.Live), serviceOf(i))
				e.Release.Service = serviceOf(i)
				b.deploy(e)
				acked = append(acked, i)
			}
			if moments[step] {
				c := &copied{acked: append([]int{}, acked...), finals: b.finals(acked)}
				copies = append(copies, c)
				writing.Add(1)
				go func() {
					defer writing.Done()
					one.Lock() // a folder has one backup at a time
					defer one.Unlock()
					c.manifest, c.err = backup.Write(t.Context(), &c.file, backup.Folder{Store: b.Store, Dir: b.dir, Still: func(f func() error) error {
						line.Lock()
						defer line.Unlock()
						c.now = clock
						return f()
					}}, start)
				}()
			}
			line.Lock()
			clock = now
			b.advance(now)
			line.Unlock()
		}
		writing.Wait()
		original := b.finals(acked)
		if len(original) != len(acked) {
			t.Fatalf("seed %d: %d of %d are judged", seed, len(original), len(acked))
		}
		for _, c := range copies {
			c.proveAgainst(t, b, original)
			open += c.spooled
		}
	}
	if open == 0 {
		t.Error("no backup was taken of a validation in its middle")
	}
}

// spooled counts the open validations of a folder that were looked at; the spool of
// each must be as long as the store says at least.
func spooled(t *testing.T, dir string) (open int) {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(dir, "assay.db"), start)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rows, err := s.OpenValidations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	kept := spools{filepath.Join(dir, "spool")}
	for _, row := range rows {
		if row.SpoolBytes > 0 {
			open++
		}
		if got := kept.size(row.ID); got < row.SpoolBytes {
			t.Errorf("the spool of %s has %d bytes, %d are committed", row.ID, got, row.SpoolBytes)
		}
	}
	return open
}

// copied is one backup and what was true when it was asked for.
type copied struct {
	acked    []int
	now      time.Time // the instant that it is of
	finals   map[int][]byte
	file     bytes.Buffer
	manifest backup.Manifest
	err      error
	spooled  int // open validations with a spool
}

// finals are the final verdicts of services, as they are stored.
func (b *bench) finals(services []int) map[int][]byte {
	b.t.Helper()
	out := map[int][]byte{}
	for _, i := range services {
		rows, err := b.Store.ByDeployment(b.t.Context(), analysis.DeploymentID(serviceOf(i)))
		if err != nil || len(rows) > 1 {
			b.t.Fatalf("%s: %d validations, %v", serviceOf(i), len(rows), err)
		}
		if len(rows) == 1 && rows[0].Phase == store.PhaseFinal {
			out[i] = rows[0].Latest
		}
	}
	return out
}

// proveAgainst restores a backup and lets it go on.
func (c *copied) proveAgainst(t *testing.T, b *bench, original map[int][]byte) {
	t.Helper()
	if c.err != nil {
		t.Fatal(c.err)
	}
	restored := &bench{t: t, dir: filepath.Join(t.TempDir(), "restored"), source: b.source}
	if _, err := backup.Restore(t.Context(), io.Reader(&c.file), restored.dir, "test", c.now); err != nil {
		t.Fatal(err)
	}
	c.spooled = spooled(t, restored.dir)
	restored.open()
	defer restored.close()
	if err := errors.Join(restored.Store.IntegrityCheck(t.Context()), restored.Store.VerifyAudit(t.Context(), c.manifest.Audit)); err != nil {
		t.Error(err)
	}
	for now := c.now; now.Before(start.Add(40 * time.Minute)); now = now.Add(5 * time.Second) {
		restored.advance(now)
	}
	finals := restored.finals(c.acked)
	for _, i := range c.acked {
		switch before, was := c.finals[i]; {
		case finals[i] == nil:
			t.Errorf("%s was acknowledged before the backup of %v and has no verdict", serviceOf(i), c.now)
		case was && !bytes.Equal(before, finals[i]):
			t.Errorf("%s was\n%s\nand is\n%s", serviceOf(i), before, finals[i])
		case word(t, finals[i]).Verdict != word(t, original[i]).Verdict:
			t.Errorf("%s is\n%s\nand goes on to be\n%s", serviceOf(i), original[i], finals[i])
		default:
			restored.rejudged(word(t, finals[i]))
		}
	}
	if letters := restored.letters(); len(letters) > 0 {
		t.Errorf("dead letters %v", letters)
	}
}

func word(t *testing.T, body []byte) (v verdicts.Verdict) {
	t.Helper()
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
