package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// writeWhole writes a file that is there as a whole or not at all: it gets its name
// when write has returned without an error. What stood there is replaced.
func writeWhole(name string, write func(*os.File) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".assay-*")
	if err != nil {
		return usage(fmt.Errorf("nothing can be written into the folder of %s: %w", name, err))
	}
	defer func() {
		f.Close() // closed twice where all is well
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close(), os.Rename(f.Name(), name)); err != nil {
		return internal(err)
	}
	return nil
}
