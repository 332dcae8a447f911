package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/release-assay/assay/internal/lab"
)

var seeds = flag.Int("seeds", 2, "how many seeds TestSeeds plays")

// play plays the scenarios that metrics tell of in process, without sockets.
func play(t *testing.T, seed uint64) []demoResult {
	t.Helper()
	results, _ := playAll(t, seed, lab.Scenarios())
	return results
}

func playAll(t *testing.T, seed uint64, scenarios []lab.Scenario) ([]demoResult, *demo) {
	t.Helper()
	d := &demo{dir: t.TempDir(), seed: seed, progress: &progress{out: new(bytes.Buffer)}}
	results, err := d.play(t.Context(), scenarios)
	if err != nil {
		t.Fatal(err)
	}
	return results, d
}

// What only logs, traces or a neighbour show is rolled back and named, with an example;
// a reworded line is listed, and never a reason to roll back.
func TestStreamsAreNamed(t *testing.T) {
	for _, r := range []struct {
		scenario lab.Scenario
		says     []string
	}{
		{lab.Streams()[0], []string{"ROLLBACK", "logs_severity", "FINDING, new with the canary", "ledger out of sync for order <*>", "example", "ERROR ledger out of sync", "checkout-1.5.0-0"}},
		{lab.Streams()[1], []string{"ROLLBACK", "traces_errors_per_call", "cart", "GET /cart/{user}"}},
		{lab.Streams()[2], []string{"ROLLBACK", "traces_errors_per_call", "payment", "POST /charge"}},
		{lab.Streams()[3], []string{"PROMOTE", "has been persisted"}},
		{lab.Streams()[4], []string{"could not store order <*>"}},
	} {
		results, d := playAll(t, 4, []lab.Scenario{r.scenario})
		var page bytes.Buffer
		if err := explain(&page, d.explanations[r.scenario.Name]); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(r.scenario.Expected, results[0].Verdict) {
			t.Errorf("%s ended in %s", r.scenario.Name, results[0].Verdict)
		}
		for _, want := range r.says {
			if !strings.Contains(strings.Join(strings.Fields(page.String()), " "), want) {
				t.Errorf("%s does not say %q:\n%s", r.scenario.Name, want, page.String())
			}
		}
	}
}

// The scenarios come out as expected for nearly all seeds. Promoting a regression
// or through an outage, or rolling back a healthy release, is never accepted; a
// verdict of hold instead of a word to act on is, rarely.
func TestSeeds(t *testing.T) {
	scenarios, missed := 0, 0
	words := map[string]map[string]int{}
	for seed := range *seeds {
		results, _ := playAll(t, uint64(seed)+1, append(lab.Scenarios(), lab.Streams()...))
		for _, r := range results {
			scenarios++
			if words[r.Name] == nil {
				words[r.Name] = map[string]int{}
			}
			words[r.Name][r.Verdict]++
			if slices.Contains(r.Expected, r.Verdict) {
				continue
			}
			missed++
			t.Logf("seed %d: %s ended in %s (%s): %s", seed+1, r.Name, r.Verdict, r.ReasonCode, r.Reason)
			if r.Verdict != "hold" {
				t.Errorf("seed %d: %s must never end in %s", seed+1, r.Name, r.Verdict)
			}
		}
	}
	t.Logf("%d of %d scenarios over %d seeds ended as expected: %v", scenarios-missed, scenarios, *seeds, words)
	if 50*missed > scenarios {
		t.Errorf("%d of %d scenarios did not end as expected, at most 2%% may", missed, scenarios)
	}
}

// The whole demo, as a newcomer runs it: over the wire, twice, with the same
// output; its bundles verify and rejudge.
func TestDemoCommand(t *testing.T) {
	dir := t.TempDir()
	var outputs [2]string
	for i := range outputs {
		var out, progress bytes.Buffer
		code := run(t.Context(), []string{"demo", "--json", "--seed", "3", "--dir", dir}, streams{strings.NewReader(""), &out, &progress})
		if code != exitOK {
			t.Fatalf("exit code %d\n%s\n%s", code, out.String(), progress.String())
		}
		if !strings.Contains(progress.String(), "9 of 9 judged") {
			t.Errorf("no progress was told: %q", progress.String())
		}
		outputs[i] = out.String()
	}
	if outputs[0] != outputs[1] {
		t.Errorf("the same seed gave\n%s\nand then\n%s", outputs[0], outputs[1])
	}
	var result struct {
		Scenarios []struct {
			Name, Verdict, ReasonCode, Reason, Bundle string
			Expected                                  []string
			Seconds                                   float64
		}
	}
	decoder := json.NewDecoder(strings.NewReader(outputs[0]))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&result); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range result.Scenarios {
		names = append(names, s.Name)
		if !slices.Contains(s.Expected, s.Verdict) || s.ReasonCode == "" || s.Reason == "" || s.Seconds <= 0 {
			t.Errorf("%+v", s)
		}
		for _, args := range [][]string{{"bundle", "verify", s.Bundle}, {"rejudge", s.Bundle}} {
			var out, failed bytes.Buffer
			if code := run(t.Context(), args, streams{nil, &out, &failed}); code != exitOK {
				t.Errorf("assay %s: exit code %d: %s", strings.Join(args, " "), code, failed.String())
			}
		}
	}
	if all := lab.Names(); !slices.Equal(names, all[:len(all)-1]) { // all but the slow one
		t.Errorf("scenarios %v", names)
	}
}

func TestDemoTableAndMistakes(t *testing.T) {
	var out, failed bytes.Buffer
	if code := run(t.Context(), []string{"demo", "--scenario", "error-regression", "--dir", t.TempDir(), "-q"}, streams{nil, &out, &failed}); code != exitOK {
		t.Fatalf("exit code %d: %s", code, failed.String())
	}
	for _, want := range []string{"ROLLBACK", "harm_shown", "OBJECTIVES", "assay rejudge"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, out.String())
		}
	}
	if failed.Len() > 0 {
		t.Errorf("-q, and still: %s", failed.String())
	}
	failed.Reset()
	if code := run(t.Context(), []string{"demo", "--scenario", "disaster"}, streams{nil, &out, &failed}); code != exitUsage || !strings.Contains(failed.String(), "legal: healthy") {
		t.Errorf("exit code %d: %s", code, failed.String())
	}
}

// A damaged bundle is refused with code 1, which no pipeline takes for a verdict.
func TestDamagedBundle(t *testing.T) {
	results := play(t, 2)
	name := results[0].Bundle
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	damaged := filepath.Join(t.TempDir(), "damaged.tar.zst")
	if err := os.WriteFile(damaged, data, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"bundle", "verify", damaged}, {"rejudge", damaged}} {
		var out, failed bytes.Buffer
		if code := run(t.Context(), args, streams{nil, &out, &failed}); code != exitInternal || !strings.Contains(failed.String(), "damaged") {
			t.Errorf("assay %v: exit code %d: %s", args, code, failed.String())
		}
	}
}
