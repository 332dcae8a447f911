package httpapi

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// ErrBusy says that what was asked for is being done for somebody else.
var ErrBusy = errors.New("it is under way already")

// stalled is how long a client may take nothing of a backup.
const stalled = time.Minute

// backup streams a backup of the data directory. One that fails after it began breaks
// the connection off, and what has arrived has no manifest: nobody takes it for whole.
func (s *server) backup(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/zstd")
	h.Set("Content-Disposition", `attachment; filename="assay-backup.tar.zst"`)
	h.Set("X-Content-Type-Options", "nosniff")
	to := &patientWriter{w: w, deadline: http.NewResponseController(w).SetWriteDeadline}
	err := s.Backup(r.Context(), to)
	switch {
	case err == nil:
		_ = to.deadline(time.Time{}) // the connection serves on
		return
	case to.began:
		panic(http.ErrAbortHandler) // the server breaks the connection off and logs nothing
	}
	h.Del("Content-Disposition")
	h.Set("Retry-After", "30")
	if errors.Is(err, ErrBusy) {
		problem(w, http.StatusConflict, "another backup is under way")
		return
	}
	problem(w, http.StatusServiceUnavailable, "the backup failed: "+err.Error())
}

// A patientWriter gives a client time for each write, however long all of them take.
type patientWriter struct {
	w        io.Writer
	deadline func(time.Time) error
	began    bool
}

func (p *patientWriter) Write(b []byte) (int, error) {
	p.began = true
	if err := p.deadline(time.Now().Add(stalled)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return p.w.Write(b)
}
