package store

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/release-assay/assay/internal/store/disktest"
)

// TestFullDisk fills a real disk. Events are refused with nothing of them written,
// everything can be read, and verdicts that are due go into the reserve; with space
// events are taken again, and the reserve is what it was.
func TestFullDisk(t *testing.T) {
	disktest.Run(t, 8<<20, func(disk string) {
		const size = 2 << 20
		s := openAt(t, filepath.Join(disk, "assay.db"))
		if err := s.Reserve(t.Context(), size); err != nil {
			t.Fatal(err)
		}
		d := checkout("due", 1)
		apply(t, s, Change{Open: []Validation{opening(d)}})
		drop := disktest.Ballast(t, disk, 2<<20)
		n := fillUp(t, s)
		checkFull(t, s, n)
		if !s.Full() || !errors.Is(s.Ping(t.Context()), ErrFull) {
			t.Error("a store that refused an event is not full")
		}
		small := Batch{Deliveries: []Delivery{delivery(TopicHTTP, 20_000)}, Now: t0}
		if _, err := s.Accept(t.Context(), small); !errors.Is(err, ErrFull) {
			t.Errorf("a small event: %v, want ErrFull", err)
		}

		verdict := ending(d, "promote")
		verdict.Verdict = make([]byte, size/2)
		if applied := apply(t, s, Change{Finals: []Final{verdict}}); len(applied.Finals) != 1 {
			t.Errorf("the verdict that was due: %+v", applied)
		}
		if _, err := os.Stat(filepath.Join(disk, "assay.db.reserve")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the reserve was not given up: %v", err)
		}
		if _, err := s.Accept(t.Context(), small); !errors.Is(err, ErrFull) {
			t.Errorf("an event got what is reserved for verdicts: %v", err)
		}
		if regained, err := s.Regain(t.Context()); regained || err != nil {
			t.Errorf("regained without space: %v", err)
		}

		drop()
		if regained, err := s.Regain(t.Context()); !regained || err != nil {
			t.Fatalf("not regained with space: %v", err)
		}
		if info, err := os.Stat(filepath.Join(disk, "assay.db.reserve")); err != nil || info.Size() != size {
			t.Errorf("the reserve is %v, %v", info, err)
		}
		accept(t, s, small)
		checkFull(t, s, n+1)
		if err := s.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		if body, final, err := s.FinalVerdict(t.Context(), d.Validation()); err != nil || !final || !bytes.Equal(body, verdict.Verdict) {
			t.Errorf("the verdict: %v, %v", final, err)
		}
	})
}

// TestSpentReserve: where even the reserve is used up, a write is refused whole, and
// the same call succeeds once there is space.
func TestSpentReserve(t *testing.T) {
	disktest.Run(t, 8<<20, func(disk string) {
		s := openAt(t, filepath.Join(disk, "assay.db"))
		if err := s.Reserve(t.Context(), 1<<20); err != nil {
			t.Fatal(err)
		}
		d := checkout("due", 1)
		apply(t, s, Change{Open: []Validation{opening(d)}})
		drop := disktest.Ballast(t, disk, 1<<20)
		change := Change{Checkpoints: []Checkpoint{{Validation: d.Validation(), Looks: 1, Snapshot: make([]byte, 3<<20), At: t0}}, Finals: []Final{ending(d, "promote")}, Now: t0}
		if _, err := s.Apply(t.Context(), change); !errors.Is(err, ErrFull) {
			t.Fatalf("got %v, want ErrFull", err)
		}
		if _, final, err := s.FinalVerdict(t.Context(), d.Validation()); final || err != nil {
			t.Errorf("half a transaction was written: %v, %v", final, err)
		}
		checkFull(t, s, 0)
		drop()
		if applied, err := s.Apply(t.Context(), change); err != nil || len(applied.Finals) != 1 {
			t.Errorf("with space: %+v, %v", applied, err)
		}
	})
}

