package logdiff

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/release-assay/assay/analysis"
)

// messages draws messages of few words, so that templates have something in common.
func messages() *rapid.Generator[string] {
	word := rapid.SampledFrom([]string{"order", "user", "stored", "loaded", "refused", "a1", "7", "alice", "bob", "carol", "timeout", "cache", "of", "bob@mail.example"})
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(word, 1, 5).Draw(t, "words"), " ")
	})
}

func records() *rapid.Generator[Record] {
	return rapid.Custom(func(t *rapid.T) Record {
		r := Record{
			At: time.Unix(int64(rapid.IntRange(0, 29).Draw(t, "second")), 0).UTC(), Severity: analysis.Severity(rapid.IntRange(0, 6).Draw(t, "severity")),
			Text: []byte(messages().Draw(t, "text")), Bytes: rapid.IntRange(1, 99).Draw(t, "bytes"), Cut: rapid.Bool().Draw(t, "cut"),
		}
		r.TraceID[3] = byte(rapid.IntRange(0, 5).Draw(t, "trace"))
		return r
	})
}

// small is a tally whose bounds bite.
func small() *Tally {
	t := NewTally("Order", "stored")
	for _, table := range []*texts{t.loud, t.quiet} {
		table.limits = limits{texts: 5, bytes: 60, events: 3}
	}
	for i := range t.severities {
		t.severities[i].events.keep = 4
	}
	return t
}

// told is all that a tally answers.
func told(t *Tally, tree *Tree) string {
	out := fmt.Sprintf("%+v %v", t.NotRead(), t.NoTraces())
	for s := analysis.SeverityUnknown; s <= analysis.SeverityFatal; s++ {
		out += fmt.Sprint(" ", t.Events(s), t.Lines(s), t.Bytes(s))
	}
	for _, text := range []string{"Order", "stored", "no"} {
		n, ok := t.MustAppear(text)
		out += fmt.Sprint(" ", n, ok)
	}
	for _, r := range t.Rows(tree, strings.ToLower) {
		example := *r.Example
		r.Example = nil
		out += fmt.Sprintf("\n%+v %+v", r, example)
	}
	return out
}

// Neither the order of arrival nor how lines are dealt out to tallies changes a tally.
func TestTallyKnowsNoOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(records(), 0, 60).Draw(t, "records")
		var history []analysis.Line
		for _, text := range rapid.SliceOfN(messages(), 0, 9).Draw(t, "history") {
			history = append(history, analysis.Line{Text: text})
		}
		set, err := Learn(history, nil)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := Compile(set)
		if err != nil {
			t.Fatal(err)
		}
		whole := small()
		for _, r := range all {
			whole.Add(r)
		}
		want := told(whole, tree)
		shuffled := rapid.Permutation(all).Draw(t, "order")
		parts := []*Tally{small(), small(), small()}
		for _, r := range shuffled {
			parts[rapid.IntRange(0, 2).Draw(t, "part")].Add(r)
		}
		sum := small()
		for _, p := range parts {
			before := told(p, tree)
			sum.Merge(p)
			if after := told(p, tree); after != before {
				t.Fatalf("merging changed a part:\n%s\n%s", before, after)
			}
		}
		if got := told(sum, tree); got != want {
			t.Fatalf("in parts:\n%s\nin one:\n%s", got, want)
		}
		lines := whole.NotRead().Dropped
		for _, r := range whole.Rows(tree, nil) {
			lines += r.Lines
		}
		if int(lines) != len(all) {
			t.Fatalf("%v lines are counted or dropped of %d", lines, len(all))
		}
	})
}

// The same history in any order gives the same templates, and each line has one.
func TestLearnKnowsNoOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var history []analysis.Line
		for _, text := range rapid.SliceOfN(messages(), 0, 60).Draw(t, "history") {
			history = append(history, analysis.Line{Text: text, Severity: analysis.Severity(rapid.IntRange(0, 6).Draw(t, "severity"))})
		}
		masks := []string{"al+ice"}
		want, err := Learn(history, masks)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Learn(rapid.Permutation(history).Draw(t, "order"), masks)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v\n%+v\n%+v", err, got, want)
		}
		if !slices.IsSortedFunc(want.Templates, func(a, b analysis.Template) int { return cmp.Compare(a.ID, b.ID) }) {
			t.Fatal("not sorted")
		}
		tree, err := Compile(want)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, s := range want.Templates {
			sum += s.Lines
			if s.ID != idOf(s.Text) {
				t.Fatalf("%+v is not named by its text", s)
			}
		}
		if int(sum) != len(history) {
			t.Fatalf("templates of %v lines, history has %d", sum, len(history))
		}
		for _, l := range history {
			if _, ok := tree.Match(l.Text); !ok {
				t.Fatalf("%q has no template of %+v", l.Text, want.Templates)
			}
		}
	})
}

// rowsOf draws rows of one fold, with texts as Tally.Rows makes them.
func rowsOf(t *rapid.T, second int) []analysis.LineRow {
	var out []analysis.LineRow
	for i, text := range rapid.SliceOfN(messages(), 0, 12).Draw(t, "texts") {
		at := time.Unix(int64(second+rapid.IntRange(0, 14).Draw(t, "second")), 0).UTC()
		out = append(out, analysis.LineRow{Pod: fmt.Sprint("p", i%3), Text: masked(text), Lines: 1, Severity: analysis.SeverityError, Example: &analysis.Line{Time: at, Text: text}})
	}
	return out
}

