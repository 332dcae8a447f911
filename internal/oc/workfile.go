package oc

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// A Line is what came of some runs of one row: for each judge the seconds to the
// alarm and to the promote of each run, 0 for never.
type Line struct {
	Row      string              `json:"row"`
	First    int                 `json:"first"`
	Outcomes map[string][][2]int `json:"outcomes"`
}

// head is the first line of a work file. What another seed or another program
// simulated is no continuation.
type head struct {
	Seed  uint64 `json:"seed"`
	Build string `json:"build"`
}

// A WorkFile holds finished blocks, so that a simulation goes on where it stopped.
type WorkFile struct {
	lines map[string]map[int]Line
	file  *os.File // nil: kept in memory only
}

// NewWorkFile returns one that is kept in memory.
func NewWorkFile() *WorkFile { return &WorkFile{lines: map[string]map[int]Line{}} }

// OpenWorkFile reads a work file and opens it for appending. Build names the
// program: what another one wrote is set aside as path + ".old". An empty build
// takes what is there.
func OpenWorkFile(path string, seed uint64, build string) (*WorkFile, error) {
	w := NewWorkFile()
	whole, err := w.read(path, head{seed, build})
	if err != nil {
		return nil, err
	}
	if whole < 0 { // of another program
		if err := os.Rename(path, path+".old"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("work file: %w", err)
		}
	}
	if w.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return nil, fmt.Errorf("work file: %w", err)
	}
	if whole > 0 { // behind the last whole line
		if err = w.file.Truncate(whole); err == nil {
			_, err = w.file.Seek(whole, 0)
		}
	} else {
		err = w.write(head{seed, build})
	}
	if err != nil {
		return nil, fmt.Errorf("work file %s: %w", path, err)
	}
	return w, nil
}

// read returns how many bytes are whole lines, negative if they are of another
// program or seed.
func (w *WorkFile) read(path string, want head) (whole int64, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return -1, nil
	}
	if err != nil {
		return 0, fmt.Errorf("work file: %w", err)
	}
	defer f.Close()
	in := bufio.NewReader(f)
	for first := true; ; first = false {
		text, err := in.ReadBytes('\n')
		if err != nil { // a line that was cut off is simulated again
			return whole, nil
		}
		if first {
			var h head
			if json.Unmarshal(text, &h) != nil || h.Seed != want.Seed || want.Build != "" && h.Build != want.Build {
				return -1, nil
			}
		} else {
			var l Line
			if err := json.Unmarshal(text, &l); err != nil {
				return 0, fmt.Errorf("work file %s is damaged behind byte %d: %w; delete it to begin anew", path, whole, err)
			}
			w.keep(l)
		}
		whole += int64(len(text))
	}
}

func (w *WorkFile) keep(l Line) {
	if w.lines[l.Row] == nil {
		w.lines[l.Row] = map[int]Line{}
	}
	w.lines[l.Row][l.First] = l
}

// Append keeps a finished block.
func (w *WorkFile) Append(l Line) error {
	w.keep(l)
	if w.file == nil {
		return nil
	}
	return w.write(l)
}

func (w *WorkFile) write(v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		_, err = w.file.Write(append(b, '\n'))
	}
	return err
}

// Close closes the file.
func (w *WorkFile) Close() error {
	if w.file == nil {
		return nil
	}
	return w.file.Close()
}

// has reports whether the block of n runs from first on is there.
func (w *WorkFile) has(row string, first, n int) bool {
	for _, outcomes := range w.lines[row][first].Outcomes {
		return len(outcomes) >= n
	}
	return false
}

// of returns the outcomes of a row by judge, in the order of the runs.
func (w *WorkFile) of(row Row, runs int) map[string][]outcome {
	out := map[string][]outcome{}
	for first := 0; first < runs; first += blockSize {
		for judge, pairs := range w.lines[row.ID()][first].Outcomes {
			for i, p := range pairs {
				if first+i < row.runs(runs) {
					out[judge] = append(out[judge], outcome{p[0], p[1]})
				}
			}
		}
	}
	return out
}
