package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/sources/prometheus"
)

// Clocks that are apart by more make folds close before their samples are there, or
// long after.
const (
	skewSeen = 5 * time.Second
	skewLost = 30 * time.Second
)

// lookAtSources asks every Prometheus whether it answers and what time it has, and
// then what there is of each objective, as check does.
func (d *doctor) lookAtSources(ctx context.Context) {
	names := d.conf.Sources.Names(config.KindPrometheus)
	if len(names) == 0 {
		d.part(part{Name: "prometheus", Kind: notConfigured, State: "metrics are pushed"})
	}
	table, err := (&server{config: d.conf}).openSources(d.policies)
	if err != nil {
		d.broken(exitUsage, "sources", "%v", err)
		return
	}
	answering := map[string]*prometheus.Source{}
	for _, name := range names {
		source, is := table[name].(*prometheus.Source)
		if !is {
			continue
		}
		defer source.Close()
		if d.lookAtPrometheus(ctx, name, source) {
			answering[name] = source
		}
	}
	d.lookAtPolicies(ctx, answering)
}

// lookAtPrometheus reports whether a server answers.
func (d *doctor) lookAtPrometheus(ctx context.Context, name string, source *prometheus.Source) bool {
	c := prometheus.DefaultConfig()
	p := part{Name: name, Kind: external, State: "ok"}
	defer func() { d.part(p) }()
	if err := d.conf.Sources[name].Decode(&c); err == nil { // openSources has read it before
		p.Where = c.URL
	}
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	if err := source.Probe(ctx); err != nil {
		p.State = "down"
		_, text := troubleOf(c.URL, err)
		d.broken(exitInternal, name, "%s", text)
		return false
	}
	skew := source.Skew()
	text := fmt.Sprintf("its clock and the one of this machine are at least %v apart: samples carry the time of the scrape, so that folds close too early or too late; let both follow NTP", skew.Abs().Round(time.Second))
	switch {
	case skew.Abs() > skewLost:
		d.broken(exitInternal, name, "%s", text)
	case skew.Abs() > skewSeen:
		d.find(levelWarning, name, "%s", text)
	}
	return true
}

// lookAtPolicies says which releases are judged by what, and what the servers that
// answer have of it.
func (d *doctor) lookAtPolicies(ctx context.Context, answering map[string]*prometheus.Source) {
	all := d.policies.All()
	p := part{Name: "policies", Kind: notConfigured, State: "the built-in plan judges every release"}
	defer func() { d.part(p) }()
	if len(all) > 0 {
		p.Kind, p.State = "files", counted(len(all), "ReleaseValidation")
	} else {
		d.find(levelNote, p.Name, "without a policy most releases at ordinary traffic end in hold: an SLO lets Assay decide (docs/configuration.md)")
	}
	if len(all) == 0 && len(d.conf.Sources.Names(config.KindPrometheus)) > 0 && d.conf.BuiltIn.Source == config.OTLPSource {
		d.find(levelWarning, p.Name, "no Prometheus is ever asked: no policy names one, and the built-in plan reads what is pushed; write builtIn: {source: NAME}")
	}
	objectives := checkedObjectives(d.conf, d.policies)
	servers := map[string]asked{}
	for name, source := range answering {
		servers[name] = scrapedSource{source}
	}
	if err := askAll(ctx, objectives, servers, d.progress); err != nil {
		return // ctx has ended, which examine says
	}
	for name, source := range answering {
		d.adviseNames(ctx, name, source, objectives)
	}
	asked, weak := 0, 0
	for _, o := range objectives {
		found := o.findings()
		for _, f := range found {
			if f.Level == levelError {
				d.code = exitUsage
			}
			d.take(f)
		}
		if o.skipped == "" {
			asked++
			weak += min(1, len(found))
		}
	}
	if asked > 0 {
		p.State += fmt.Sprintf("; %d of %s can be judged well", asked-weak, counted(asked, "objective"))
	}
}

// adviseNames says what would help where a server has the telemetry under other names.
func (d *doctor) adviseNames(ctx context.Context, name string, source *prometheus.Source, objectives []*checkedObjective) {
	builtIn, seen, nameless := false, false, false
	for _, o := range objectives {
		if o.objective.Signal.Source != name || o.facts.down != nil {
			continue
		}
		if o.policy.BuiltIn {
			builtIn = true
			seen = seen || len(o.facts.total.seen) > 0
		}
		nameless = nameless || len(o.facts.versions) > 0 && o.facts.versions[0].Version == "" && o.byVersion()
	}
	if builtIn && !seen {
		d.find(levelWarning, name, "it has none of the built-in signals (docs/signals.md); 'assay validate --prometheus URL --service NAME --canary VERSION --since 30m' lists what it has of a service")
	}
	if !nameless {
		return
	}
	now, label := time.Now(), source.Label(analysis.AttrVersion)
	info, err := source.Metric(ctx, "target_info", now.Add(-checkSpan), now)
	if err == nil && slices.Contains(info.Labels, label) {
		d.find(levelWarning, name, "%s is on target_info only: promote it to a label of every series (Prometheus: otlp: {promote_resource_attributes: [service.name, service.version]}; a Collector: resource_to_telemetry_conversion)", label)
	}
}
