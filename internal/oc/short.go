package oc

import (
	"fmt"
	"strings"
	"time"
)

// A quote is a row of the summary at the top of the page, which the README repeats.
type quote struct {
	says  string
	table string
	row   string
}

var quotes = []quote{
	{"healthy: rolled back within the hour", errorTable, "independent errors"},
	{"healthy, while an incident hits both versions", errorTable, "shared incidents x6"},
	{"healthy, while pods wander slowly", errorTable, "pods wander, .97 a minute"},
	{"+50% errors: found, and after how many minutes", errorTable, "+50%"},
	{"twice the errors", errorTable, "+100%"},
	{"five times the errors", errorTable, "x5"},
	{"a healthy gauge: rolled back within the hour", levelTable, "no change"},
}

const shortHead = `## In short

200 requests a second, a canary of 10%, 0.5% of the requests fail; a gauge with autocorrelated noise. Share rolled back, and of
bad releases the median minutes until the answer, with the wait for late data that Assay allows for (its peers are given their
data at once).

`

// short prints what people ask first.
func (p printer) short(b *strings.Builder) {
	cadences := []time.Duration{scrape, time.Minute}
	var lines [][]string
	for _, q := range quotes {
		for _, r := range p.rows {
			if r.Table != q.table || r.Name != q.row {
				continue
			}
			outcomes := p.file.of(r, p.runs)
			line := []string{q.says}
			for _, c := range cadences {
				line = append(line, answered(r, outcomes[assayAt(c)], lateness(c)))
			}
			for _, c := range []column{kayenta, argo, flagger} {
				line = append(line, answered(r, outcomes[c.judge], 0))
			}
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return
	}
	b.WriteString(shortHead)
	tableLine(b, []string{"release", "Assay, 15-s data", "Assay, 60-s data", "Kayenta", "Argo", "Flagger"})
	tableLine(b, []string{"---", "---", "---", "---", "---", "---"})
	for _, line := range lines {
		tableLine(b, line)
	}
	b.WriteString("\n")
}

// answered is the share rolled back, and of a bad release when that is known.
func answered(r Row, all []outcome, wait time.Duration) string {
	f := alarms(all, r.Onset)
	if r.Truth != Bad || f.hits == 0 {
		return f.String()
	}
	return fmt.Sprintf("%s @%s", f, minutesText(f.median()+wait.Minutes()))
}
