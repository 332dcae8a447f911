package torture

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A Bug is a fault that Assay does not have: a change of its source that the harness
// must notice. Where the window between two instructions would be microseconds, the
// change holds it open for a moment, so that tens of kills find what would otherwise
// take thousands.
type Bug struct {
	Name  string
	Why   string // it would do harm, and how it comes about
	Edits []Edit
	Step  string // at which its lives end more often; empty: as they come
	Quick bool   // one of those that every run of the tests tries
	// Breaks are the invariants by which it may be caught; what else it breaks does
	// not count.
	Breaks []Invariant
}

// An Edit replaces a text that stands in a file exactly once.
type Edit struct {
	File     string // from the root of the repository
	Old, New string
}

// Overlay writes the changed files of a bug into dir, and the file that tells
// `go build -overlay` of them, whose name it returns. An Old that is not in its file
// exactly once is an error: the code has moved on, and the bug must follow.
func (b Bug) Overlay(root, dir string) (string, error) {
	replaced := struct{ Replace map[string]string }{map[string]string{}}
	texts := map[string]string{}
	var errs []error
	for _, e := range b.Edits {
		path := filepath.Join(root, filepath.FromSlash(e.File))
		text, known := texts[path]
		if !known {
			read, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			text = string(read)
		}
		if n := strings.Count(text, e.Old); n != 1 {
			errs = append(errs, fmt.Errorf("bug %q needs updating: %s holds this %d times, not once:\n%s", b.Name, e.File, n, e.Old))
			continue
		}
		texts[path] = strings.Replace(text, e.Old, e.New, 1)
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	for path, text := range texts {
		file := filepath.Join(dir, strings.ReplaceAll(strings.TrimPrefix(path, root), string(filepath.Separator), "_"))
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return "", err
		}
		replaced.Replace[path] = file
	}
	overlay, err := json.Marshal(replaced)
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "overlay.json")
	return name, os.WriteFile(name, overlay, 0o644)
}
