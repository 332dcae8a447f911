package bundle

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/release-assay/assay/analysis"
)

// Schema names the layout of a bundle.
const Schema = "assay.dev/bundle/v1"

// The members of a bundle, in their order in the file.
const (
	eventJSON      = "event.json"
	exemplarsJSONL = "exemplars.jsonl"
	findingsJSON   = "findings.json"
	looksJSONL     = "looks.jsonl"
	manifestJSON   = "manifest.json"
	planJSON       = "plan.json"
	verdictJSON    = "verdict.json"
)

var members = []string{eventJSON, exemplarsJSONL, findingsJSON, looksJSONL, manifestJSON, planJSON, verdictJSON}

// optional are the members that need not be there.
var optional = map[string]bool{eventJSON: true, exemplarsJSONL: true}

// ErrCorrupt is the kind of every error that says that a file is no bundle as
// Write writes them: damaged, cut off, forged, or of another layout. Other errors
// are those of the disk.
var ErrCorrupt = errors.New("the bundle is damaged")

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

// ErrTooLarge says that contents exceed what Open accepts.
var ErrTooLarge = errors.New("too large for a bundle")

// Limits of what is read and written. A stranger's file costs at most this much.
const (
	maxCompressed = 1 << 30  // the file
	maxInflated   = 4 << 30  // all members
	maxSmall      = 16 << 20 // each member but the looks, which alone are streamed
	maxLine       = 64 << 20 // one look
	// Idle pods compress several thousand times, so that a ratio tells little of a
	// small file: up to ratioFree bytes, a fraction of a second of work, it is not
	// asked. Beyond, nothing is believed to inflate to more than maxRatio times
	// the file's size.
	maxRatio  = 10_000
	ratioFree = 256 << 20
	window    = 4 << 20 // of the compressor: the memory that reading costs
)

// inflatedLimit is the most that the members of a file of the given size may
// hold together.
func inflatedLimit(compressed int64) int64 {
	return min(maxInflated, max(ratioFree, maxRatio*compressed))
}

// Manifest says what a bundle holds.
type Manifest struct {
	Schema     string                `json:"schema"`
	Engine     string                `json:"engine"` // the version of Assay that judged
	Validation analysis.ValidationID `json:"validation"`
	Files      []File                `json:"files"` // every member but the manifest, by name
}

// A File is a member of a bundle.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // hex
}

func (m Manifest) encode() []byte {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		panic(err) // strings and integers always encode
	}
	return append(b, '\n')
}

// header returns the tar header of a member, the same in every bundle but for
// name and size.
func header(name string, size int64) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o444,
		ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
	})
	return b.Bytes(), err
}

const (
	blockSize = 512
	endSize   = 2 * blockSize // zero blocks that end a tar archive
)

func padding(size int64) int64 { return -size & (blockSize - 1) }

// The seal is a skippable frame (RFC 8878, 3.1.2): magic, length, SHA-256.
const (
	sealMagic = 0x184D2A5A // one of the sixteen skippable magics; A for Assay
	sealSize  = 4 + 4 + sha256.Size
)

func seal(sum []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, sealMagic)
	b = binary.LittleEndian.AppendUint32(b, sha256.Size)
	return append(b, sum...)
}

// digest writes a SHA-256 as verdicts do.
func digest(sum []byte) string { return "sha256:" + hex.EncodeToString(sum) }

// Name is the name of a validation's bundle.
func Name(id analysis.ValidationID) string { return string(id) + ".tar.zst" }

// encoder and decoder are set up once for all bundles: one thread, and a window
// that bounds what reading costs.
func encoderOptions() []zstd.EOption {
	return []zstd.EOption{
		zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithWindowSize(window), zstd.WithEncoderCRC(true), zstd.WithZeroFrames(true),
	}
}

func decoderOptions() []zstd.DOption {
	return []zstd.DOption{
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(window), zstd.WithDecoderMaxMemory(maxInflated + 1<<20),
	}
}
