package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// A reserve is a file beside the database that only takes up space. Where the disk
// is full it is given up, so that verdicts that are due can still be written: to the
// database, and to the spools and bundles on the same disk.
type reserve struct {
	size  int64 // bytes; 0: there is none
	spent bool  // it was given up
}

// probe is how much space there must be, besides the reserve, before a store that
// was full takes events again.
const probe = 1 << 20

// Reserve keeps size bytes of the disk for verdicts, from now on; 0 keeps none. A
// disk that does not have them is no error: then the store is full from the start,
// and takes events once there is space.
func (s *Store) Reserve(ctx context.Context, size int64) error {
	if err := s.take(ctx); err != nil {
		return wrap("reserve", err)
	}
	defer s.give()
	s.reserve = reserve{size: size, spent: true}
	if size == 0 {
		return wrap("reserve", s.drop(".reserve"))
	}
	switch err := allocate(s.path+".reserve", size); {
	case err == nil:
		s.reserve.spent = false
	case kindOf(err) == ErrFull:
		s.full.Store(true)
	default:
		return wrap("reserve", err)
	}
	return nil
}

// Full reports whether the disk is full: events are refused, and of verdicts there is
// no more than the reserve takes. It waits for nobody.
func (s *Store) Full() bool { return s.full.Load() }

// Spend says that a file on the disk of the store could not be written because the
// disk is full: the store takes no events any more, and gives up its reserve.
func (s *Store) Spend(ctx context.Context) error {
	if err := s.take(ctx); err != nil {
		return wrap("spend", err)
	}
	defer s.give()
	s.full.Store(true)
	_, err := s.spend()
	return wrap("spend", err)
}

// spend gives up the reserve and returns whether there was one.
func (s *Store) spend() (bool, error) {
	if s.reserve.size == 0 || s.reserve.spent {
		return false, nil
	}
	s.reserve.spent = true
	return true, s.drop(".reserve")
}

// Regain lets a store that was full take events again, if there is space again, with
// the reserve as it was before, and returns whether the store is full no more.
func (s *Store) Regain(ctx context.Context) (bool, error) {
	if !s.Full() {
		return true, nil
	}
	if err := s.take(ctx); err != nil {
		return false, wrap("regain", err)
	}
	defer s.give()
	regained, err := s.regain()
	return regained, wrap("regain", err)
}

func (s *Store) regain() (bool, error) {
	if s.reserve.size > 0 && s.reserve.spent {
		if err := allocate(s.path+".reserve", s.reserve.size); err != nil {
			return false, notFull(err)
		}
		s.reserve.spent = false
	}
	err := allocate(s.path+".probe", probe)
	if err := errors.Join(notFull(err), s.drop(".probe")); err != nil {
		return false, err
	}
	s.full.Store(err != nil)
	return err == nil, nil
}

// notFull is err, or nil where it says no more than that the disk is full.
func notFull(err error) error {
	if kindOf(err) == ErrFull {
		return nil
	}
	return err
}

// drop removes a file beside the database, if it is there.
func (s *Store) drop(suffix string) error {
	if err := os.Remove(s.path + suffix); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// allocate makes a file of exactly size bytes that the disk has set aside, or leaves
// none.
func allocate(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	err = f.Truncate(size)
	if err == nil {
		err = setAside(f, size)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("set aside %d bytes: %w", size, err), os.Remove(path))
	}
	return nil
}

// fill writes zeros, where a file system cannot set space aside.
func fill(f *os.File, size int64) error {
	zeros := make([]byte, 1<<20)
	for at := int64(0); at < size; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at); err != nil {
			return err
		}
	}
	return f.Sync()
}
