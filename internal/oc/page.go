package oc

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// A column is a judge as a table heads it.
type column struct{ judge, head string }

// A table is a part of the page: rows of one world, and who judged them.
type table struct {
	name   string
	title  string
	intro  string
	assay  []column // the finest telemetry first
	others []column
}

// columns are all judges of a table.
func (t table) columns() []column { return slices.Concat(t.assay, t.others) }

// assayColumns are Assay's, one for each cadence.
func assayColumns(cadences ...time.Duration) []column {
	var out []column
	for _, c := range cadences {
		out = append(out, column{assayAt(c), fmt.Sprintf("Assay, %.0f s", c.Seconds())})
	}
	return out
}

// latencyColumns are Assay's, one for each way to report durations.
func latencyColumns() []column {
	var out []column
	for _, l := range latencyTellings {
		out = append(out, column{byAssay + l.name, "Assay, " + l.name})
	}
	return out
}

// tables of the page, in order.
var tables = []table{
	{
		name: errorTable, title: "Settings E: failing requests",
		intro: `200 requests a second with a swing of 30% in half an hour, a canary of 10% on one pod of ten, 0.5% of the requests
fail, 60 minutes, unless the row says otherwise. Argo: more than 1% in a minute, failureLimit 0 (its default). Flagger: more
than 1% in a minute, threshold 5. Kayenta: its judge on error rates a minute, over a growing window from minute 5 on ("once":
a single look at the end). Ratio: more than 1.5 times the baseline over 5 minutes. z: a 1% z-test of the totals each minute.`,
		assay:  assayColumns(cadences...),
		others: []column{kayenta, kayentaOnce, argo, flagger, ratio, zTest},
	},
	{
		name: latencyTable, title: "Settings L: durations of requests",
		intro: `50 requests a second, a canary of 20% on one pod of five, lognormal with a median of 100 ms and a p99 of 404 ms, 60
minutes, warm-up of 3 minutes left out by Assay (its times include it), tolerance 5%, margin 20%, p95 and p99 critical.
Reported as spans (single durations), as exponential histograms (schema 5 and 3) and as classic buckets (the default ones of
Prometheus' clients). Argo and Flagger: p99 above 500 ms in a minute. Kayenta: p95 of each minute.`,
		assay:  latencyColumns(),
		others: []column{kayenta, argo, flagger},
	},
	{
		name: levelTable, title: "Settings G: a gauge",
		intro: `15-s scrapes, a load that all pods share (AR .95, 20%), noise of each pod (AR .9, 8%), one canary pod against seven,
60 minutes, warm-up of 3 minutes left out by Assay (its times include it), tolerance 5%, margin 20%. Argo and Flagger: more
than 1.5 times the usual level in a minute. Kayenta: all scrapes, looked at each minute from minute 5 on. Ratio: more than
1.2 times the baseline over 5 minutes.`,
		assay:  assayColumns(scrape, time.Minute),
		others: []column{kayenta, kayentaOnce, argo, flagger, ratio},
	},
	{
		name: aloneTable, title: "No baseline beside the canary",
		intro: `20 requests a second, all of them served by the new version from the start, 0.5% fail, 20 minutes; Assay compares with
the hour before (it may roll back, never promote), Kayenta with minutes of the hour before. Gauges: one value a minute, noise of
10%, an hour before and 30 minutes after, with beforeAfter.promote. What hits the service from outside looks like the release to
everybody who has nothing else to compare with.`,
		assay:  assayColumns(scrape, time.Minute),
		others: []column{kayenta, argo, flagger},
	},
}

// Page writes docs/operating-characteristics.md from what the work file holds.
func Page(w io.Writer, rows []Row, file *WorkFile, runs int, seed uint64) error {
	p := printer{rows: rows, file: file, runs: runs}
	var b strings.Builder
	fmt.Fprintf(&b, pageHead, runs, seed)
	p.short(&b)
	fmt.Fprintf(&b, pageReading, minutesText(lateness(cadences[0]).Minutes()), minutesText(lateness(cadences[1]).Minutes()), minutesText(lateness(cadences[2]).Minutes()))
	for _, t := range tables {
		p.table(&b, t)
	}
	p.population(&b)
	p.bars(&b)
	b.WriteString(pageFoot)
	_, err := io.WriteString(w, b.String())
	return err
}

type printer struct {
	rows []Row
	file *WorkFile
	runs int
}

func (p printer) of(table string, truth Truth) []Row {
	return slices.DeleteFunc(slices.Clone(p.rows), func(r Row) bool { return r.Table != table || r.Truth != truth })
}

// table prints false rollbacks, promotes and detection of one world.
func (p printer) table(b *strings.Builder, t table) {
	if len(p.of(t.name, Healthy)) == 0 {
		return
	}
	fmt.Fprintf(b, "## %s\n\n%s\n\n", t.title, t.intro)
	fmt.Fprintf(b, "False rollbacks: the share of acceptable canaries that are rolled back by the deadline, looked at all the time and with nothing ended by a promote. Nominal for Assay: .010.\n\n")
	p.rowsOf(b, t.columns(), p.of(t.name, Healthy), "canary", func(r Row, c column, all []outcome) string {
		if strings.HasPrefix(c.judge, byAssay) {
			return alarms(all, 0).withInterval()
		}
		return alarms(all, 0).String()
	})
	fmt.Fprintf(b, "Found: the share of bad canaries that are rolled back, and the median minutes until then.\n\n")
	p.rowsOf(b, t.columns(), p.of(t.name, Bad), "canary", func(r Row, _ column, all []outcome) string { return alarms(all, r.Onset).withMedian() })
	fmt.Fprintf(b, "Promoted by Assay, with the median minutes. On the margin a promote is false; nominal: .050.\n\n")
	promoted := slices.Concat(p.of(t.name, Healthy), p.of(t.name, OnMargin), p.of(t.name, Bad))
	promoted = slices.DeleteFunc(promoted, func(r Row) bool { return r.Onset > 0 })
	p.rowsOf(b, t.assay, promoted, "canary", func(r Row, _ column, all []outcome) string {
		if r.Truth == OnMargin {
			return promotes(all).withInterval()
		}
		return promotes(all).withMedian()
	})
	for _, image := range imagesOf(t.name) {
		fmt.Fprintf(b, "![%s](%s/%s.png)\n\n", image.title, imageFolder, image.file)
	}
}

// rowsOf prints one line a row and one cell a judge.
func (p printer) rowsOf(b *strings.Builder, columns []column, rows []Row, head string, cell func(Row, column, []outcome) string) {
	line := []string{head, "runs"}
	for _, c := range columns {
		line = append(line, c.head)
	}
	tableLine(b, line)
	tableLine(b, slices.Repeat([]string{"---"}, len(line)))
	for _, r := range rows {
		outcomes := p.file.of(r, p.runs)
		line := []string{r.Name, ""}
		for _, c := range columns {
			all := outcomes[c.judge]
			if len(all) > 0 {
				line[1] = fmt.Sprint(len(all))
			}
			line = append(line, cell(r, c, all))
		}
		tableLine(b, line)
	}
	b.WriteString("\n")
}

func tableLine(b *strings.Builder, cells []string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}
