package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/prometheus"
	"github.com/release-assay/assay/verdicts"
)

// missing says what the server has instead of what was not found, and the command
// line that would judge by it.
func (o *oneShot) missing(ctx context.Context, what string) error {
	o.progress.say("looking for what there is instead")
	versions := []string{o.release.Version}
	if o.release.PreviousVersion != "" {
		versions = append(versions, o.release.PreviousVersion)
	}
	found, err := o.source.Catalogue(ctx, prometheus.CatalogueQuery{Service: o.release.Service, Versions: versions, From: o.start.Add(-time.Hour), To: o.end()})
	if err != nil {
		return usage(fmt.Errorf("%s; what there is instead could not be asked: %s", what, verdicts.Plain(err.Error())))
	}
	return usage(errors.New(what + "\n" + o.instead(found)))
}

// instead tells a catalogue to a person.
func (o *oneShot) instead(found prometheus.Catalogue) string {
	var b strings.Builder
	if found.Label == "" {
		fmt.Fprintf(&b, "no label names a service %q", o.release.Service)
		if len(found.Near) > 0 {
			fmt.Fprintf(&b, "; the nearest names: %s", plainList(found.Near, len(found.Near)))
		}
		fmt.Fprintf(&b, "\n(is it the right Prometheus, and were there samples between %s and %s?)", o.start.Add(-time.Hour).Format(time.RFC3339), o.end().Format(time.RFC3339))
		return b.String()
	}
	if len(found.Counters) == 0 {
		fmt.Fprintf(&b, "it has no counter of %s=%q at all (a name that ends in _total or _count)", found.Label, found.Service)
		return b.String()
	}
	fmt.Fprintf(&b, "it has these counters of %s=%q:\n\n", found.Label, found.Service)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  COUNTER\tVERSIONS\tHOW IT ENDED")
	for _, c := range found.Counters {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", verdicts.Plain(c.Metric), labelled(c.VersionLabel, c.Versions, "no label of a version"), labelled(c.StatusLabel, c.Statuses, "-"))
	}
	w.Flush() // a strings.Builder takes everything
	if found.Omitted > 0 {
		fmt.Fprintf(&b, "  and %d more\n", found.Omitted)
	}
	b.WriteString("\n" + o.advice(found))
	return b.String()
}

// labelled shows a label and some of its values.
func labelled(label string, values []string, none string) string {
	if label == "" {
		return none
	}
	return verdicts.Plain(label) + ": " + plainList(values, 6)
}

func plainList(values []string, most int) string {
	if len(values) > most {
		values = append(slices.Clone(values[:most]), "…")
	}
	return verdicts.Plain(strings.Join(values, ", "))
}

// advice is what to do with what was found.
func (o *oneShot) advice(found prometheus.Catalogue) string {
	best := found.Counters[0]
	switch {
	case best.Judgeable:
		return "this would judge the first of them:\n\n  " + verdicts.Plain(o.again(o.arguments(found.Label, found.Service, best)...))
	case found.TargetInfo != "":
		return fmt.Sprintf("the version is on target_info only (%[1]s), where no counter can be told apart by it: promote it to a label of every series, in Prometheus with\n\n"+
			"  otlp: {promote_resource_attributes: [service.name, service.version, deployment.environment.name]}\n", found.TargetInfo)
	case best.VersionLabel == "":
		return "none of them has a label that tells two versions apart: let the service, or the scrape configuration, add one to every series (a relabelling from the pod's label app.kubernetes.io/version, say)"
	case best.Bad == "":
		return "how a request ended cannot be told from their labels: name the counters with --objective 'errors=EVENTS / TOTAL'"
	}
	return fmt.Sprintf("version %s is not among those of %s: give one that is there with --canary and --baseline", o.lacking(best), verdicts.Plain(best.Metric))
}

// lacking is the version that a counter does not have.
func (o *oneShot) lacking(c prometheus.Counter) string {
	if slices.Contains(c.Versions, o.release.Version) {
		return o.release.PreviousVersion
	}
	return o.release.Version
}

// arguments are those of the command line that judges by a counter.
func (o *oneShot) arguments(label, service string, c prometheus.Counter) []string {
	var out []string
	for _, l := range []struct{ attribute, label string }{{analysis.AttrService, label}, {analysis.AttrVersion, c.VersionLabel}} {
		if l.label != o.label(l.attribute) {
			out = append(out, "--label", l.attribute+"="+l.label)
		}
	}
	if service != o.release.Service {
		out = append(out, "--service", service)
	}
	return append(out, "--objective", fmt.Sprintf("errors=%s / %s", c.Bad, c.Metric))
}

// commandLine is the command as it was given, for a shell, with further arguments.
// These replace what was given for the same flag, or for the same name of it; and
// objectives replace objectives.
func commandLine(c *cobra.Command, extra []string) string {
	replaced := map[string]bool{}
	for i := 0; i+1 < len(extra); i += 2 {
		replaced[keyOf(extra[i], extra[i+1])] = true
	}
	words := []string{invoked(), c.Name()}
	add := func(flag, value string) {
		if flag == "--header" { // it may be a secret, and this may be a log
			name, _, _ := strings.Cut(value, ":")
			value = name + ": …"
		}
		words = append(words, flag, value)
	}
	c.Flags().Visit(func(f *pflag.Flag) {
		flag := "--" + f.Name
		values := []string{f.Value.String()}
		if list, is := f.Value.(pflag.SliceValue); is {
			values = list.GetSlice()
		}
		if f.Value.Type() == "bool" {
			words = append(words, flag+"="+values[0])
			return
		}
		for _, value := range values {
			if !replaced[keyOf(flag, value)] {
				add(flag, value)
			}
		}
	})
	for i := 0; i+1 < len(extra); i += 2 {
		add(extra[i], extra[i+1])
	}
	for i, word := range words {
		words[i] = shellQuote(word)
	}
	return strings.Join(words, " ")
}

// keyOf says which arguments replace each other.
func keyOf(flag, value string) string {
	if flag != "--label" {
		return flag
	}
	attribute, _, _ := strings.Cut(value, "=")
	return flag + " " + attribute
}

// invoked is how this program was called, for a line that can be typed again.
func invoked() string {
	if filepath.Base(os.Args[0]) == "assay" {
		return cmp.Or(os.Args[0], "assay")
	}
	return "assay"
}

var bareWord = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+,-]+$`)

// shellQuote writes a word so that a POSIX shell reads it as it is.
func shellQuote(word string) string {
	if bareWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
