package torture

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An overlay holds the changed files, all changes of one file in one; a text that is
// not there, or twice, is an error that names the bug.
func TestOverlay(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "a.go"), []byte("one two two three"), 0o644); err != nil {
		t.Fatal(err)
	}
	good := Bug{Name: "good", Edits: []Edit{{"a.go", "one", "1"}, {"a.go", "three", "3"}}}
	name, err := good.Overlay(root, dir)
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := os.ReadFile(name)
	if err != nil || !strings.Contains(string(overlay), filepath.Join(root, "a.go")) {
		t.Errorf("%s, %v", overlay, err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "_a.go")); err != nil || string(text) != "1 two two 3" {
		t.Errorf("%s, %v", text, err)
	}
	for _, old := range []string{"two", "four"} {
		bad := Bug{Name: "bad", Edits: []Edit{{"a.go", old, ""}}}
		if _, err := bad.Overlay(root, dir); err == nil || !strings.Contains(err.Error(), `bug "bad" needs updating: a.go`) {
			t.Errorf("%q: %v", old, err)
		}
	}
}

// Every bug says why it is one and by what it is to be caught; names differ.
func TestBugsAreDescribed(t *testing.T) {
	names := map[string]bool{}
	for _, b := range Bugs {
		if b.Name == "" || b.Why == "" || len(b.Edits) == 0 || len(b.Breaks) == 0 || names[b.Name] {
			t.Errorf("%+v", b)
		}
		names[b.Name] = true
	}
}
