package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/release-assay/assay/verdicts"
)

// Contents is what goes into a bundle.
type Contents struct {
	Plan []byte // the canonical bytes of the plan, as they were committed
	// Looks are the lines of the spool, read from the beginning, twice: once to
	// check them against the verdict, once to write them. Nil: no look was taken.
	Looks   io.ReadSeeker
	Verdict verdicts.Verdict
	Event   []byte // the deployment event as it came; nil: there was none
	// Exemplars are lines of AppendExemplar; nil: no trace was wanted.
	Exemplars []byte
	Engine    string // the version of Assay that judged
}

// Write writes a bundle and returns the digest of all its bytes, "sha256:" and
// hex. Contents that contradict each other are refused before anything is
// written. The looks are streamed.
func Write(w io.Writer, c Contents) (string, error) {
	parts, err := c.parts()
	if err != nil {
		return "", fmt.Errorf("bundle of %s: %w", c.Verdict.ValidationID, err)
	}
	all := sha256.New()
	body := &counter{w: io.MultiWriter(w, all)}
	inflated, err := compress(body, parts)
	if err == nil && inflated > inflatedLimit(body.n+sealSize) || body.n > maxCompressed-sealSize {
		err = ErrTooLarge
	}
	if err == nil {
		_, err = body.Write(seal(all.Sum(nil)))
	}
	if err != nil {
		return "", fmt.Errorf("write bundle of %s: %w", c.Verdict.ValidationID, err)
	}
	return digest(all.Sum(nil)), nil
}

// A part is a member about to be written.
type part struct {
	File
	content io.Reader
}

// parts checks the contents and returns the members in their order.
//
// Contents that contradict each other are an error of no kind: it is the caller's.
func (c Contents) parts() ([]part, error) {
	looks, err := c.measureLooks()
	if err != nil {
		return nil, err
	}
	verdict, err := json.Marshal(c.Verdict)
	if err != nil {
		return nil, err
	}
	findings, err := findingsIn(verdict)
	if err != nil {
		return nil, err
	}
	if err := agree(c.Plan, verdict, findings, looks); err != nil {
		return nil, err
	}
	var parts []part
	if c.Event != nil {
		parts = append(parts, partOf(eventJSON, c.Event))
	}
	if c.Exemplars != nil {
		if _, err := ReadExemplars(c.Exemplars); err != nil {
			return nil, err
		}
		parts = append(parts, partOf(exemplarsJSONL, c.Exemplars))
	}
	lines := io.Reader(bytes.NewReader(nil))
	if c.Looks != nil {
		lines = c.Looks
	}
	parts = append(parts, partOf(findingsJSON, findings), part{looks, lines}, part{}, partOf(planJSON, c.Plan), partOf(verdictJSON, verdict))
	m := Manifest{Schema: Schema, Engine: c.Engine, Validation: c.Verdict.ValidationID}
	place := 0
	for i, p := range parts {
		if p.Name == "" {
			place = i
			continue
		}
		if p.Size > maxSmall && p.Name != looksJSONL {
			return nil, fmt.Errorf("%s: %w", p.Name, ErrTooLarge)
		}
		m.Files = append(m.Files, p.File)
	}
	parts[place] = partOf(manifestJSON, m.encode())
	return parts, nil
}

func partOf(name string, content []byte) part {
	sum := sha256.Sum256(content)
	return part{File{name, int64(len(content)), hex.EncodeToString(sum[:])}, bytes.NewReader(content)}
}

// measureLooks reads the looks once, for their size and digest, and goes back to
// their beginning.
func (c Contents) measureLooks() (File, error) {
	h := sha256.New()
	f := File{Name: looksJSONL}
	if c.Looks != nil {
		_, err := c.Looks.Seek(0, io.SeekStart)
		if err == nil {
			f.Size, err = io.Copy(h, c.Looks)
		}
		if err == nil && f.Size > 0 {
			var last [1]byte
			if _, err = c.Looks.Seek(-1, io.SeekCurrent); err == nil {
				_, err = io.ReadFull(c.Looks, last[:])
			}
			if err == nil && last[0] != '\n' {
				err = errors.New("the last line has no end")
			}
		}
		if err == nil {
			_, err = c.Looks.Seek(0, io.SeekStart)
		}
		if err != nil {
			return f, fmt.Errorf("looks: %w", err)
		}
	}
	f.SHA256 = hex.EncodeToString(h.Sum(nil))
	return f, nil
}

// compress writes the archive and returns its size before compression.
func compress(w io.Writer, parts []part) (int64, error) {
	z, err := zstd.NewWriter(w, encoderOptions()...)
	if err != nil {
		return 0, err
	}
	defer z.Close() // frees it where an error returns early; closing twice does nothing
	archive := &counter{w: z}
	for _, p := range parts {
		head, err := header(p.Name, p.Size)
		if err != nil {
			return 0, err
		}
		if _, err := archive.Write(head); err != nil {
			return 0, err
		}
		// One byte more than was measured is asked for: looks that changed
		// meanwhile are noticed here and by their digest.
		h := sha256.New()
		n, err := io.Copy(io.MultiWriter(archive, h), io.LimitReader(p.content, p.Size+1))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", p.Name, err)
		}
		if n != p.Size || hex.EncodeToString(h.Sum(nil)) != p.SHA256 {
			return 0, fmt.Errorf("%s changed while it was written", p.Name)
		}
		if _, err := archive.Write(make([]byte, padding(p.Size))); err != nil {
			return 0, err
		}
	}
	if _, err := archive.Write(make([]byte, endSize)); err != nil {
		return 0, err
	}
	return archive.n, z.Close()
}

// A counter counts what it passes on.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
