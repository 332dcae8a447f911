package logdiff

import (
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

func TestForgetTexts(t *testing.T) {
	at := time.Unix(1000, 0)
	add := func(tally *Tally, second int, severity analysis.Severity, text string) {
		tally.Add(Record{At: at.Add(time.Duration(second) * time.Second), Severity: severity, Text: []byte(text), Bytes: len(text)})
	}
	tally := NewTally("stored")
	add(tally, 1, analysis.SeverityError, "failed 1")
	add(tally, 2, analysis.SeverityInfo, "stored 2")
	before := tally.TextSize()
	if before == 0 || before >= tally.Size() {
		t.Errorf("texts take %d of %d bytes", before, tally.Size())
	}
	if n := tally.Containing("STORED"); n != 1 {
		t.Errorf("%v events contain the text, want 1", n)
	}
	tally.ForgetTexts()
	add(tally, 3, analysis.SeverityError, "failed 3")
	tally.AddFrame(Record{At: at.Add(4 * time.Second), Severity: analysis.SeverityFatal, Text: []byte("at x.y(Z.java:3)")})
	stored, _ := tally.MustAppear("stored")
	if rows := tally.Rows(nil, nil); len(rows) != 0 || tally.TextSize() != 0 || tally.Events(analysis.SeverityError) != 3 || stored != 1 || tally.NotRead().Dropped != 3 {
		t.Errorf("rows %+v, %v errors, %v stored, %+v: want no rows, three errors, one stored, three dropped", rows, tally.Events(analysis.SeverityError), stored, tally.NotRead())
	}
	whole := NewTally("stored")
	add(whole, 9, analysis.SeverityError, "failed 9")
	whole.Merge(tally)
	if whole.Events(analysis.SeverityError) != 4 || whole.NotRead().Dropped != 4 || len(whole.Rows(nil, nil)) != 0 {
		t.Errorf("merged: %v errors, %+v, %+v", whole.Events(analysis.SeverityError), whole.NotRead(), whole.Rows(nil, nil))
	}
}

func TestIsFrame(t *testing.T) {
	for line, want := range map[string]bool{
		"\tat com.shop.Cart.add(Cart.java:17)": true, "\t... 12 more": true, "    indented words": true,
		"at noon the shop closes": false, "failed": false, "": false, "Caused by: java.io.IOException: no space": false,
		"ERROR   indented after its level": false,
	} {
		var r Reader
		if f := r.Read([]byte(line)); f.IsFrame() != want {
			t.Errorf("%q: got %v", line, f.IsFrame())
		}
	}
}
