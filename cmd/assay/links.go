package main

import (
	"slices"
	"strings"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/sources/jaeger"
	"github.com/release-assay/assay/sources/loki"
	"github.com/release-assay/assay/sources/tempo"
	"github.com/release-assay/assay/verdicts"
	"github.com/release-assay/assay/verdicts/report"
)

// linksTo makes the links of a verdict into the configured sources.
func linksTo(configured config.Sources) func(*analysis.Plan, verdicts.Verdict) []report.Link {
	places := placesOf(configured)
	return func(plan *analysis.Plan, v verdicts.Verdict) []report.Link { return report.Links(places, plan, v) }
}

// placesOf are the configured sources in which people can look at what logs and traces
// show, by name. A source whose options are wrong is none: opening it says so.
func placesOf(configured config.Sources) []report.Place {
	var out []report.Place
	for name, source := range configured {
		p := report.Place{Name: name, Kind: string(source.Kind)}
		var err error
		switch source.Kind {
		case config.KindLoki:
			c := loki.DefaultConfig()
			err = source.Decode(&c)
			p.URL, p.Labels = c.URL, c.Labels
		case config.KindJaeger:
			c := jaeger.DefaultConfig()
			err = source.Decode(&c)
			p.URL = c.URL
		case config.KindTempo:
			c := tempo.DefaultConfig()
			err = source.Decode(&c)
			p.URL = c.URL
		default:
			continue
		}
		if err == nil {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b report.Place) int { return strings.Compare(a.Name, b.Name) })
	return out
}
