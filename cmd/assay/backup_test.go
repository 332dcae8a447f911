package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/internal/backup"
	"github.com/release-assay/assay/internal/store"
)

// sealed is a whole backup of an empty store.
func sealed(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	st, err := store.Open(t.Context(), filepath.Join(dir, "assay.db"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var b bytes.Buffer
	if _, err := backup.Write(t.Context(), &b, backup.Folder{Store: st, Dir: dir, Notes: []string{"read\x1b[2J this"}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What does not arrive whole leaves no file, and no command line that fails does.
func TestBackupCommand(t *testing.T) {
	whole := sealed(t)
	var status int
	var body []byte
	var breaks bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/v1/backup" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		if status == http.StatusConflict {
			w.Header().Set("Retry-After", "30")
		}
		w.WriteHeader(status)
		_, _ = w.Write(body)
		if breaks {
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	}))
	defer s.Close()
	for _, c := range []struct {
		what   string
		status int
		body   []byte
		breaks bool
		code   exitCode
		says   string
	}{
		{"whole", 200, whole, false, exitOK, "note: read [2J this"},
		{"broken off", 200, whole[:len(whole)/2], true, exitInternal, "broke off"},
		{"half, and no error", 200, whole[:len(whole)/2], false, exitInternal, "not whole"},
		{"an empty answer", 200, nil, false, exitInternal, "not whole"},
		{"busy", 409, []byte(`{"detail":"another backup is under way"}`), false, exitInternal, "another backup is under way"},
		{"not allowed", 403, []byte(`{"detail":"no"}`), false, exitAuth, "refuses"},
		{"an older server", 404, []byte(`{"detail":"no such address: /v1/backup"}`), false, exitUsage, "no such address"},
	} {
		status, body, breaks = c.status, c.body, c.breaks
		dir := t.TempDir()
		code, out, failed := command(t, "backup", dir, "--server", s.URL)
		entries, err := os.ReadDir(dir)
		if err != nil || code != c.code || !strings.Contains(failed, c.says) || len(entries) != btoi(c.code == exitOK) || (out != "") != (c.code == exitOK) {
			t.Errorf("%s: %d, files %v: %q %q", c.what, code, entries, out, failed)
		}
	}
}

func TestBackupAndRestoreMistakes(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.tar.zst")
	if err := os.WriteFile(garbage, []byte("no archive"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code exitCode
		says string
	}{
		{"backup", exitUsage, "a file to write"},
		{"backup " + garbage, exitUsage, "there already"},
		{"backup new --data-dir " + dir, exitUsage, "no data directory of Assay"},
		{"backup new --data-dir x --server http://127.0.0.1:1", exitUsage, "either --server or --data-dir"},
		{"backup " + dir + "/no/such/folder", exitUsage, "no such"},
		{"restore " + garbage, exitUsage, "--data-dir is required"},
		{"restore " + dir + "/nowhere --data-dir " + dir + "/new", exitUsage, "no such file"},
		{"restore " + garbage + " --data-dir " + dir + "/new", exitInternal, "not a whole backup"},
		{"restore " + garbage + " --data-dir " + dir, exitUsage, "not empty"},
	} {
		if code, out, failed := command(t, strings.Fields(c.args)...); code != c.code || out != "" || !strings.Contains(failed, c.says) {
			t.Errorf("%s: %d %q %q, want %d and %q", c.args, code, out, failed, c.code, c.says)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
