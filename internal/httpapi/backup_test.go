package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestBackupIsStreamed(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct {
		write  string
		fails  error
		status int
		body   string
	}{
		{"all of it", nil, http.StatusOK, "all of it"},
		{"", ErrBusy, http.StatusConflict, ""},
		{"", errors.New("no space"), http.StatusServiceUnavailable, ""},
	} {
		s.backup = func(_ context.Context, w io.Writer) error {
			if c.write != "" {
				if _, err := io.WriteString(w, c.write); err != nil {
					return err
				}
			}
			return c.fails
		}
		code, header, body := s.get("POST", "/v1/backup")
		if code != c.status || c.body != "" && body != c.body || (header.Get("Content-Type") == "application/problem+json") != (c.fails != nil) || (header.Get("Retry-After") != "") != (c.fails != nil) {
			t.Errorf("%+v: %d %v %s", c, code, header, body)
		}
	}
	if code, _, _ := s.get("GET", "/v1/backup"); code == http.StatusOK {
		t.Error("a link that is followed makes a backup")
	}
}

// What broke off does not look like an answer that ended.
func TestBackupThatBreaksOff(t *testing.T) {
	s := newSite(t)
	s.backup = func(_ context.Context, w io.Writer) error {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			return err
		}
		return errors.New("no space")
	}
	web := httptest.NewServer(s.handler)
	defer web.Close()
	res, err := http.Post(web.URL+"/v1/backup", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if n, err := io.Copy(io.Discard, res.Body); err == nil {
		t.Errorf("%d bytes arrived, and all seems well", n)
	}
}
