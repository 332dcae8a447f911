package validation

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/fuzztest"
	"github.com/release-assay/assay/sources/replay"
	"github.com/release-assay/assay/verdicts"
)

// judged runs a bench for some minutes and returns its plan, its spool and a
// checkpoint of it.
func judged(f *testing.F) (plan *analysis.Plan, spool, snapshot []byte) {
	f.Helper()
	source, err := replay.New(healthy())
	if err != nil {
		f.Fatal(err)
	}
	b := &bench{t: f, dir: f.TempDir(), source: source}
	b.open()
	f.Cleanup(b.close)
	b.deploy(deployment(analysis.Live))
	b.live(0, 4*time.Minute)
	v := b.Runner.open[deployment("").Deployment(1).Validation()]
	if spool, err = os.ReadFile(b.spools.path(v.row.ID)); err != nil {
		f.Fatal(err)
	}
	if snapshot, err = v.judge.snapshot(); err != nil {
		f.Fatal(err)
	}
	return v.plan, spool, snapshot
}

// FuzzLook lets a judge take looks that are anything: it refuses a look whole, or goes
// on to a verdict that can be written. It never panics, and looks that say nothing of
// harm or safety lead to no word to act on.
func FuzzLook(f *testing.F) {
	plan, spool, _ := judged(f)
	lines := strings.SplitAfter(string(spool), "\n")
	f.Add([]byte(lines[0]))
	f.Add([]byte(lines[0] + lines[1]))
	f.Add([]byte(`{"end":{"code":"cancelled","reason":"x"}}`))
	f.Add([]byte(`{"now":"2026-03-02T10:00:00Z","evidence":[{"objective":"errors","fold":{"start":"2026-03-02T10:00:00Z","end":"2026-03-02T10:00:15Z"},"rows":[{"arm":"canary","pod":"a","bad":1e308,"exposure":1e308}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzztest.Within(t, func() {
			judge, err := NewJudge(plan)
			if err != nil {
				t.Fatal(err)
			}
			for n, line := range bytes.Split(data, []byte{'\n'}) {
				if judge.Verdict().Final || n > 20 {
					return
				}
				v, err := judge.safely(line)
				if err != nil {
					if strings.HasPrefix(err.Error(), "panic: ") {
						t.Fatalf("look %d: %v", n, err)
					}
					return
				}
				if _, err := verdictBytes(v); err != nil && v.IssuedAt == nil {
					t.Fatalf("look %d: a verdict that cannot be written: %v", n, err)
				}
				if v.Verdict == verdicts.Promote && v.Checks.Safety.State != analysis.Good {
					t.Fatalf("look %d: promote with safety %v", n, v.Checks.Safety)
				}
			}
		})
	})
}

// FuzzCheckpoint restores a judge from a checkpoint that may be damaged: only what was
// written is accepted.
func FuzzCheckpoint(f *testing.F) {
	plan, _, snapshot := judged(f)
	var r judgeRecord
	if err := json.Unmarshal(snapshot, &r); err != nil {
		f.Fatal(err)
	}
	f.Add(snapshot, 0, byte(0))
	for i := 0; i < len(snapshot); i += len(snapshot) / 8 {
		f.Add(snapshot, i, byte(2))
	}
	f.Add([]byte(`{"Looks":1,"Evidence":"","State":""}`), 0, byte(0))
	f.Fuzz(func(t *testing.T, data []byte, at int, flip byte) {
		damaged := bytes.Clone(data)
		if at >= 0 && at < len(damaged) {
			damaged[at] ^= flip
		}
		fuzztest.Within(t, func() {
			judge, err := restoreJudge(plan, damaged)
			if err != nil {
				return
			}
			var got judgeRecord
			if err := json.Unmarshal(damaged, &got); err != nil {
				t.Fatal(err)
			}
			if judge.looks != got.Looks || bytes.Equal(data, snapshot) && (got.Looks != r.Looks || !bytes.Equal(got.State, r.State) || !bytes.Equal(got.Evidence, r.Evidence)) {
				t.Fatalf("a damaged checkpoint was accepted (byte %d)", at)
			}
		})
	})
}

// FuzzSpool replays a file that may hold anything: every whole line is handed on once
// and in order, a torn last one is cut off, and so is all from the line that is refused
// or holds a zero byte.
func FuzzSpool(f *testing.F) {
	f.Add([]byte("one\ntwo\nthree"), uint8(9))
	f.Add([]byte("\n\n\n"), uint8(1))
	f.Add([]byte(""), uint8(0))
	f.Add([]byte("one\nt\x00o\nthree\n"), uint8(0))
	f.Add(bytes.Repeat([]byte("x"), 100<<10), uint8(0))
	s, err := openSpools(filepath.Join(f.TempDir(), "spool"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, refuse uint8) {
		path := s.path("v")
		fuzztest.Within(t, func() {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			var taken []byte
			n := 0
			length, err := s.replay("v", 0, func(line []byte) error {
				if n++; n == int(refuse) {
					return os.ErrInvalid
				}
				taken = append(append(taken, line...), '\n')
				return nil
			})
			sound, _, _ := bytes.Cut(data, []byte{0})
			whole := data[:bytes.LastIndexByte(sound, '\n')+1]
			if !bytes.HasPrefix(whole, taken) || length != int64(len(taken)) {
				t.Fatalf("took %q of %q, length %d", taken, data, length)
			}
			left, readErr := os.ReadFile(path)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if err == nil && (!bytes.Equal(taken, whole) || !bytes.Equal(left, whole)) {
				t.Fatalf("took %q of %q and left %q", taken, data, left)
			}
			if err := s.append("v", length, []byte("next")); err != nil {
				t.Fatal(err)
			}
			if left, readErr = os.ReadFile(path); readErr != nil || string(left) != string(taken)+"next\n" {
				t.Fatalf("after %q there is %q, %v", taken, left, readErr)
			}
		})
	})
}
