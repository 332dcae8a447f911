package gather

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/release-assay/assay/analysis"
)

func armRow(arm analysis.Arm, pod string, bad, exposure float64) analysis.ArmRow {
	r := analysis.ArmRow{Arm: arm, Pod: pod, Bad: bad, Exposure: exposure}
	if exposure == 0 { // of events: as many lines
		r.Received = int(bad)
	} else {
		r.Fresh = true
	}
	return r
}

// wrote is a wanted row of a pod that wrote lines.
func wrote(lines int, r analysis.ArmRow) analysis.ArmRow {
	r.Received = lines
	return r
}

func TestJoinRows(t *testing.T) {
	b, c := analysis.Baseline, analysis.Canary
	errorsOf, appear := &analysis.LogSignal{Severity: analysis.SeverityError}, &analysis.LogSignal{MustAppear: "order stored"}
	for _, test := range []struct {
		name                   string
		logs                   *analysis.LogSignal
		events, requests, want []analysis.ArmRow
	}{
		{
			"pod by pod", errorsOf,
			[]analysis.ArmRow{armRow(b, "b1", 2, 0), armRow(c, "c1", 3, 0)},
			[]analysis.ArmRow{armRow(b, "b1", 7, 90), armRow(b, "b2", 0, 80), armRow(c, "c1", 1, 10)},
			[]analysis.ArmRow{wrote(2, armRow(b, "b1", 2, 90)), armRow(b, "b2", 0, 80), wrote(3, armRow(c, "c1", 3, 10))},
		},
		{
			"sources that call pods differently", errorsOf,
			[]analysis.ArmRow{armRow(b, "logs-b", 5, 0), armRow(c, "logs-c", 12, 0)},
			[]analysis.ArmRow{armRow(b, "b1", 0, 90), armRow(c, "c1", 0, 10), armRow(c, "c2", 0, 10)},
			[]analysis.ArmRow{wrote(5, armRow(b, "b1", 5, 90)), wrote(6, armRow(c, "c1", 10, 10)), wrote(6, armRow(c, "c2", 2, 10))},
		},
		{
			"no more bad requests than requests", errorsOf,
			[]analysis.ArmRow{armRow(c, "c1", 30, 0)},
			[]analysis.ArmRow{armRow(c, "c1", 0, 10), armRow(c, "c2", 0, 5)},
			[]analysis.ArmRow{wrote(30, armRow(c, "c1", 10, 10)), armRow(c, "c2", 5, 5)},
		},
		{
			"what must appear is good", appear,
			[]analysis.ArmRow{armRow(b, "b1", 90, 0), armRow(c, "c1", 4, 0)},
			[]analysis.ArmRow{armRow(b, "b1", 0, 90), armRow(c, "c1", 0, 10)},
			[]analysis.ArmRow{wrote(90, armRow(b, "b1", 0, 90)), wrote(4, armRow(c, "c1", 6, 10))},
		},
		{"events without requests are no evidence", errorsOf, []analysis.ArmRow{armRow(c, "c1", 3, 0)}, nil, nil},
	} {
		if got := joinRows(test.logs, test.events, test.requests); len(got)+len(test.want) > 0 && !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s\n got %v\nwant %v", test.name, got, test.want)
		}
	}
}

// Whatever pods are called, an arm has as many bad requests as events, up to its
// requests, and no pod more than it served.
func TestLawJoinKeepsCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(what string) (rows []analysis.ArmRow) {
			for i := range rapid.IntRange(0, 6).Draw(t, what) {
				n := float64(rapid.IntRange(0, 20).Draw(t, "n"))
				row := armRow(analysis.Arm(rapid.IntRange(1, 3).Draw(t, "arm")), string(rune('a'+i%4)), 0, 0)
				if what == "events" {
					row.Bad = n
				} else {
					row.Exposure = n
				}
				rows = append(rows, row)
			}
			return rows
		}
		events, requests := draw("events"), draw("requests")
		sum := func(rows []analysis.ArmRow, arm analysis.Arm) (bad, exposure float64) {
			for _, r := range rows {
				if r.Arm == arm {
					bad, exposure = bad+r.Bad, exposure+r.Exposure
				}
			}
			return bad, exposure
		}
		got := joinRows(&analysis.LogSignal{Severity: analysis.SeverityError}, events, requests)
		for _, r := range got {
			if r.Bad < 0 || r.Bad > r.Exposure {
				t.Fatalf("impossible row %+v", r)
			}
		}
		for arm := analysis.Baseline; arm <= analysis.Control; arm++ {
			written, _ := sum(events, arm)
			_, served := sum(requests, arm)
			if bad, exposure := sum(got, arm); bad != min(written, served) || exposure != served {
				t.Fatalf("%v: %v bad of %v; %v events of %v requests", arm, bad, exposure, written, served)
			}
		}
	})
}

func TestJoinSums(t *testing.T) {
	minute := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	events := []analysis.MinuteSum{{Minute: minute, Pod: "x", Bad: 2}, {Minute: minute.Add(2 * time.Minute), Pod: "x", Bad: 9}}
	requests := []analysis.MinuteSum{{Minute: minute.Add(-time.Minute), Pod: "a", Exposure: 50}, {Minute: minute, Pod: "a", Exposure: 5, Bad: 1}, {Minute: minute, Pod: "b", Exposure: 5}, {Minute: minute.Add(time.Minute), Pod: "a", Exposure: 7}}
	want := []analysis.MinuteSum{{Minute: minute, Pod: "a", Bad: 2, Exposure: 5}, {Minute: minute, Pod: "b", Exposure: 5}, {Minute: minute.Add(time.Minute), Pod: "a", Exposure: 7}}
	if got := JoinSums(&analysis.LogSignal{Severity: analysis.SeverityError}, events, requests); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}