// TestReserveOfASmallDisk: a disk without room for the reserve is full, not an error.
func TestReserveOfASmallDisk(t *testing.T) {
	disktest.Run(t, 4<<20, func(disk string) {
		s := openAt(t, filepath.Join(disk, "assay.db"))
		if err := s.Reserve(t.Context(), 64<<20); err != nil || !s.Full() {
			t.Errorf("full %v, %v", s.Full(), err)
		}
		if err := s.Reserve(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		accept(t, s, Batch{Deliveries: []Delivery{delivery(TopicHTTP, 1)}})
		if s.Full() {
			t.Error("still full without a reserve")
		}
	})
}

// writeUntilItFails takes events; after 20 of them the disk fails. The first failure
// must be ErrIO, and nothing may be written after it.
func writeUntilItFails(s *Store, how string) error {
	for i := int64(0); ; i++ {
		if i == 20 {
			install := disktest.FailSyncs
			if how == "write" {
				install = func() error { return disktest.FailWrites(0) }
			}
			if err := install(); err != nil {
				return err
			}
		}
		d := delivery(TopicHTTP, i)
		_, err := s.Accept(context.Background(), Batch{Deliveries: []Delivery{d}, Now: t0})
		if err == nil {
			fmt.Println("event", d.Event.ID)
			continue
		}
		_, again := s.Apply(context.Background(), Change{Now: t0})
		if i != 20 || !errors.Is(err, ErrIO) || !errors.Is(again, ErrIO) {
			return fmt.Errorf("event %d: %w, then %w", i, err, again)
		}
		return errors.New("as it should: " + err.Error())
	}
}

// TestDiskFails (F44): an fsync or a write that ends with EIO is ErrIO at once and is
// not tried again; whoever starts anew has everything that was acknowledged.
func TestDiskFails(t *testing.T) {
	for _, how := range []string{"fsync", "write"} {
		t.Run(how, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "assay.db")
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
			cmd.Env = append(os.Environ(), childEnv+"="+how+":"+path)
			var said bytes.Buffer
			cmd.Stderr = &said
			out, err := cmd.Output()
			if err == nil || !strings.Contains(said.String(), "as it should: ") {
				t.Fatalf("%v: %s", err, said.String())
			}
			s := openAt(t, path)
			if err := errors.Join(s.IntegrityCheck(t.Context()), s.VerifyAudit(t.Context())); err != nil {
				t.Error(err)
			}
			rows, err := s.Unhandled(t.Context(), 100)
			if err != nil || len(rows) < 20 || len(rows) > 21 {
				t.Fatalf("%d events, %v; 20 were acknowledged and one was not", len(rows), err)
			}
			i := 0
			for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); i++ {
				if want := "event " + rows[i].Event.ID; lines.Text() != want {
					t.Errorf("acknowledged %q, kept %q", lines.Text(), want)
				}
			}
			if i != 20 {
				t.Errorf("%d events were acknowledged", i)
			}
		})
	}
}

// TestDamagedLog cuts or damages the write-ahead log at random places. SQLite ends the
// log at the first frame whose checksum is wrong: what is left is whole transactions,
// the first so many of them, or the file is refused. Never half a verdict.
func TestDamagedLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "assay.db")
	s := openAt(t, path)
	for i := range 30 {
		d := checkout(fmt.Sprint(i), i)
		apply(t, s, Change{Open: []Validation{opening(d)}, Finals: []Final{ending(d, "promote")}})
	}
	database, log := readFile(t, path), readFile(t, path+"-wal")
	rng := rand.New(rand.NewPCG(45, 1))
	shortened := 0
	for i := range 60 {
		damaged := bytes.Clone(log)
		at := rng.IntN(len(log))
		if i%2 == 0 {
			damaged = damaged[:at]
		} else {
			damaged[at] ^= 1 << rng.IntN(8)
		}
		copied := filepath.Join(t.TempDir(), "assay.db")
		if err := errors.Join(os.WriteFile(copied, database, 0o600), os.WriteFile(copied+"-wal", damaged, 0o600)); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), copied, t0)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("damage at %d: %v, want ErrCorrupt", at, err)
			}
			continue
		}
		finals := s.number(t, `SELECT count(*) FROM final`)
		for _, table := range []string{"validation", "outbox"} {
			if n := s.number(t, `SELECT count(*) FROM `+table); n != finals {
				t.Errorf("damage at %d: %d finals and %d of %s", at, finals, n, table)
			}
		}
		if newest := s.number(t, `SELECT count(*) FROM validation WHERE n <= ?`, finals); newest != finals {
			t.Errorf("damage at %d: a hole among the first %d validations", at, finals)
		}
		if err := errors.Join(s.IntegrityCheck(t.Context()), s.VerifyAudit(t.Context()), s.Close()); err != nil {
			t.Errorf("damage at %d: %v", at, err)
		}
		if finals < 30 {
			shortened++
		}
	}
	if shortened < 20 {
		t.Errorf("only %d of 60 logs lost anything: nothing was tested", shortened)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
