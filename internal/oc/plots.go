package oc

import (
	"fmt"
	"image/color"
	"path/filepath"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// imageFolder lies beside the page.
const imageFolder = "operating-characteristics"

// An image shows for some rows and judges the share that was rolled back by each
// minute: of healthy canaries false alarms against the number of looks, of bad ones
// power against time.
type image struct {
	table, file, title string
	row                string
	judges             []column
}

// The peers as tables and plots name them.
var (
	kayenta     = column{byKayenta, "Kayenta"}
	kayentaOnce = column{byKayentaOnce, "Kayenta, once"}
	argo        = column{byArgo, "Argo"}
	flagger     = column{byFlagger, "Flagger"}
	ratio       = column{byRatio, "ratio"}
	zTest       = column{byZTest, "z"}
)

// compared are the judges of a plot: Assay's finest telemetry and the usual one,
// and the three tools.
func compared(assay []column, finest, usual int) []column {
	return []column{assay[finest], assay[usual], kayenta, argo, flagger}
}

var (
	onErrors  = compared(assayColumns(cadences...), 0, 2)
	onLatency = compared(latencyColumns(), 0, 2)
	onLevels  = compared(assayColumns(scrape, time.Minute), 0, 1)
)

var images = []image{
	{errorTable, "errors-independent", "False alarms against looks: independent errors", "independent errors", onErrors},
	{errorTable, "errors-incidents", "False alarms against looks: shared incidents", "shared incidents x6", onErrors},
	{errorTable, "errors-wandering", "False alarms against looks: pods wander", "pods wander, .97 a minute", onErrors},
	{errorTable, "errors-half", "Found by minute: +50% errors", "+50%", onErrors},
	{errorTable, "errors-double", "Found by minute: twice the errors", "+100%", onErrors},
	{errorTable, "errors-fivefold", "Found by minute: five times the errors", "x5", onErrors},
	{latencyTable, "latency-no-change", "False alarms against looks: durations, no change", "no change", onLatency},
	{latencyTable, "latency-shared", "False alarms against looks: both arms slow down", "both arms slow down and recover", onLatency},
	{latencyTable, "latency-quarter", "Found by minute: 25% slower", "+25%", onLatency},
	{levelTable, "level-no-change", "False alarms against looks: a gauge, no change", "no change", onLevels},
	{levelTable, "level-half", "Found by minute: a gauge 50% higher", "+50%", onLevels},
}

func imagesOf(table string) []image {
	var out []image
	for _, i := range images {
		if i.table == table {
			out = append(out, i)
		}
	}
	return out
}

// colours are told apart by people who do not see all of them (Okabe & Ito 2008).
var colours = []color.RGBA{
	{0, 114, 178, 255}, {86, 180, 233, 255}, {213, 94, 0, 255}, {0, 158, 115, 255}, {204, 121, 167, 255}, {90, 90, 90, 255},
}

// Plots draws every image into a folder.
func Plots(folder string, rows []Row, file *WorkFile, runs int) error {
	for _, img := range images {
		for _, r := range rows {
			if r.Table != img.table || r.Name != img.row {
				continue
			}
			if err := img.draw(filepath.Join(folder, img.file+".png"), r, file.of(r, runs)); err != nil {
				return fmt.Errorf("image %s: %w", img.file, err)
			}
		}
	}
	return nil
}

// least is the bottom of the logarithmic axis of false alarms: what is rarer lies on
// it.
const least = .001

func (img image) draw(path string, r Row, outcomes map[string][]outcome) error {
	if len(outcomes) == 0 {
		return fmt.Errorf("row %q was not simulated", r.Name)
	}
	p := plot.New()
	p.Title.Text = img.title
	p.X.Label.Text, p.Y.Label.Text = "minutes: a look each minute, Assay after every fold", "share rolled back"
	last := 60.0
	for _, c := range img.judges {
		for _, o := range outcomes[c.judge] {
			last = max(last, minutesOf(o.alarm))
		}
	}
	p.X.Min, p.X.Max, p.Y.Max = 0, 1.25*last, 1 // the legend has the right to itself
	p.X.Tick.Marker = plot.ConstantTicks(everyTen(last))
	p.Legend.Top = true
	bottom := 0.0
	if r.Truth == Healthy {
		bottom = least
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: 3}
	}
	p.Y.Min = bottom
	p.Legend.XOffs, p.Legend.Padding = -vg.Points(4), vg.Points(1)
	p.Add(plotter.NewGrid())
	for i, c := range img.judges {
		if f := alarms(outcomes[c.judge], 0); f.runs > 0 {
			if err := add(p, c.head, steps(f, last, bottom), i); err != nil {
				return err
			}
		}
	}
	if r.Truth == Healthy {
		nominal := plotter.XYs{{X: 0, Y: nominalRollback}, {X: last, Y: nominalRollback}}
		if err := add(p, "nominal", nominal, len(colours)-1); err != nil {
			return err
		}
	}
	return p.Save(16*vg.Centimeter, 10*vg.Centimeter, path)
}

// everyTen are the marks of the minutes.
func everyTen(last float64) []plot.Tick {
	var out []plot.Tick
	for m := 0.0; m <= last; m += 10 {
		out = append(out, plot.Tick{Value: m, Label: fmt.Sprintf("%.0f", m)})
	}
	return out
}

// steps is the share by each twentieth of a minute, no lower than bottom.
func steps(f figure, last, bottom float64) plotter.XYs {
	var out plotter.XYs
	for step := range 20*int(last) + 1 {
		minute := float64(step) / 20
		out = append(out, plotter.XY{X: minute, Y: max(bottom, f.by(minute))})
	}
	return out
}

// add draws a line: Assay's are whole, the others dashed.
func add(p *plot.Plot, head string, points plotter.XYs, i int) error {
	line, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	line.Color, line.Width = colours[i], vg.Points(1.8)
	if i > 1 {
		line.Dashes = []vg.Length{vg.Points(5), vg.Points(2)}
	}
	p.Add(line)
	p.Legend.Add(head, line)
	return nil
}
