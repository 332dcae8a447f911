package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// What is no whole bundle gets no name, and nothing of it stays.
func TestBundleGetKeepsNothingHalf(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		code   exitCode
	}{
		{http.StatusOK, "half a bundle", exitInternal},
		{http.StatusAccepted, `{"detail":"it is sealed when the verdict is final"}`, exitTimeout},
		{http.StatusNotFound, `{"detail":"no such validation"}`, exitUsage},
		{http.StatusForbidden, `{"detail":"no"}`, exitAuth},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		}))
		dir := t.TempDir()
		code, out, failed := command(t, "bundle", "get", "d1", filepath.Join(dir, "evidence.tar.zst"), "--server", s.URL)
		s.Close()
		entries, err := os.ReadDir(dir)
		if err != nil || code != c.code || out != "" || failed == "" || len(entries) != 0 {
			t.Errorf("%d: exit code %d, want %d, files %v: %q %q", c.status, code, c.code, entries, out, failed)
		}
	}
	if code, _, failed := command(t, "bundle", "get", "d1", filepath.Join(t.TempDir(), "nowhere", "b")); code != exitUsage || failed == "" {
		t.Errorf("no such folder: exit code %d: %q", code, failed)
	}
}