// Mining gives the same templates in whatever order the rows of a fold come, whether they
// come fold by fold or at once, and with restarts in between.
func TestMineKnowsNoOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var folds [][]analysis.LineRow
		var all []analysis.LineRow
		for i := range 4 {
			folds = append(folds, rowsOf(t, 15*i))
			all = append(all, folds[i]...)
		}
		mined, want := new(Tree).Mine(all)
		ids := map[string]string{}
		for i, r := range mined {
			if r.Template == "" || r.Text != all[i].Text || all[i].Template != "" {
				t.Fatalf("row %d: %+v of %+v", i, r, all[i])
			}
			if ids[r.Text] == "" {
				ids[r.Text] = r.Template
			}
		}
		tree := &Tree{}
		var got []analysis.Template
		for i, f := range folds {
			rows, found := tree.Mine(rapid.Permutation(f).Draw(t, "order"))
			got = append(got, found...)
			if rapid.Bool().Draw(t, fmt.Sprint("restart", i)) {
				tree = &Tree{}
				for _, s := range got {
					tree.Add(s)
				}
			}
			again, none := tree.Mine(f)
			if len(none) > 0 {
				t.Fatalf("a replay finds %+v", none)
			}
			for _, r := range again {
				if !slices.ContainsFunc(got, func(s analysis.Template) bool { return s.ID == r.Template }) {
					t.Fatalf("%+v is of no template", r)
				}
			}
			_ = rows
		}
		if !slices.Equal(got, want) {
			t.Fatalf("fold by fold\n%+v\nat once\n%+v", got, want)
		}
	})
}

// A template that is frozen keeps its lines, whatever is added later, as long as the newer
// one does not fit better.
func TestTemplatesDoNotMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := &Tree{}
		texts := map[string]string{}
		for _, text := range rapid.SliceOfN(messages(), 0, 40).Draw(t, "texts") {
			rows, found := tree.Mine([]analysis.LineRow{{Text: masked(text), Severity: analysis.SeverityError}})
			for _, s := range found {
				if texts[s.ID] != "" || s.ID != rows[0].Template {
					t.Fatalf("%+v twice", s)
				}
				texts[s.ID] = s.Text
			}
		}
		for id, text := range texts {
			if got, ok := tree.Match(text); !ok || got != id {
				t.Fatalf("%q is of %q (%q), was %q; all: %v", text, got, texts[got], id, slices.Sorted(maps.Values(texts)))
			}
		}
	})
}

// Lines below ERROR do not use up the room of the others.
func TestMineIsBounded(t *testing.T) {
	tree := &Tree{}
	var rows []analysis.LineRow
	for i := range 3000 {
		severity := analysis.SeverityInfo
		if i >= 2000 {
			severity = analysis.SeverityError
		}
		rows = append(rows, analysis.LineRow{Pod: fmt.Sprintf("%05d", i), Severity: severity, Text: words(i, 3)})
	}
	rows, found := tree.Mine(rows)
	others := 0
	for _, r := range rows {
		if r.Template == Other {
			others++
		}
	}
	if len(found) != maxMined || others != len(rows)-maxMined || found[maxMinedQuiet-1].Severity != analysis.SeverityInfo || found[maxMinedQuiet].Severity != analysis.SeverityError {
		t.Errorf("%d found, %d others", len(found), others)
	}
}

// words are n words of letters that spell i, each another one.
func words(i, n int) string {
	var b strings.Builder
	for w := range n {
		if w > 0 {
			b.WriteByte(' ')
		}
		for x := uint64(i*1009 + w + 1); x > 0; x /= 16 {
			b.WriteByte("ghijklmnopqrstuv"[x%16])
		}
	}
	return b.String()
}

// A million different templates of 200 words stay within 64 MiB on their whole way.
func TestMemoryIsBounded(t *testing.T) {
	const n, folds = 1_000_000, 4
	base := heap()
	most := uint64(0)
	tree := &Tree{}
	var history []analysis.Line
	for i := range 5000 {
		history = append(history, analysis.Line{Text: words(i, 200)})
	}
	set, err := Learn(history, nil)
	if err != nil {
		t.Fatal(err)
	}
	if tree, err = Compile(set); err != nil {
		t.Fatal(err)
	}
	history = nil
	found := 0
	line := make([]byte, 0, 4096)
	var scratch [200][8]byte
	random := rand.New(rand.NewPCG(1, 2))
	for f := range folds {
		tally := NewTally()
		for i := 0; i < n/folds; i++ {
			line = line[:0]
			for w := range scratch {
				x := random.Uint64()
				for c := range scratch[w] {
					scratch[w][c] = "ghijklmnopqrstuv"[x>>(4*c)&15]
				}
				line = append(append(line, scratch[w][:5+w%3]...), ' ')
			}
			tally.Add(Record{At: time.Unix(int64(15*f+i%15), 0), Text: line, Bytes: len(line)})
		}
		rows, mined := tree.Mine(tally.Rows(tree, nil))
		found += len(mined)
		most = max(most, heap()-base)
		runtime.KeepAlive(tally)
		runtime.KeepAlive(rows)
	}
	if most > 64<<20 || found != maxMinedQuiet {
		t.Errorf("%d MiB, %d templates found", most>>20, found)
	}
	t.Logf("%d MiB at most", most>>20)
	runtime.KeepAlive(tree)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
