package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/release-assay/assay/internal/store"
)

// Format names the layout of the file.
const Format = "assay.dev/backup/v1"

// The parts of the archive, and of a folder.
const (
	headName     = "assay-backup.json"
	databaseName = "assay.db"
	spoolDir     = "spool"
	bundleDir    = "bundles"
	manifestName = "manifest.json"
)

// ErrCorrupt says that the file is no backup, or not as it was written.
var ErrCorrupt = errors.New("not a whole backup")

// A Head is the first entry.
type Head struct {
	Format    string    `json:"format"`
	CreatedAt time.Time `json:"createdAt"`
	Engine    string    `json:"engine"` // the version of Assay that wrote it
	// EmbeddedBroker says that the events came from the broker inside the process. Its
	// log is not in the backup, so its offsets mean nothing after a restore.
	EmbeddedBroker bool            `json:"embeddedBroker"`
	Audit          store.AuditMark `json:"audit"` // the newest entry of the audit log
	Notes          []string        `json:"notes"` // what is not as it should be
}

// A Manifest is the last entry: all that was written before it.
type Manifest struct {
	Head
	Files []File `json:"files"`
}

// A File is one entry.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // hex
}

// Count returns how many files there are below a folder of the archive.
func (m Manifest) Count(dir string) int {
	n := 0
	for _, f := range m.Files {
		if path.Dir(f.Name) == dir {
			n++
		}
	}
	return n
}

var (
	spoolName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,199}\.jsonl$`)
	bundleName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,199}\.tar\.zst$`)
)

// isPart reports whether the archive may have a file of that name. Nothing else is
// ever written to a disk.
func isPart(name string) bool {
	switch dir, base := path.Split(name); dir {
	case "":
		return base == databaseName
	case spoolDir + "/":
		return spoolName.MatchString(base)
	case bundleDir + "/":
		return bundleName.MatchString(base)
	}
	return false
}

// The bounds of what describes the archive, and of the memory that unpacking takes.
const (
	maxHead     = 1 << 20
	maxManifest = 256 << 20
	maxWindow   = 16 << 20
)

// readJSON reads a part that describes the archive.
func readJSON(r io.Reader, limit int64, into any) error {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return err
	case int64(len(text)) > limit:
		return fmt.Errorf("%w: it is described by more than %d bytes", ErrCorrupt, limit)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil
}

// unpack returns the archive in a file. One worker, one window: memory is bounded
// whatever the file claims.
func unpack(r io.Reader) (*zstd.Decoder, error) {
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
}
