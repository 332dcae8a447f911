package bundle

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"iter"

	"github.com/release-assay/assay/analysis"
)

// Looks returns the looks in the order in which they were folded. An error ends
// them. The file is read again, and its looks are compared with the manifest
// again, so that a file that changes under an open bundle is noticed.
func (b *Bundle) Looks() iter.Seq2[analysis.Look, error] {
	return func(yield func(analysis.Look, error) bool) {
		n := 0
		for line, err := range b.Lines() {
			var look analysis.Look
			if err == nil {
				n++
				if err = json.Unmarshal(line, &look); err != nil {
					err = corrupt("line %d of %s is no look: %v", n, looksJSONL, err)
				}
			}
			if !yield(look, err) || err != nil {
				return
			}
		}
	}
}

// errStopped ends the reading of the archive when nobody wants more of it.
var errStopped = errors.New("stopped")

// Lines returns the lines of the looks, each with its '\n', valid until the next.
func (b *Bundle) Lines() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		archive, err := b.inflate()
		if err != nil {
			yield(nil, err)
			return
		}
		defer archive.Close()
		err = eachMember(archive, inflatedLimit(b.Size), func(name string, _ int64, content io.Reader) error {
			if name != looksJSONL {
				_, err := io.Copy(io.Discard, content)
				return err
			}
			h := sha256.New()
			if err := eachLine(io.TeeReader(content, h), func(line []byte) bool { return yield(line, nil) }); err != nil {
				return err
			}
			if hexOf(h) != b.looks.SHA256 {
				return corrupt("%s has changed since the bundle was opened", looksJSONL)
			}
			return errStopped
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	}
}

// eachLine calls f with every line of r until f returns false.
func eachLine(r io.Reader, f func(line []byte) bool) error {
	lines := bufio.NewReaderSize(r, 64<<10)
	var long []byte
	for {
		piece, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			if long = append(long, piece...); len(long) > maxLine {
				return corrupt("a line of %s is longer than %d bytes", looksJSONL, maxLine)
			}
			continue
		case err == io.EOF && len(piece)+len(long) > 0:
			return corrupt("the last line of %s has no end", looksJSONL)
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		if len(long) > 0 {
			long = append(long, piece...)
			piece = long
		}
		if !f(piece) {
			return errStopped
		}
		long = long[:0]
	}
}

// A Report is what Verify found out.
type Report struct {
	Digest   string // of all bytes of the file
	Size     int64
	Manifest Manifest
	Verdict  string // the word
	Looks    int
}

// Verify reads every byte of the bundle at path, decodes every look and returns
// what it holds. An error of kind ErrCorrupt names the first thing that is wrong;
// the report then holds what was found out before.
func Verify(path string) (Report, error) {
	b, err := Open(path)
	if err != nil {
		return Report{}, err
	}
	defer b.Close()
	r := Report{Digest: b.Digest, Size: b.Size, Manifest: b.Manifest, Verdict: b.Verdict.Verdict.String()}
	if _, err := b.Plan(); err != nil {
		return r, err
	}
	for _, err := range b.Looks() {
		if err != nil {
			return r, err
		}
		r.Looks++
	}
	return r, nil
}
