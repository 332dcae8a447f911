package bundle

import (
	"crypto/sha256"
	"encoding"
	"encoding/json"
	"fmt"
	"hash"

	"github.com/release-assay/assay/analysis"
)

// EncodeLook returns the line of a look, as the spool and the bundle keep it.
func EncodeLook(look analysis.Look) ([]byte, error) {
	line, err := json.Marshal(look)
	if err != nil {
		return nil, fmt.Errorf("encode a look: %w", err)
	}
	return append(line, '\n'), nil
}

// An EvidenceDigest is the running SHA-256 over the lines of the looks, each with
// its '\n'. Lines are added by Write. It can be kept in a checkpoint, as the
// hash of package crypto/sha256 can.
type EvidenceDigest struct{ h hash.Hash }

// NewEvidenceDigest returns the digest of no looks.
func NewEvidenceDigest() *EvidenceDigest { return &EvidenceDigest{sha256.New()} }

// Write adds lines. It never fails.
func (d *EvidenceDigest) Write(lines []byte) (int, error) { return d.h.Write(lines) }

// String returns the digest as verdicts name it.
func (d *EvidenceDigest) String() string { return digest(d.h.Sum(nil)) }

// MarshalBinary implements encoding.BinaryMarshaler.
func (d *EvidenceDigest) MarshalBinary() ([]byte, error) {
	return d.h.(encoding.BinaryMarshaler).MarshalBinary()
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (d *EvidenceDigest) UnmarshalBinary(state []byte) error {
	h := sha256.New()
	if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(state); err != nil {
		return fmt.Errorf("evidence digest: %w", err)
	}
	d.h = h
	return nil
}
