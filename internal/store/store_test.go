package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// t0 is when every test begins.
var t0 = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// openTest opens a store in a directory of its own and closes it with the test.
func openTest(t testing.TB) *Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "assay.db")
	if err := fresh(path); err != nil {
		t.Fatal(err)
	}
	return openAt(t, path)
}

// fresh puts a new store at path: a copy of one that was migrated once, because
// migrating for every test takes long.
func fresh(path string) error {
	bytes, err := migrated()
	if err != nil {
		return err
	}
	return os.WriteFile(path, bytes, 0o600)
}

var migrated = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	s, err := Open(context.Background(), filepath.Join(dir, "assay.db"), t0)
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(s.Path())
})

// A store that is opened for the first time and stopped at any instant says that it was
// stopped, and opens the next time.
func TestStoppedWhileItOpens(t *testing.T) {
	began, opened := time.Now(), false
	for after := time.Duration(0); !opened; after += 300 * time.Microsecond {
		path := filepath.Join(t.TempDir(), "assay.db")
		ctx, stop := context.WithCancel(t.Context())
		timer := time.AfterFunc(after, stop)
		s, err := Open(ctx, path, t0)
		timer.Stop()
		stop()
		if opened = err == nil; !opened {
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("stopped after %v: %v", after, err)
			}
			if s, err = Open(t.Context(), path, t0); err != nil {
				t.Fatalf("opened again, stopped after %v before: %v", after, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("not opened in %v", after)
		}
	}
}

func openAt(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, t0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// tamper runs SQL on the writer's connection, past all methods.
func (s *Store) tamper(t testing.TB, statements ...string) {
	t.Helper()
	if err := s.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.give()
	for _, statement := range statements {
		if _, err := s.conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// number reads one number.
func (s *Store) number(t testing.TB, query string, args ...any) (n int64) {
	t.Helper()
	if err := s.reading.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// checkout is a live deployment of one service that started minutes after t0.
func checkout(id string, minutes int) analysis.Deployment {
	return analysis.Deployment{
		ID: analysis.DeploymentID(id), Attempt: 1, Mode: analysis.Live, StartedAt: t0.Add(time.Duration(minutes) * time.Minute),
		Release: analysis.Release{Environment: "prod-eu1", Namespace: "shop", Service: "checkout", Version: "v-" + id},
	}
}

func opening(d analysis.Deployment) Validation {
	return Validation{ID: d.Validation(), Deployment: d, AcceptedAt: t0}
}

func ending(d analysis.Deployment, word string) Final {
	id := string(d.Validation())
	return Final{
		Validation: d.Validation(), Verdict: []byte(`{"verdict":"` + word + `","of":"` + id + `"}`), Word: word, Code: "all_safe", VerdictID: "verdict-" + id, Seq: 7, IssuedAt: t0,
		Outbox: []OutboxMessage{{Sink: "kafka", Key: "k", MessageID: "verdict-" + id, ContentType: "application/json", Payload: []byte("{}"), CreatedAt: t0}},
		Audit:  AuditEntry{At: t0, Actor: "assay", Action: "verdict_" + word, Subject: id},
	}
}

func apply(t testing.TB, s *Store, change Change) Applied {
	t.Helper()
	if change.Now.IsZero() {
		change.Now = t0
	}
	applied, err := s.Apply(t.Context(), change)
	if err != nil {
		t.Fatal(err)
	}
	return applied
}

func TestOpenFromScratchAndAgain(t *testing.T) {
	// A directory that does not exist, and characters that mean something in an address.
	path := filepath.Join(t.TempDir(), "a dir", "50%?mode=ro#x&.db")
	s := openAt(t, path)
	apply(t, s, Change{Open: []Validation{opening(checkout("d1", 0))}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if _, err := s.Apply(t.Context(), Change{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Apply after Close = %v, want ErrClosed", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file is %v, %v; want it readable by its owner only", info, err)
	}

	s = openAt(t, path)
	open, err := s.OpenValidations(t.Context())
	if err != nil || len(open) != 1 || open[0].Deployment.ID != "d1" {
		t.Errorf("after reopening: %v, %v", open, err)
	}
	if err := errors.Join(s.Ping(t.Context()), s.IntegrityCheck(t.Context()), s.VerifyAudit(t.Context())); err != nil {
		t.Error(err)
	}
	for pragma, want := range map[string]int64{"synchronous": 2, "foreign_keys": 1, "busy_timeout": 10000} {
		var got int64
		if err := s.conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %d, %v, want %d", pragma, got, err, want)
		}
	}
	if n := s.number(t, `SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'`); n != 1 {
		t.Error("the journal is not a WAL")
	}
	if _, err := s.reading.ExecContext(t.Context(), `DELETE FROM validation`); err == nil {
		t.Error("a reader could write")
	}
}

func TestTwoOpensRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "assay.db")
	s := openAt(t, path)
	link := filepath.Join(t.TempDir(), "other-name.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, link} {
		_, err := Open(t.Context(), name, t0)
		if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
			t.Errorf("Open(%s) = %v, want ErrInUse that names this process", name, err)
		}
	}
	// And so is another process.
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childEnv+"=open:"+path)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), ErrInUse.Error()) {
		t.Errorf("another process: %v: %s", err, out)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openAt(t, path)
}

func TestForeignAndNewerFilesRefused(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, path string)
		want  error
	}{
		{"newer schema", func(t *testing.T, path string) {
			s := openAt(t, path)
			s.tamper(t, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)`)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}, ErrNewerSchema},
		{"another program", func(t *testing.T, path string) {
			s := openAt(t, path)
			s.tamper(t, `PRAGMA application_id = 5`)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}, ErrCorrupt},
		{"no database", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("not a database. ", 512)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, ErrCorrupt},
		{"a directory", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "assay.db")
			test.spoil(t, path)
			before, _ := os.ReadFile(path)
			_, err := Open(t.Context(), path, t0)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Fatalf("Open = %v, want %v", err, test.want)
			}
			t.Log(err)
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("the refused file was changed")
			}
		})
	}
}

func TestDamagedPageIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "assay.db")
	s := openAt(t, path)
	for i := range 20 {
		apply(t, s, Change{Open: []Validation{opening(checkout(fmt.Sprint(i), i))}})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 2 * 4096; i < len(file); i += 4096 {
		copy(file[i:], "damage damage damage damage damage")
	}
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err = Open(t.Context(), path, t0)
	if err == nil {
		err = s.IntegrityCheck(t.Context())
		defer s.Close()
	}
	if !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
}

func TestContextEndsWaitingNotWriting(t *testing.T) {
	s := openTest(t)
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.take(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := s.Apply(ctx, Change{Now: t0}); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for the writer: %v, want context.Canceled", err)
	}
	s.give()
	// Inside, the context's end does not undo what was begun.
	ctx, cancel = context.WithCancel(t.Context())
	err := s.write(ctx, "test", func(tx *tx) error {
		cancel()
		return tx.audit(AuditEntry{At: t0, Actor: "test"})
	})
	if err != nil {
		t.Error(err)
	}
	if n := s.number(t, `SELECT count(*) FROM audit`); n != 2 {
		t.Errorf("%d audit entries, want 2", n)
	}
}

func TestInstantsThatDoNotFit(t *testing.T) {
	for _, test := range []struct{ in, want time.Time }{
		{time.Time{}, time.Time{}},
		{t0.Add(1), t0.Add(1)},
		{time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)},
		{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(0, math.MaxInt64)},
		{time.Date(-4000, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(0, math.MinInt64)},
	} {
		if got := instant(nanos(test.in)); !got.Equal(test.want) {
			t.Errorf("%v is kept as %v, want %v", test.in, got, test.want)
		}
		if again := nanos(instant(nanos(test.in))); again != nanos(test.in) {
			t.Errorf("%v is not stable", test.in)
		}
	}
}
