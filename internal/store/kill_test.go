package store

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store/powertest"
)

var kills = flag.Int("store.kills", 15, "how often TestNothingAcknowledgedIsLost kills the process that writes")

// childEnv tells a process of this test binary that it is the one to be killed.
const childEnv = "ASSAY_STORE_CHILD"

func TestMain(m *testing.M) {
	powertest.Serve()
	if task := os.Getenv(childEnv); task != "" {
		if err := child(task); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func child(task string) error {
	kind, path, _ := strings.Cut(task, ":")
	s, err := Open(context.Background(), path, t0)
	if err != nil {
		return err
	}
	switch kind {
	case "open":
		return s.Close()
	case "fsync", "write":
		return writeUntilItFails(s, kind)
	}
	return writeForEver(s, func(promise string) error {
		_, err := fmt.Println(promise)
		return err
	})
}

// writeForEver does what a service does all day, and tells what it has been promised
// after each promise: "offset n", "event id", "final id". It ends with an error.
func writeForEver(s *Store, tell func(promise string) error) error {
	ctx := context.Background()
	lease, err := s.AcquirePartition(ctx, "deployments", 0, fmt.Sprint(os.Getpid()), "t", t0)
	if err != nil {
		return err
	}
	if err := tell(fmt.Sprint("ready ", lease.Epoch)); err != nil {
		return err
	}
	for {
		batch := Batch{Lease: &lease, NextOffset: lease.NextOffset, Now: t0}
		for range 1 + rand.N(8) {
			batch.Deliveries = append(batch.Deliveries, delivery("deployments", batch.NextOffset))
			batch.NextOffset++
		}
		if _, err := s.Accept(ctx, batch); err != nil {
			return err
		}
		lease.NextOffset = batch.NextOffset
		for _, d := range batch.Deliveries {
			if err := tell("event " + d.Event.ID); err != nil {
				return err
			}
		}
		if err := tell(fmt.Sprint("offset ", batch.NextOffset)); err != nil {
			return err
		}

		rows, err := s.Unhandled(ctx, 100)
		if err != nil {
			return err
		}
		change := Change{Now: t0}
		for _, row := range rows {
			d := row.Event.Deployment(1)
			v := opening(d)
			v.InboxID = row.ID
			change.Handled = append(change.Handled, row.ID)
			change.Open = append(change.Open, v)
			change.Finals = append(change.Finals, ending(d, "promote"))
		}
		applied, err := s.Apply(ctx, change)
		if err != nil {
			return err
		}
		for _, id := range applied.Finals {
			if err := tell("final " + string(id)); err != nil {
				return err
			}
		}
	}
}

// delivery is an event whose name and content follow from its offset.
func delivery(topic string, offset int64) Delivery {
	id := fmt.Sprint("event-", offset)
	return Delivery{
		Topic: topic, Offset: offset, Key: []byte("prod-eu1/shop/checkout"), Headers: []Header{{"ce_id", []byte(id)}}, Raw: []byte(`{"id":"` + id + `"}`), ContentHash: "hash of " + id,
		Event: analysis.Event{
			Source: "/argo/prod", ID: id, Time: t0, Phase: analysis.PhaseStarted, DeploymentID: analysis.DeploymentID(id), StartedAt: t0, Mode: analysis.Live,
			Release: analysis.Release{Environment: "prod-eu1", Namespace: "shop", Service: "checkout", Version: id},
		},
	}
}

// TestNothingAcknowledgedIsLost is M1 of reliability.md: a process is killed at
// random again and again; whatever it was promised is in the store afterwards.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "assay.db")
	acked := map[string]bool{}
	var offset, epoch int64
	for range *kills {
		offset, epoch = killOnce(t, path, acked, offset, epoch)
	}
	s := openAt(t, path)
	if err := errors.Join(s.IntegrityCheck(t.Context()), s.VerifyAudit(t.Context()), s.unkept(t, acked, offset)); err != nil {
		t.Error(err)
	}
	t.Logf("%d kills, %d promises", *kills, len(acked))
}

// unkept says which promises of writeForEver are not kept, and whether half a
// transaction is there: it would show as a difference between what is written together.
func (s *Store) unkept(t testing.TB, promises map[string]bool, offset int64) error {
	t.Helper()
	kept := map[string]bool{}
	for _, query := range []string{
		`SELECT 'event ' || event_id FROM inbox`,
		`SELECT 'final ' || v.id FROM validation v JOIN final f ON f.validation = v.n JOIN outbox o ON o.sink = 'kafka' AND o.message_id = f.verdict_id`,
	} {
		_, err := list(t.Context(), s.reading, func(row scanner) (_ struct{}, err error) {
			var promise string
			err = row.Scan(&promise)
			kept[promise] = true
			return struct{}{}, err
		}, query)
		if err != nil {
			return err
		}
	}
	lost := 0
	for promise := range promises {
		if !kept[promise] {
			lost++
		}
	}
	inbox, next := s.number(t, `SELECT count(*) FROM inbox`), s.number(t, `SELECT coalesce(max(next_offset), 0) FROM partition_lease`)
	finals, sent, audited := s.number(t, `SELECT count(*) FROM final`), s.number(t, `SELECT count(*) FROM outbox`), s.number(t, `SELECT count(*) FROM audit WHERE action = 'verdict_promote'`)
	handled := s.number(t, `SELECT count(*) FROM inbox WHERE handled_at > 0`)
	if lost > 0 || inbox != next || finals != sent || finals != audited || finals != handled || next < offset {
		return fmt.Errorf("lost %d of %d promises; inbox %d, next offset %d (acknowledged %d), handled %d, finals %d, outbox %d, audit %d", lost, len(promises), inbox, next, offset, handled, finals, sent, audited)
	}
	return nil
}

// killOnce lets a child write for 30 to 230 ms, kills it, and takes down what it
// was promised.
func killOnce(t *testing.T, path string, acked map[string]bool, offset, epoch int64) (int64, int64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childEnv+"=live:"+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var timer *time.Timer
	for lines.Scan() {
		what, value, whole := strings.Cut(lines.Text(), " ")
		number, err := strconv.ParseInt(value, 10, 64)
		switch {
		case !whole:
		case what == "ready" && err == nil:
			if number != epoch+1 {
				t.Errorf("epoch %d after %d", number, epoch)
			}
			epoch = number
			timer = time.AfterFunc(30*time.Millisecond+rand.N(200*time.Millisecond), func() { _ = cmd.Process.Kill() })
		case what == "offset" && err == nil:
			offset = max(offset, number)
		default:
			acked[lines.Text()] = true
		}
	}
	if timer == nil {
		t.Fatalf("the child did not come up: %v", cmd.Wait())
	}
	timer.Stop()
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the child ended by itself: %v", err)
	}
	return offset, epoch
}
