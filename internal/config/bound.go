package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/release-assay/assay/analysis"
)

// A bound is a tolerance or a margin as it is written:
//
//	auto                          the default of statistics.md
//	5%                            5 % above the baseline: ratio 1.05 (only without an SLO)
//	{budget: 25%}                 a quarter of the error budget above the baseline
//	{ratio: 1.05}                 5 % above the baseline
//	{ratio: 1.05, budget: 25%}    both added
//
// A bare percent is refused beside an SLO, where it would have two readings.
type bound struct {
	set     bool // false: absent or auto
	percent bool // written as a bare percent
	analysis.Bound
}

// boundBlock is the long form.
type boundBlock struct {
	Ratio  *float64 `yaml:"ratio"`
	Budget *percent `yaml:"budget"`
}

const boundForms = "write auto, {ratio: 1.05}, {budget: 25%} or both; for a signal without an SLO also 5%"

func (b *bound) decodeNode(d *document, n *yaml.Node, path string) {
	if n.Kind == yaml.MappingNode {
		var block boundBlock
		d.decode(n, path, &block)
		if block.Ratio == nil && block.Budget == nil {
			d.fail(path, "says nothing (%s)", boundForms)
			return
		}
		b.set, b.Ratio = true, 1
		if block.Ratio != nil {
			b.Ratio = *block.Ratio
		}
		if block.Budget != nil {
			b.Budget = float64(*block.Budget)
		}
		if b.Ratio < 1 {
			d.fail(join(path, "ratio"), "%v is below 1: the canary may not be required to be better than the baseline", b.Ratio)
		}
		if b.Ratio > 100 {
			d.fail(join(path, "ratio"), "%v is more than a hundred times the baseline; 1.05 is 5 %% above it", b.Ratio)
		}
		return
	}
	if n.Kind == yaml.ScalarNode && n.Value == "auto" {
		return
	}
	share, err := parsePercent(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		d.reject(n, path, fmt.Sprintf("is %s, which is no bound (%s)", d.what(n), boundForms))
		return
	}
	*b = bound{set: true, percent: true, Bound: analysis.Bound{Ratio: 1 + share}}
}

// pointer is the bound as analysis takes it: nil is the default.
func (b bound) pointer() *analysis.Bound {
	if !b.set {
		return nil
	}
	out := b.Bound
	return &out
}

// A percent is a share written in percent, such as 25%. 25 and 0.25 are refused:
// nobody can tell which was meant.
type percent float64

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *percent) UnmarshalText(text []byte) error {
	share, err := parsePercent(string(text))
	*p = percent(share)
	return err
}

func parsePercent(s string) (float64, error) {
	digits, is := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(digits, 64)
	if !is || err != nil || math.IsNaN(v) || v < 0 || v > 10000 {
		return 0, fmt.Errorf("%q is no percent value (write 5%% or 12.5%%)", s)
	}
	// 5/100 is the nearest number to 0.05; 5*0.01 is not.
	return v / 100, nil
}
