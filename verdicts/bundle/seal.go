package bundle

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// ErrExists says that another bundle, with other contents, has the name already.
// A final verdict is written once, and so is its bundle.
var ErrExists = errors.New("another bundle has this name")

// Sealed says where a bundle is.
type Sealed struct {
	Path   string
	Digest string
	Size   int64
}

var bundleName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,199}\.tar\.zst$`)

// Seal writes a bundle to the file name in dir, which is created where it is
// missing. Either the whole file is there and on disk when Seal returns, or there
// is none of that name. To seal again what is there changes nothing, even if
// another version of Assay sealed it, whose bytes may differ: the same plan, looks
// and verdict are the same bundle. A damaged file is replaced; a sound one with
// other contents is ErrExists.
func Seal(dir, name string, c Contents) (Sealed, error) {
	s, err := sealTo(dir, name, c)
	if err != nil {
		return Sealed{}, fmt.Errorf("seal %s: %w", name, err)
	}
	return s, nil
}

func sealTo(dir, name string, c Contents) (Sealed, error) {
	if !bundleName.MatchString(name) {
		return Sealed{}, errors.New("the name is not that of a bundle")
	}
	path := filepath.Join(dir, name)
	s, err := sealedBefore(path, c)
	if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, ErrCorrupt) {
		return s, err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return Sealed{}, err
	}
	// What a crash left behind. If it belongs to another replica that is sealing
	// now, its rename fails and it seals again.
	left, err := filepath.Glob(filepath.Join(dir, "."+name+".*.tmp"))
	if err != nil {
		return Sealed{}, err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return Sealed{}, err
		}
	}
	temp, err := os.CreateTemp(dir, "."+name+".*.tmp")
	if err != nil {
		return Sealed{}, err
	}
	if s, err = writeTemp(temp, c); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		if gone := os.Remove(temp.Name()); !errors.Is(gone, os.ErrNotExist) {
			err = errors.Join(err, gone)
		}
		return Sealed{}, err
	}
	s.Path = path
	return s, syncDir(dir)
}

// sealedBefore returns the bundle that is at path already, if it holds the plan,
// the looks and the verdict of c.
func sealedBefore(path string, c Contents) (Sealed, error) {
	there, err := Open(path)
	if err != nil {
		return Sealed{}, err
	}
	defer there.Close()
	parts, err := c.parts()
	if err != nil {
		return Sealed{}, err
	}
	for _, p := range parts {
		decisive := p.Name == planJSON || p.Name == looksJSONL || p.Name == verdictJSON
		if decisive && !slices.Contains(there.Manifest.Files, p.File) {
			return Sealed{}, fmt.Errorf("%w: its %s is another", ErrExists, p.Name)
		}
	}
	return Sealed{Path: path, Digest: there.Digest, Size: there.Size}, syncDir(filepath.Dir(path))
}

// writeTemp writes and syncs the temporary file and closes it.
func writeTemp(temp *os.File, c Contents) (Sealed, error) {
	buffered := bufio.NewWriterSize(temp, 256<<10)
	size := &counter{w: buffered}
	sum, err := Write(size, c)
	if err == nil {
		err = buffered.Flush()
	}
	if err == nil {
		err = temp.Chmod(0o440)
	}
	if err == nil {
		err = temp.Sync()
	}
	return Sealed{Digest: sum, Size: size.n}, errors.Join(err, temp.Close())
}

// syncDir makes a rename survive a loss of power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
