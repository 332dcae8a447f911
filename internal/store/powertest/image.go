package powertest

import (
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
)

const sector = 512

// An Image is what a disk holds after a loss of power.
type Image struct {
	Moment  int      // how many entries of the log there were
	Marks   []string // what had been promised
	Dropped int      // changes of names and of files that are not there at all
	Torn    int      // writes that are there in part
	files   map[string][]byte
	folders []string
}

// Lossy reports whether anything that counts was lost.
func (i *Image) Lossy() bool { return i.Dropped+i.Torn > 0 }

// Write writes the image into a folder, which it makes.
func (i *Image) Write(dir string) error {
	for _, name := range i.folders {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o750); err != nil {
			return err
		}
	}
	for name, content := range i.files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// image draws what is left. What is there to be lost is lost in part at least.
func (d *state) image(rng *rand.Rand, moment int) *Image {
	chance := []float64{0.1, 0.5, 0.9, 1}[rng.IntN(4)]
	for {
		i := d.draw(&loss{Rand: rng, chance: chance, sectors: rng.IntN(3) > 0}, moment)
		if i.Lossy() || !d.losable() {
			return i
		}
		chance = 1
	}
}

// loss decides what is lost.
type loss struct {
	*rand.Rand
	chance  float64 // of each change
	sectors bool    // writes are lost sector by sector, not as a whole
}

func (l *loss) hit() bool { return l.Float64() < l.chance }

func (d *state) draw(l *loss, moment int) *Image {
	i := &Image{Moment: moment, Marks: d.marks[:len(d.marks):len(d.marks)], files: map[string][]byte{}}
	names := maps.Clone(d.durable)
	for _, c := range d.pending {
		if l.hit() {
			i.lost(d.counts(c.Name), 1, 0)
			continue
		}
		c.named(names)
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		number := names[name]
		if parent := path.Dir(name); name != "." && !slices.Contains(i.folders, parent) {
			continue // it went with its folder
		}
		if number == folderNumber {
			i.folders = append(i.folders, name)
			continue
		}
		f := d.files[number]
		content, dropped, torn := f.draw(l)
		i.lost(d.counts(f.name), dropped, torn)
		i.files[name] = content
	}
	return i
}

func (i *Image) lost(counts bool, dropped, torn int) {
	if counts {
		i.Dropped += dropped
		i.Torn += torn
	}
}

// draw is what may be left of a file.
func (f *file) draw(l *loss) (content []byte, dropped, torn int) {
	content = slices.Clone(f.content)
	length := int64(len(content))
	for _, e := range f.pending {
		pieces := e.pieces(l.sectors)
		if length = max(length, e.Offset+int64(len(e.Data))); e.Deed == resized {
			length = e.Offset
		}
		hits := 0
		for _, p := range pieces {
			if l.hit() {
				hits++
				continue
			}
			content = p.applied(content)
		}
		switch {
		case hits == len(pieces):
			dropped++
		case hits > 0:
			torn++
		}
	}
	if l.IntN(3) == 0 { // the length came without the data
		content = sized(content, max(length, int64(len(content))))
	}
	return content, dropped, torn
}

// pieces cuts a write at the ends of sectors.
func (e entry) pieces(sectors bool) (pieces []entry) {
	if e.Deed != wrote || !sectors {
		return []entry{e}
	}
	for at, data := e.Offset, e.Data; len(data) > 0; {
		n := min(int64(len(data)), sector-at%sector)
		pieces = append(pieces, entry{Deed: wrote, Offset: at, Data: data[:n]})
		at, data = at+n, data[n:]
	}
	return pieces
}
