package intake

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/release-assay/assay/internal/kafka/kafkatest"
	"github.com/release-assay/assay/internal/store"
)

// hanging is a store on which the calls for one partition hang, whatever their
// context says, as long as there are hooks left.
type hanging struct {
	*store.Store
	left    atomic.Int32
	release chan struct{}
	late    chan error // what the calls got that hung, once they were released
}

func (h *hanging) Accept(ctx context.Context, b store.Batch) (store.Accepted, error) {
	if b.Lease.Partition != 0 || h.left.Add(-1) < 0 {
		return h.Store.Accept(ctx, b)
	}
	<-h.release
	accepted, err := h.Store.Accept(context.WithoutCancel(ctx), b)
	h.late <- err
	return accepted, err
}

func hang(t *testing.T, times int) *hanging {
	h := &hanging{Store: openStore(t), release: make(chan struct{}), late: make(chan error, times)}
	h.left.Store(int32(times))
	return h
}

// logged is a log that can be read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// F18: a reader that hangs is left to itself after the watchdog's time, with its
// stack in the log. The others read on in the same generation, the partition is read
// by a new reader, and what the old one writes in the end is refused.
func TestRunReaderHangs(t *testing.T) {
	for _, alone := range []bool{false, true} {
		broker, c := bench(t, 2)
		s := hang(t, 1)
		log := &logged{}
		const watchdog = time.Second // 30 s in service; a fetch of nothing takes half a second
		m := startRun(t, s, broker.Config(), func(c *RunConfig) {
			c.Alone, c.Watchdog, c.Log = alone, watchdog, slog.New(slog.NewTextHandler(log, nil))
		})
		kafkatest.Send(t, c, testTopic, 1, record(t, "other-0"))
		eventually(t, 10*time.Second, "the other partition is read", func() bool { return inbox(t, s.Store)["other-0"] == 1 })
		kafkatest.Send(t, c, testTopic, 0, record(t, "stuck"))
		eventually(t, 5*time.Second, "the reader hangs", func() bool { return s.left.Load() <= 0 })
		kafkatest.Send(t, c, testTopic, 1, record(t, "other-1"))
		eventually(t, time.Second, "the other partition is read on", func() bool { return inbox(t, s.Store)["other-1"] == 1 })

		took := eventually(t, 5*time.Second, "the partition has a new reader", func() bool { return inbox(t, s.Store)["stuck"] == 1 })
		t.Logf("alone %v: read by a new reader after %v", alone, took.Round(time.Millisecond))
		if n := m.snapshot().Counts; n.Released != 1 || n.Rejoined != 0 || n.Fenced != 0 {
			t.Errorf("alone %v: counts %+v, want one that was released", alone, n)
		}
		text := log.String()
		if !strings.Contains(text, "begun anew") || !strings.Contains(text, "intake.(*hanging).Accept") {
			t.Errorf("alone %v: the log does not show where the reader hangs:\n%s", alone, text)
		}
		if n := strings.Count(text, "partitions="); n != 1 {
			t.Errorf("alone %v: %d generations, want one:\n%s", alone, n, text)
		}

		close(s.release) // the old reader wakes up and writes what it had
		if err := <-s.late; !errors.Is(err, store.ErrFenced) {
			t.Errorf("alone %v: the old reader's write: %v, want ErrFenced", alone, err)
		}
		eventually(t, 5*time.Second, "the fence is counted", func() bool { return m.snapshot().Counts.Fenced == 1 })
		kafkatest.Send(t, c, testTopic, 0, record(t, "next"))
		eventually(t, 5*time.Second, "the next event", func() bool { return inbox(t, s.Store)["next"] == 1 })
		if n := m.snapshot().Counts; n.Accepted != 4 || n.Duplicates != 0 {
			t.Errorf("alone %v: counts %+v, want 4 accepted once", alone, n)
		}
		m.end()
	}
}

// F18: what hangs twice at one offset is stopped, not begun anew for ever; an
// operator leads past it.
func TestRunReaderHangsForEver(t *testing.T) {
	broker, c := bench(t, 2)
	s := hang(t, 2)
	m := startRun(t, s, broker.Config(), func(c *RunConfig) { c.Alone, c.Watchdog = true, time.Second })
	kafkatest.Send(t, c, testTopic, 0, record(t, "stuck"), record(t, "behind-it"))
	eventually(t, 10*time.Second, "the partition is stopped", func() bool {
		st := m.snapshot()
		return len(st.Partitions) == 2 && st.Partitions[0].Stopped && strings.Contains(st.LastError, "from offset 0 on hung twice") && st.State == Down
	})
	if n := m.snapshot().Counts.Released; n != 2 {
		t.Errorf("released %d times, want 2", n)
	}
	kafkatest.Send(t, c, testTopic, 1, record(t, "other"))
	eventually(t, time.Second, "the other partition is read", func() bool { return inbox(t, s.Store)["other"] == 1 })
	resumed, err := Resume(t.Context(), broker.Config(), s, m.snapshot(), Choice{From: 1, By: "anna"}, time.Now())
	if err != nil || len(resumed) != 1 || resumed[0] != (Resumed{Partition: 0, Was: 0, Next: 1}) {
		t.Fatal(resumed, err)
	}
	eventually(t, 10*time.Second, "what stands behind it", func() bool { return inbox(t, s.Store)["behind-it"] == 1 && m.snapshot().State == OK })
	close(s.release)
	for range 2 {
		if err := <-s.late; !errors.Is(err, store.ErrFenced) {
			t.Errorf("an old reader's write: %v, want ErrFenced", err)
		}
	}
}

// A reader that hangs does not hold up the end of the process (P24).
func TestRunEndsWhileAReaderHangs(t *testing.T) {
	broker, c := bench(t, 1)
	s := hang(t, 1)
	m := startRun(t, s, broker.Config())
	kafkatest.Send(t, c, testTopic, 0, record(t, "stuck"))
	eventually(t, 10*time.Second, "the reader hangs", func() bool { return s.left.Load() <= 0 })
	m.end()
	close(s.release)
	<-s.late // before the store is closed
}
