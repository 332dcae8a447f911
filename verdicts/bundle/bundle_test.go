package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

var start = time.Date(2026, 11, 3, 14, 0, 0, 0, time.UTC)

// contents is a small release judged in n looks.
func contents(t testing.TB, n int) Contents {
	t.Helper()
	plan := &analysis.Plan{
		Schema: "assay.dev/plan/v1", Validation: "4dd3a1b8-4f2c-5f0f-9a59-9a3c0a1f3a10",
		Deployment: analysis.Deployment{ID: "d1", Attempt: 1, StartedAt: start, Release: analysis.Release{Environment: "prod", Service: "checkout", Version: "2", PreviousVersion: "1"}},
		Window:     analysis.DefaultWindow(),
	}
	planBytes, err := plan.Encode()
	if err != nil {
		t.Fatal(err)
	}
	planDigest, err := plan.Digest()
	if err != nil {
		t.Fatal(err)
	}
	evidence := NewEvidenceDigest()
	var looks bytes.Buffer
	for i := range n {
		end := start.Add(time.Duration(i+1) * time.Minute)
		line, err := EncodeLook(analysis.Look{Now: end.Add(10 * time.Second), Evidence: []analysis.Evidence{{
			Objective: "errors", Fold: analysis.Fold{Start: end.Add(-time.Minute), End: end}, Source: "otlp",
			Rows: []analysis.ArmRow{{Arm: analysis.Canary, Pod: "c-1", Bad: float64(i % 3), Exposure: 100, Received: 1}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		looks.Write(line)
		evidence.Write(line)
	}
	v := verdicts.New(plan, verdicts.Decide(plan, analysis.Checks{}, nil, start), []analysis.Finding{{Objective: "errors", Role: analysis.Critical, Effect: 1.5}})
	v.PlanDigest, v.EvidenceDigest, v.Bundle = planDigest, evidence.String(), Name(v.ValidationID)
	return Contents{Plan: planBytes, Looks: bytes.NewReader(looks.Bytes()), Verdict: v, Event: []byte(`{"id":"e1"}`), Engine: "test"}
}

func write(t testing.TB, c Contents) []byte {
	t.Helper()
	var b bytes.Buffer
	sum, err := Write(&b, c)
	if err != nil {
		t.Fatal(err)
	}
	if want := sha256.Sum256(b.Bytes()); sum != digest(want[:]) {
		t.Fatalf("digest %s; want that of the bytes", sum)
	}
	return b.Bytes()
}

func read(file []byte) (*Bundle, error) { return Read(bytes.NewReader(file), int64(len(file))) }

func TestWriteThenRead(t *testing.T) {
	for _, n := range []int{0, 1, 3, 500} {
		c := contents(t, n)
		file := write(t, c)
		b, err := read(file)
		if err != nil {
			t.Fatalf("%d looks: %v", n, err)
		}
		if !bytes.Equal(b.PlanBytes(), c.Plan) || !bytes.Equal(b.Event(), c.Event) || b.Manifest.Engine != "test" {
			t.Errorf("%d looks: the bundle holds something else", n)
		}
		if plan, err := b.Plan(); err != nil || plan.Deployment.Release.Service != "checkout" {
			t.Errorf("%d looks: plan %+v, %v", n, plan, err)
		}
		want, _ := json.Marshal(c.Verdict)
		if got, _ := json.Marshal(b.Verdict); !bytes.Equal(got, want) || !bytes.Equal(b.VerdictBytes(), want) {
			t.Errorf("%d looks: verdict %s; want %s", n, got, want)
		}
		var back []byte
		for look, err := range b.Looks() {
			if err != nil {
				t.Fatal(err)
			}
			line, err := EncodeLook(look)
			if err != nil {
				t.Fatal(err)
			}
			back = append(back, line...)
		}
		c.Looks.Seek(0, io.SeekStart)
		if lines, _ := io.ReadAll(c.Looks); !bytes.Equal(back, lines) {
			t.Errorf("%d looks came back as other bytes", n)
		}
		for range b.Looks() {
			break // may be left at any time
		}
	}
}

func TestOptionalParts(t *testing.T) {
	c := contents(t, 0)
	c.Looks, c.Event = nil, nil
	b, err := read(write(t, c))
	if err != nil || b.Event() != nil || len(b.Manifest.Files) != 4 {
		t.Errorf("%+v, %v", b, err)
	}
	c.Event = []byte{}
	if b, err = read(write(t, c)); err != nil || len(b.Manifest.Files) != 5 {
		t.Errorf("an empty event: %+v, %v", b, err)
	}
}

// The same contents give the same bytes, whatever was written before, and any
// tool can open them.
func TestDeterministic(t *testing.T) {
	want := write(t, contents(t, 500))
	write(t, contents(t, 7))
	c := contents(t, 500)
	for range 2 { // the looks are read from their beginning each time
		if !bytes.Equal(write(t, c), want) {
			t.Error("the same contents were written as other bytes")
		}
	}
}

// TestBundleOfVersion1 opens a bundle that was written once and for all, and
// writes its members again: neither layout nor compressor may change unnoticed.
func TestBundleOfVersion1(t *testing.T) {
	golden := filepath.Join("testdata", "version-1.tar.zst")
	if *update {
		if err := os.WriteFile(golden, write(t, contents(t, 3)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	b, err := read(want)
	if err != nil {
		t.Fatal(err)
	}
	var parts []part
	for _, name := range members {
		content := b.content[name]
		if content == nil && optional[name] {
			continue
		}
		if name == looksJSONL {
			for line, err := range b.Lines() {
				if err != nil {
					t.Fatal(err)
				}
				content = append(content, line...)
			}
		}
		parts = append(parts, partOf(name, content))
	}
	var got bytes.Buffer
	if _, err := compress(&got, parts); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(reseal(got.Bytes()), want) {
		t.Errorf("the members of %s are written as other bytes than before", golden)
	}
	if _, err := Verify(golden); err != nil {
		t.Error(err)
	}
}

var update = flag.Bool("update", false, "rewrite testdata/version-1.tar.zst, which breaks the promise to read it")

func TestOtherToolsReadIt(t *testing.T) {
	tarPath, err := exec.LookPath("tar")
	if err != nil {
		t.Skip("no tar here")
	}
	z, err := zstd.NewReader(bytes.NewReader(write(t, contents(t, 3)))) // the seal included
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	cmd := exec.Command(tarPath, "-tvf", "-")
	cmd.Stdin = z
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "-r--r--r--") != 6 {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestEveryFlippedBit of a bundle is found, whichever it is.
func TestEveryFlippedBit(t *testing.T) {
	file := write(t, contents(t, 3))
	damaged := slices.Clone(file)
	for i := range damaged {
		for bit := range 8 {
			damaged[i] ^= 1 << bit
			if _, err := read(damaged); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("bit %d of byte %d of %d: %v", bit, i, len(file), err)
			}
			damaged[i] = file[i]
		}
	}
	t.Logf("%d bytes", len(file))
}

// TestEveryLostOrAddedByte too, and every length that a cut-off file can have.
func TestEveryLostOrAddedByte(t *testing.T) {
	file := write(t, contents(t, 3))
	random := rand.New(rand.NewPCG(1, 2))
	for i := range len(file) {
		extra := byte(random.Uint32())
		for what, damaged := range map[string][]byte{
			"cut off at":         file[:i],
			"without byte":       slices.Delete(slices.Clone(file), i, i+1),
			"with one byte more": slices.Insert(slices.Clone(file), i, extra),
			"with the next byte": slices.Insert(slices.Clone(file), i, file[i]),
			"without a stretch":  slices.Delete(slices.Clone(file), i, min(len(file), i+1+int(random.Uint32N(99)))),
		} {
			if _, err := read(damaged); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%s %d: %v", what, i, err)
			}
		}
	}
	for _, tail := range []string{"\x00", "x", string(file), string(file[len(file)-sealSize:])} {
		if _, err := read(append(slices.Clone(file), tail...)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("with %d bytes behind it: %v", len(tail), err)
		}
	}
}

// reseal puts a right seal on what somebody has changed.
func reseal(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(slices.Clone(body), seal(sum[:])...)
}

// TestResealedDamage: an attacker can seal too. What Read then accepts must hold
// the same members.
func TestResealedDamage(t *testing.T) {
	file := write(t, contents(t, 3))
	want, err := read(file)
	if err != nil {
		t.Fatal(err)
	}
	body := slices.Clone(file[:len(file)-sealSize])
	accepted := 0
	for i := range body {
		for _, flip := range []byte{1, 2, 0x80, 0xff} {
			body[i] ^= flip
			b, err := read(reseal(body))
			switch {
			case err == nil:
				accepted++
				if b.looks != want.looks || !bytes.Equal(b.PlanBytes(), want.PlanBytes()) || !bytes.Equal(b.VerdictBytes(), want.VerdictBytes()) {
					t.Errorf("byte %d: accepted with other contents", i)
				}
			case !errors.Is(err, ErrCorrupt):
				t.Errorf("byte %d: %v", i, err)
			}
			body[i] ^= flip
		}
	}
	t.Logf("%d of %d changes left the contents as they were", accepted, 4*len(body))
}

// forge compresses and seals an archive made by hand.
func forge(t testing.TB, archive ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, encoderOptions()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range archive {
		if _, err := z.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return reseal(b.Bytes())
}

// member is a member as Write would write it.
func member(t testing.TB, name string, content []byte) []byte {
	t.Helper()
	head, err := header(name, int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(head, content, make([]byte, padding(int64(len(content)))))
}

// TestForgeries are files with a right seal that are refused, each with the words
// that say why.
func TestForgeries(t *testing.T) {
	c := contents(t, 3)
	parts, err := c.parts()
	if err != nil {
		t.Fatal(err)
	}
	good := map[string][]byte{}
	var order []string
	for _, p := range parts {
		content, err := io.ReadAll(p.content)
		if err != nil {
			t.Fatal(err)
		}
		good[p.Name] = content
		order = append(order, p.Name)
	}
	end := make([]byte, endSize)
	// file assembles the good members with changes: content by name, nil leaves one out.
	file := func(changes map[string][]byte) []byte {
		var blocks [][]byte
		for _, name := range order {
			content, changed := changes[name]
			if !changed {
				content = good[name]
			}
			if content != nil {
				blocks = append(blocks, member(t, name, content))
			}
		}
		return forge(t, append(blocks, end)...)
	}
	// listed is the same with a manifest that fits.
	listed := func(changes map[string][]byte) []byte {
		var m Manifest
		if err := json.Unmarshal(good[manifestJSON], &m); err != nil {
			t.Fatal(err)
		}
		for i, f := range m.Files {
			if content, ok := changes[f.Name]; ok {
				m.Files[i] = partOf(f.Name, content).File
			}
		}
		changes[manifestJSON] = m.encode()
		return file(changes)
	}
	if _, err := read(file(nil)); err != nil {
		t.Fatalf("the unchanged forgery: %v", err)
	}
	edit := func(name, from, to string) []byte {
		if !bytes.Contains(good[name], []byte(from)) {
			t.Fatalf("no %s in %s", from, name)
		}
		return bytes.Replace(good[name], []byte(from), []byte(to), 1)
	}
	all := func() []byte {
		var b []byte
		for _, name := range order {
			b = append(b, member(t, name, good[name])...)
		}
		return b
	}
	odd := func(change func(head []byte)) []byte { // the first header changed, its checksum right
		archive := all()
		change(archive[:blockSize])
		copy(archive[148:156], "        ")
		sum := 0
		for _, c := range archive[:blockSize] {
			sum += int(c)
		}
		copy(archive[148:156], fmt.Sprintf("%06o\x00 ", sum))
		return forge(t, archive, end)
	}
	padded := all()
	padded[blockSize+len(good[eventJSON])+5] = 'x'

	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"plan swapped":          {listed(map[string][]byte{planJSON: edit(planJSON, "checkout", "Checkout")}), "plan.json is not the verdict's plan"},
		"looks swapped":         {listed(map[string][]byte{looksJSONL: edit(looksJSONL, "c-1", "c-2")}), "looks.jsonl is not the verdict's evidence"},
		"verdict of another":    {listed(map[string][]byte{verdictJSON: edit(verdictJSON, "4dd3a1b8", "5dd3a1b8")}), "is of validation"},
		"findings differ":       {listed(map[string][]byte{findingsJSON: []byte("[]")}), "findings.json differs"},
		"verdict of tomorrow":   {listed(map[string][]byte{verdictJSON: edit(verdictJSON, "verdict/v1", "verdict/v2")}), "verdict.json has schema"},
		"verdict is no JSON":    {listed(map[string][]byte{verdictJSON: []byte("{")}), "verdict.json is no verdict"},
		"bundle name is a path": {listed(map[string][]byte{verdictJSON: bytes.ReplaceAll(good[verdictJSON], []byte("4dd3a1b8"), []byte("../../a"))}), "names no file"},
		"not in the manifest":   {file(map[string][]byte{planJSON: []byte("{}")}), "plan.json has 2 bytes"},
		"manifest of tomorrow":  {file(map[string][]byte{manifestJSON: edit(manifestJSON, "bundle/v1", "bundle/v2")}), "layout"},
		"manifest rewritten":    {file(map[string][]byte{manifestJSON: edit(manifestJSON, "\n", "\n ")}), "manifest.json is not written as"},
		"manifest is no JSON":   {file(map[string][]byte{manifestJSON: []byte("[")}), "manifest.json is no manifest"},
		"event lost":            {file(map[string][]byte{eventJSON: nil}), "does not list findings.json"},
		"findings lost":         {file(map[string][]byte{findingsJSON: nil}), "findings.json is missing"},
		"looks lost":            {file(map[string][]byte{looksJSONL: nil}), "looks.jsonl is missing"},
		"verdict lost":          {file(map[string][]byte{verdictJSON: nil}), "verdict.json is missing"},
		"nothing in it":         {forge(t, end), "findings.json is missing"},
		"only an event":         {forge(t, member(t, eventJSON, good[eventJSON]), end), "findings.json is missing"},
		"no archive":            {forge(t), "cut off"},
		"no end":                {forge(t, all()), "cut off"},
		"half an end":           {forge(t, all(), end[:blockSize]), "cut off"},
		"cut off in a member":   {forge(t, all()[:700]), "cut off"},
		"something behind":      {forge(t, all(), end, end), "something follows"},
		"a member behind":       {forge(t, all(), member(t, verdictJSON, good[verdictJSON]), end), "twice"},
		"hidden in the end":     {forge(t, all(), end[:blockSize], bytes.Repeat([]byte{1}, blockSize)), "something follows"},
		"hidden in the padding": {forge(t, padded, end), "hidden behind event.json"},
		"another member":        {forge(t, member(t, "evil.sh", nil), all(), end), `"evil.sh" does not belong here`},
		"a path":                {forge(t, member(t, "../event.json", nil), all(), end), "does not belong here"},
		"a symbolic link":       {odd(func(h []byte) { h[156] = '2'; copy(h[157:], "/etc/passwd") }), "not as Assay writes it"},
		"executable":            {odd(func(h []byte) { copy(h[100:], "0000777") }), "not as Assay writes it"},
		"another owner":         {odd(func(h []byte) { copy(h[108:], "0000001") }), "not as Assay writes it"},
		"a prefix":              {odd(func(h []byte) { copy(h[345:], "/tmp") }), "not as Assay writes it"},
		"a negative size":       {odd(func(h []byte) { copy(h[124:], "-0000000001") }), "not as Assay writes it"},
		"a size of letters":     {odd(func(h []byte) { copy(h[124:], "ffffffffffff") }), "does not belong here"},
		"no Zstandard":          {reseal(all()), "cannot be decompressed"},
	} {
		_, err := read(c.file)
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: %v; want %q", name, err, c.says)
		}
	}
}

// zeros is a reader of nothing but zero bytes.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestBombs: a small file that would inflate to gigabytes is refused before it does.
func TestBombs(t *testing.T) {
	bomb := func(name string, claimed, size int64) []byte {
		var b bytes.Buffer
		z, err := zstd.NewWriter(&b, encoderOptions()...)
		if err != nil {
			t.Fatal(err)
		}
		if name != findingsJSON {
			z.Write(member(t, findingsJSON, []byte("[]")))
		}
		head, err := header(name, claimed)
		if err != nil {
			t.Fatal(err)
		}
		z.Write(head)
		if _, err := io.CopyN(z, zeros{}, size); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return reseal(b.Bytes())
	}
	const MiB, GiB = 1 << 20, 1 << 30
	for what, file := range map[string][]byte{
		"looks that inflate 10,000 times": bomb(looksJSONL, GiB, GiB),
		"looks that claim more than all":  bomb(looksJSONL, 8*GiB-1, MiB),
		"findings of a gigabyte":          bomb(findingsJSON, GiB, GiB),
		"an archive without end":          bomb(looksJSONL, 0, GiB),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := read(file)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s (%d bytes): %v", what, len(file), err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 64*MiB {
			t.Errorf("%s: refused only after %d MiB were used", what, used/MiB)
		}
	}
	huge := slices.Clone(write(t, contents(t, 1)))
	huge[5] = 0xf8 // window descriptor: 2^41 bytes
	if _, err := read(reseal(huge[:len(huge)-sealSize])); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a window of a terabyte: %v", err)
	}
	if binary.LittleEndian.Uint32(huge) != 0xFD2FB528 {
		t.Error("the file does not begin with a Zstandard frame")
	}
}

// TestTelemetryIsNoBomb: the most regular looks, idle pods for hours, are written
// and read.
func TestTelemetryIsNoBomb(t *testing.T) {
	c := contents(t, 0)
	rows := make([]analysis.ArmRow, 200)
	for i := range rows {
		rows[i] = analysis.ArmRow{Arm: analysis.Baseline, Pod: fmt.Sprintf("checkout-7c9d8-%03d", i), Received: 1, Fresh: true}
	}
	evidence := NewEvidenceDigest()
	var looks bytes.Buffer
	for i := range 1500 {
		end := start.Add(time.Duration(i) * 5 * time.Second)
		line, err := EncodeLook(analysis.Look{Now: end, Evidence: []analysis.Evidence{{Objective: "errors", Fold: analysis.Fold{Start: end, End: end}, Rows: rows, Source: "p"}}})
		if err != nil {
			t.Fatal(err)
		}
		looks.Write(line)
	}
	evidence.Write(looks.Bytes())
	c.Looks, c.Verdict.EvidenceDigest = bytes.NewReader(looks.Bytes()), evidence.String()
	file := write(t, c)
	b, err := read(file)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range b.Lines() {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 1500 {
		t.Errorf("%d lines", n)
	}
	t.Logf("%d bytes of looks in %d", looks.Len(), len(file))
}
