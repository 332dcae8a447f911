package config

import (
	"math"
	"regexp"

	"go.yaml.in/yaml/v3"

	"github.com/release-assay/assay/analysis"
)

// costs are what mistakes cost, in any one currency.
type costs struct {
	FailedEvent   float64 `yaml:"failedEvent" need:"true"`
	FalseRollback float64 `yaml:"falseRollback" need:"true"`
	Currency      string  `yaml:"currency"`
}

var currencyCode = regexp.MustCompile(`^[A-Z]{3}$`)

// read returns nil where no costs are written: then nothing is advised by them.
func (c *costs) read(d *document) *analysis.Costs {
	const path = "spec.costs"
	if c == nil {
		return nil
	}
	for _, cost := range []struct {
		key   string
		value float64
	}{{"failedEvent", c.FailedEvent}, {"falseRollback", c.FalseRollback}} {
		where := join(path, cost.key)
		if written := d.places[where] != nil && !d.faulty(where); written && (!(cost.value > 0) || math.IsInf(cost.value, 1)) {
			d.fail(where, "%v must be positive; leave out costs if they are not known", cost.value)
		}
	}
	if c.Currency != "" && !currencyCode.MatchString(c.Currency) {
		d.fail(join(path, "currency"), "%q is no code of a currency (three capital letters, such as EUR)", c.Currency)
	}
	return &analysis.Costs{FailedEvent: c.FailedEvent, FalseRollback: c.FalseRollback, Currency: c.Currency}
}

func printCosts(c analysis.Costs) *yaml.Node {
	pairs := []any{"failedEvent", c.FailedEvent, "falseRollback", c.FalseRollback}
	if c.Currency != "" {
		pairs = append(pairs, "currency", c.Currency)
	}
	return flow(pairs...)
}
