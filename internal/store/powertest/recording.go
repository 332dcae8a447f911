package powertest

import (
	"math/rand/v2"
	"path"
	"slices"
	"strings"
)

// A Recording is all that was done to a disk.
type Recording struct {
	log []entry
	// Lying names the files and folders whose fsyncs do nothing, as if the program had
	// forgotten them. None where it is nil.
	Lying func(name string) bool
	// Careless names the files that nobody means to keep over a loss of power: they are
	// in the images, and what they lost is not counted. None where it is nil.
	Careless func(name string) bool
}

// Marks are all that the program was promised.
func (r *Recording) Marks() (marks []string) {
	for _, e := range r.log {
		if e.Deed == marked {
			marks = append(marks, string(e.Data))
		}
	}
	return marks
}

// still is how many of all losses of power come at exactly the moment that was drawn,
// even if everything is on the disk then; the others wait for something to lose.
const still = 50

// CutPower cuts the power n times, at moments drawn by the seed. The images come in the
// order of their moments.
func (r *Recording) CutPower(seed uint64, n int, each func(*Image)) {
	rng := rand.New(rand.NewPCG(seed, 42))
	moments := make([]int, n)
	for i := range moments {
		moments[i] = 1 + rng.IntN(len(r.log))
	}
	slices.Sort(moments)
	d := &state{files: map[int]*file{}, durable: map[string]int{".": folderNumber}, live: map[string]int{}, Recording: r}
	done := 0
	for i, moment := range moments {
		for ; done < moment; done++ {
			d.take(r.log[done])
		}
		for i%still != 0 && done < len(r.log) && !d.losable() {
			d.take(r.log[done])
			done++
		}
		each(d.image(rng, done))
	}
}

// state is what is on the disk for certain, and what may be.
type state struct {
	*Recording
	files   map[int]*file
	durable map[string]int // files by the names that are there for certain
	pending []entry        // changes of names that may be there
	live    map[string]int // files by the names that the program sees
	marks   []string
}

// folderNumber stands for a folder where a file has its number.
const folderNumber = 0

// file is what is on the disk of a file for certain, and what may be.
type file struct {
	name    string // the newest
	content []byte
	pending []entry
}

func (d *state) take(e entry) {
	switch e.Deed {
	case marked:
		d.marks = append(d.marks, string(e.Data))
	case created, madeDir:
		if e.Deed == created {
			d.files[e.File] = &file{name: e.Name}
			d.live[e.Name] = e.File
		}
		d.pending = append(d.pending, e)
	case renamed:
		e.File = d.live[e.Name]
		delete(d.live, e.Name)
		d.live[e.To] = e.File
		d.files[e.File].name = e.To
		d.pending = append(d.pending, e)
	case removed:
		delete(d.live, e.Name)
		d.pending = append(d.pending, e)
	case wrote, resized:
		f := d.files[e.File]
		f.pending = append(f.pending, e)
	case synced:
		if f := d.files[e.File]; d.Lying == nil || !d.Lying(f.name) {
			d.sync(e.File, f)
		}
	case syncedDir:
		if d.Lying == nil || !d.Lying(e.Name) {
			d.settle(func(c entry) bool { return path.Dir(c.Name) == e.Name })
		}
	}
}

// sync makes the content of a file durable, and that it was created.
func (d *state) sync(number int, f *file) {
	for _, e := range f.pending {
		f.content = e.applied(f.content)
	}
	f.pending = nil
	name := ""
	for _, c := range d.pending {
		if c.Deed == created && c.File == number {
			name = c.Name
		}
	}
	if name == "" {
		return
	}
	d.settle(func(c entry) bool {
		return c.Deed == madeDir && strings.HasPrefix(name, c.Name+"/") || c.Name == name && (c.Deed == created && c.File == number || c.Deed == removed && d.live[name] == number)
	})
}

// settle makes some of the pending changes of names durable.
func (d *state) settle(which func(entry) bool) {
	d.pending = slices.DeleteFunc(d.pending, func(c entry) bool {
		if which(c) {
			c.named(d.durable)
			return true
		}
		return false
	})
}

// losable reports whether there is anything to lose that counts.
func (d *state) losable() bool {
	for _, c := range d.pending {
		if d.counts(c.Name) {
			return true
		}
	}
	for _, f := range d.files {
		if len(f.pending) > 0 && d.counts(f.name) {
			return true
		}
	}
	return false
}

func (d *state) counts(name string) bool { return d.Careless == nil || !d.Careless(name) }

// applied returns the content after a write or a truncation.
func (e entry) applied(content []byte) []byte {
	if e.Deed == resized {
		return sized(content, e.Offset)
	}
	content = sized(content, max(int64(len(content)), e.Offset+int64(len(e.Data))))
	copy(content[e.Offset:], e.Data)
	return content
}

// sized cuts the content or fills it up with zeros.
func sized(content []byte, size int64) []byte {
	if size <= int64(len(content)) {
		return content[:size]
	}
	return append(content, make([]byte, size-int64(len(content)))...)
}

// named does a change of names. What it needs may not have come.
func (e entry) named(names map[string]int) {
	switch e.Deed {
	case created, madeDir:
		names[e.Name] = e.File
	case removed:
		delete(names, e.Name)
	case renamed:
		delete(names, e.Name)
		names[e.To] = e.File
	}
}
