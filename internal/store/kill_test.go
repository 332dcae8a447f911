package store

import (
	"bufio"
	"context"
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
)

var kills = flag.Int("store.kills", 15, "how often TestNothingAcknowledgedIsLost kills the process that writes")

// childEnv tells a process of this test binary that it is the one to be killed.
const childEnv = "ASSAY_STORE_CHILD"

func TestMain(m *testing.M) {
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
	if kind == "open" {
		return s.Close()
	}
	return writeForEver(s)
}

// writeForEver does what a service does all day, and prints what it has been
// promised after each promise: "offset n", "event id", "final id".
func writeForEver(s *Store) error {
	ctx := context.Background()
	lease, err := s.AcquirePartition(ctx, "deployments", 0, fmt.Sprint(os.Getpid()), "t", t0)
	if err != nil {
		return err
	}
	fmt.Println("ready", lease.Epoch)
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
			fmt.Println("event", d.Event.ID)
		}
		fmt.Println("offset", batch.NextOffset)

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
			fmt.Println("final", id)
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
	if err := s.IntegrityCheck(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
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
			t.Fatal(err)
		}
	}
	lost := 0
	for promise := range acked {
		if !kept[promise] {
			lost++
		}
	}
	// Half a transaction would show as a difference between what is written together.
	inbox, next := s.number(t, `SELECT count(*) FROM inbox`), s.number(t, `SELECT next_offset FROM partition_lease`)
	finals, sent, audited := s.number(t, `SELECT count(*) FROM final`), s.number(t, `SELECT count(*) FROM outbox`), s.number(t, `SELECT count(*) FROM audit WHERE action = 'verdict_promote'`)
	handled := s.number(t, `SELECT count(*) FROM inbox WHERE handled_at > 0`)
	if lost > 0 || inbox != next || finals != sent || finals != audited || finals != handled || next < offset {
		t.Errorf("lost %d; inbox %d, next offset %d (acknowledged %d), handled %d, finals %d, outbox %d, audit %d", lost, inbox, next, offset, handled, finals, sent, audited)
	}
	t.Logf("%d kills, %d promises, %d lost", *kills, len(acked), lost)
}

// killOnce lets a child write for 30 to 230 ms, kills it, and takes down what it
// was promised.
func killOnce(t *testing.T, path string, acked map[string]bool, offset, epoch int64) (int64, int64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childEnv+"=write:"+path)
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
