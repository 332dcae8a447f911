package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// A Bundle is an open bundle whose seal, members and digests have been found
// right. Its looks are read from the file when they are asked for. It may be read
// by several goroutines at once.
type Bundle struct {
	Digest   string // of all bytes of the file
	Size     int64
	Manifest Manifest
	Verdict  verdicts.Verdict

	file    io.ReaderAt
	closer  io.Closer
	content map[string][]byte // the members but the looks
	looks   File
}

// Open opens the bundle at path. An error of kind ErrCorrupt names the first
// thing that is wrong with it. The caller closes the bundle.
func Open(path string) (*Bundle, error) {
	// Asked before opening: a named pipe would wait for a writer for ever.
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open bundle: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open bundle %s: %w", path, corrupt("it is no regular file"))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open bundle: %w", err)
	}
	b, err := Read(f, info.Size())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open bundle %s: %w", path, err), f.Close())
	}
	b.closer = f
	return b, nil
}

// Read opens a bundle of the given size, which it reads from file as long as it
// is used.
func Read(file io.ReaderAt, size int64) (*Bundle, error) {
	b := &Bundle{file: file, Size: size, content: map[string][]byte{}}
	broken := b.checkSeal()
	if broken != nil && !errors.Is(broken, ErrCorrupt) {
		return nil, broken
	}
	err := b.readMembers()
	switch {
	case broken != nil && errors.Is(err, ErrCorrupt):
		first := strings.TrimPrefix(err.Error(), ErrCorrupt.Error()+": ")
		return nil, fmt.Errorf("%w; the first thing that differs: %s", broken, first)
	case broken != nil:
		return nil, broken
	case err != nil:
		return nil, err
	}
	return b, nil
}

// Close closes the file that Open opened.
func (b *Bundle) Close() error {
	if b.closer == nil {
		return nil
	}
	return b.closer.Close()
}

// PlanBytes returns the canonical bytes of the plan.
func (b *Bundle) PlanBytes() []byte { return bytes.Clone(b.content[planJSON]) }

// Plan returns the plan.
func (b *Bundle) Plan() (*analysis.Plan, error) {
	var p analysis.Plan
	if err := json.Unmarshal(b.content[planJSON], &p); err != nil {
		return nil, corrupt("%s is no plan of this version: %v", planJSON, err)
	}
	return &p, nil
}

// VerdictBytes returns the verdict as it was sealed.
func (b *Bundle) VerdictBytes() []byte { return bytes.Clone(b.content[verdictJSON]) }

// Event returns the deployment event as it came, nil if there was none.
func (b *Bundle) Event() []byte { return bytes.Clone(b.content[eventJSON]) }

// checkSeal compares the seal at the end with all bytes before it.
func (b *Bundle) checkSeal() error {
	if b.Size > maxCompressed {
		return corrupt("it has %d bytes, more than a bundle may have (%d)", b.Size, int64(maxCompressed))
	}
	if b.Size < sealSize {
		return corrupt("it has only %d bytes", b.Size)
	}
	all := sha256.New()
	if _, err := io.Copy(all, io.NewSectionReader(b.file, 0, b.Size-sealSize)); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	got := make([]byte, sealSize)
	if _, err := io.ReadFull(io.NewSectionReader(b.file, b.Size-sealSize, sealSize), got); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	want := seal(all.Sum(nil))
	if start := len(want) - sha256.Size; !bytes.Equal(got[:start], want[:start]) {
		return corrupt("there is no seal at its end: it was cut off or something was added")
	}
	if !bytes.Equal(got, want) {
		return corrupt("the seal does not match: bytes were changed after it was sealed")
	}
	all.Write(got)
	b.Digest = digest(all.Sum(nil))
	return nil
}

// readMembers reads every member, keeps the small ones and compares all of them
// with the manifest and with each other.
func (b *Bundle) readMembers() error {
	archive, err := b.inflate()
	if err != nil {
		return err
	}
	defer archive.Close()
	var found []File
	err = eachMember(archive, inflatedLimit(b.Size), func(name string, size int64, content io.Reader) error {
		h := sha256.New()
		var keep bytes.Buffer
		to := io.Writer(io.MultiWriter(h, &keep))
		if name == looksJSONL {
			to = h
		}
		if _, err := io.Copy(to, content); err != nil {
			return err
		}
		f := File{name, size, hexOf(h)}
		if name == looksJSONL {
			b.looks = f
		} else {
			b.content[name] = keep.Bytes()
		}
		if name != manifestJSON {
			found = append(found, f)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := b.checkManifest(found); err != nil {
		return err
	}
	if err := agree(b.content[planJSON], b.content[verdictJSON], b.content[findingsJSON], b.looks); err != nil {
		return corrupt("%v", err)
	}
	if _, err := b.Exemplars(); err != nil {
		return corrupt("%v", err)
	}
	if err := json.Unmarshal(b.content[verdictJSON], &b.Verdict); err != nil {
		return corrupt("%s is no verdict: %v", verdictJSON, err)
	}
	if b.Manifest.Validation != b.Verdict.ValidationID {
		return corrupt("%s is of validation %q, %s of %q", manifestJSON, b.Manifest.Validation, verdictJSON, b.Verdict.ValidationID)
	}
	return nil
}

// checkManifest compares the manifest with the members that were found.
func (b *Bundle) checkManifest(found []File) error {
	if err := json.Unmarshal(b.content[manifestJSON], &b.Manifest); err != nil {
		return corrupt("%s is no manifest: %v", manifestJSON, err)
	}
	if b.Manifest.Schema != Schema {
		return corrupt("it is of the layout %q, this version reads %q", b.Manifest.Schema, Schema)
	}
	if !bytes.Equal(b.content[manifestJSON], b.Manifest.encode()) {
		return corrupt("%s is not written as Assay writes it", manifestJSON)
	}
	for i, f := range found {
		if i >= len(b.Manifest.Files) || b.Manifest.Files[i].Name != f.Name {
			return corrupt("%s does not list %s in its place", manifestJSON, f.Name)
		}
		if want := b.Manifest.Files[i]; f != want {
			return corrupt("%s has %d bytes with SHA-256 %s, %s says %d with %s", f.Name, f.Size, f.SHA256, manifestJSON, want.Size, want.SHA256)
		}
	}
	if len(b.Manifest.Files) > len(found) {
		return corrupt("%s is missing", b.Manifest.Files[len(found)].Name)
	}
	return nil
}

// inflate returns the archive. Whatever the decompressor objects to is damage,
// but for errors of the disk.
func (b *Bundle) inflate() (io.ReadCloser, error) {
	disk := &watched{r: io.NewSectionReader(b.file, 0, max(b.Size-sealSize, 0))}
	z, err := zstd.NewReader(disk, decoderOptions()...)
	if err != nil {
		return nil, corrupt("it cannot be decompressed: %v", err)
	}
	return &archiveReader{disk, z}, nil
}

type archiveReader struct {
	disk *watched
	z    *zstd.Decoder
}

func (a *archiveReader) Read(p []byte) (int, error) {
	n, err := a.z.Read(p)
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case a.disk.err != nil:
		return n, fmt.Errorf("read: %w", a.disk.err)
	}
	return n, corrupt("it cannot be decompressed: %v", err)
}

func (a *archiveReader) Close() error {
	a.z.Close()
	return nil
}

// watched remembers the error of a reader.
type watched struct {
	r   io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}
