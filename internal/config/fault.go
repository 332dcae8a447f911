package config

import (
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"strings"
)

// A Fault is one mistake in one place of one file.
type Fault struct {
	File    string
	Line    int    // from 1; 0 where the fault is the file itself
	Column  int    // from 1
	Path    string // of the field, such as spec.objectives[0].role; may be empty
	Message string
}

func (f Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	if f.Path != "" {
		b.WriteString(": " + f.Path)
	}
	return b.String() + ": " + f.Message
}

// Faults are all mistakes of a set of files, sorted by file and position. Every
// error of [Load] and [Config.LoadPolicies] is of this type.
type Faults []Fault

func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find each Fault.
func (fs Faults) Unwrap() []error {
	errs := make([]error, len(fs))
	for i, f := range fs {
		errs[i] = f
	}
	return errs
}

// err returns the faults in order, or nil if there are none.
func (fs Faults) err() error {
	if len(fs) == 0 {
		return nil
	}
	sort.SliceStable(fs, func(i, j int) bool {
		a, b := fs[i], fs[j]
		switch {
		case a.File != b.File:
			return a.File < b.File
		case a.Line != b.Line:
			return a.Line < b.Line
		case a.Column != b.Column:
			return a.Column < b.Column
		}
		return a.Path < b.Path
	})
	return fs
}

// fileFault is a file that could not be read at all.
func fileFault(name string, err error) Fault {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err // the path is printed in front already
	}
	return Fault{File: name, Message: err.Error()}
}
