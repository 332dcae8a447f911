package bundle

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
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
// is none of that name. To seal the same contents again changes nothing; a
// damaged file is replaced; a sound one with other contents is ErrExists.
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
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return Sealed{}, err
	}
	// What a crash left behind. If it belongs to another replica that is sealing
	// now, its rename fails and it seals again, to the same bytes.
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
	s, err := writeTemp(temp, c)
	if err == nil {
		s.Path = filepath.Join(dir, name)
		err = publish(temp.Name(), s)
	}
	if err != nil {
		// After the rename there is nothing to remove, before it there is.
		if gone := os.Remove(temp.Name()); gone != nil && !errors.Is(gone, os.ErrNotExist) {
			err = errors.Join(err, gone)
		}
		return Sealed{}, err
	}
	return s, nil
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

// publish gives the temporary file its name, unless the bundle is there already.
func publish(temp string, s Sealed) error {
	there, err := Open(s.Path)
	switch {
	case err == nil:
		sum := there.Digest
		if err := there.Close(); err != nil {
			return err
		}
		if sum != s.Digest {
			return ErrExists
		}
		return errors.Join(os.Remove(temp), syncDir(filepath.Dir(s.Path)))
	case !errors.Is(err, os.ErrNotExist) && !errors.Is(err, ErrCorrupt):
		return err
	}
	if err := os.Rename(temp, s.Path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(s.Path))
}

// syncDir makes a rename survive a loss of power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
