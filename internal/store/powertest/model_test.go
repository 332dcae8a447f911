package powertest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestMain(m *testing.M) {
	Serve()
	os.Exit(m.Run())
}

// act does something to a disk; what fails ends the test.
func act(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// seen is how often an image had something in the place of a file.
type seen struct{ absent, whole, empty, torn int }

// look cuts the power of a recording many times after its last deed.
func look(r *Recording, name string, whole []byte) (s seen) {
	r.log = append(r.log, entry{Deed: marked, Data: []byte("end")})
	for seed := range uint64(200) {
		r.atTheEnd(seed, func(i *Image) {
			switch content, there := i.files[name]; {
			case !there:
				s.absent++
			case bytes.Equal(content, whole):
				s.whole++
			case len(bytes.Trim(content, "\x00")) == 0:
				s.empty++
			default:
				s.torn++
			}
		})
	}
	return s
}

// atTheEnd cuts the power once, after all.
func (r *Recording) atTheEnd(seed uint64, each func(*Image)) {
	only := &Recording{log: r.log, Lying: r.Lying}
	only.CutPower(seed, 20, func(i *Image) {
		if i.Moment >= len(r.log)-1 {
			each(i)
		}
	})
}

// TestModel does to a disk what programs do, and looks at what is left of it after its
// last deed.
func TestModel(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 256) // 8 sectors
	for _, c := range []struct {
		name  string
		file  string
		do    func(t *testing.T, dir string)
		holds func(s seen) bool
	}{
		{
			"an fsync keeps the file with its name and folder", "folder/file",
			func(t *testing.T, dir string) {
				act(t, os.Mkdir(filepath.Join(dir, "folder"), 0o755))
				written(t, filepath.Join(dir, "folder/file"), content, true)
			},
			func(s seen) bool { return s.whole > 0 && s.absent+s.empty+s.torn == 0 },
		},
		{
			"without an fsync anything may be there", "file",
			func(t *testing.T, dir string) { written(t, filepath.Join(dir, "file"), content, false) },
			func(s seen) bool { return s.absent > 0 && s.whole > 0 && s.empty > 0 && s.torn > 0 },
		},
		{
			"a rename without an fsync of the folder may be lost", "file",
			func(t *testing.T, dir string) {
				written(t, filepath.Join(dir, "temp"), content, true)
				act(t, os.Rename(filepath.Join(dir, "temp"), filepath.Join(dir, "file")))
			},
			func(s seen) bool { return s.absent > 0 && s.whole > 0 && s.empty+s.torn == 0 },
		},
		{
			"a rename with it is kept", "file",
			func(t *testing.T, dir string) {
				written(t, filepath.Join(dir, "temp"), content, true)
				act(t, os.Rename(filepath.Join(dir, "temp"), filepath.Join(dir, "file")))
				folder, err := os.Open(dir)
				act(t, err)
				act(t, folder.Sync(), folder.Close())
			},
			func(s seen) bool { return s.whole > 0 && s.absent+s.empty+s.torn == 0 },
		},
		{
			"a removal without an fsync of the folder may be lost", "file",
			func(t *testing.T, dir string) {
				written(t, filepath.Join(dir, "file"), content, true)
				act(t, os.Remove(filepath.Join(dir, "file")))
			},
			func(s seen) bool { return s.absent > 0 && s.whole > 0 && s.empty+s.torn == 0 },
		},
		{
			"a truncation without an fsync may be lost", "file",
			func(t *testing.T, dir string) {
				written(t, filepath.Join(dir, "file"), content, true)
				act(t, os.Truncate(filepath.Join(dir, "file"), 0))
			},
			func(s seen) bool { return s.empty > 0 && s.whole > 0 && s.absent+s.torn == 0 },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := Mount(t)
			c.do(t, disk.Dir)
			written(t, filepath.Join(disk.Dir, "other"), content, false) // there is always something else to lose
			if s := look(disk.Recording(), c.file, content); !c.holds(s) {
				t.Errorf("%+v", s)
			}
		})
	}
}

// written writes a file in two writes of whole sectors.
func written(t *testing.T, path string, content []byte, sync bool) {
	t.Helper()
	f, err := os.Create(path)
	act(t, err)
	for _, half := range [][]byte{content[:len(content)/2], content[len(content)/2:]} {
		_, err := f.Write(half)
		act(t, err)
	}
	if sync {
		act(t, f.Sync())
	}
	act(t, f.Close())
}

// TestFsyncKeepsOnlyItsFile: marks come in their order, and only what was synced before
// a mark is promised by it.
func TestFsyncKeepsOnlyItsFile(t *testing.T) {
	disk := Mount(t)
	for _, name := range []string{"a", "b"} {
		written(t, filepath.Join(disk.Dir, name), []byte(name), name == "a")
		disk.Mark(name + " is written")
	}
	r := disk.Recording()
	if marks := r.Marks(); len(marks) != 2 || marks[0] != "a is written" || marks[1] != "b is written" {
		t.Errorf("marks %q", marks)
	}
	lost := false
	r.CutPower(1, 200, func(i *Image) {
		if len(i.Marks) > 0 && string(i.files["a"]) != "a" {
			t.Errorf("after %d deeds a is %q", i.Moment, i.files["a"])
		}
		lost = lost || len(i.Marks) == 2 && string(i.files["b"]) != "b"
	})
	if !lost {
		t.Error("b was never lost")
	}
}
