package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/sources/jaeger"
	"github.com/release-assay/assay/sources/loki"
	"github.com/release-assay/assay/sources/otlp"
	"github.com/release-assay/assay/sources/prometheus"
	"github.com/release-assay/assay/sources/tempo"
	"github.com/release-assay/assay/verdicts/lokimirror"
)

func newConfig(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Print the effective configuration, or its JSON Schema",
		Example: `  assay config print --config assay.yaml
  assay config schema > assay.schema.json`,
	}
	return group(c, newConfigPrint(s), newConfigSchema(s))
}

// sourceOptions decodes the block of a source over the defaults of its adapter. Only
// the adapter knows what may be written there.
func sourceOptions(source config.Source) (any, error) {
	switch source.Kind {
	case config.KindPrometheus:
		c := prometheus.DefaultConfig()
		return &c, source.Decode(&c)
	case config.KindOTLP:
		c := otlp.DefaultConfig()
		return &c, source.Decode(&c)
	case config.KindLoki:
		c := loki.DefaultConfig()
		return &c, source.Decode(&c)
	case config.KindJaeger:
		c := jaeger.DefaultConfig()
		return &c, source.Decode(&c)
	case config.KindTempo:
		c := tempo.DefaultConfig()
		return &c, source.Decode(&c)
	}
	return nil, source.Fault(fmt.Errorf("type %q has no adapter", source.Kind))
}

func newConfigPrint(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "print [process|policies]",
		Short: "Print what holds: every key, the defaults too",
		Long: `Print writes the process file as it is understood, with every default spelled out. What
came from ${env:...} or ${file:...} is written as that; any other secret as <secret>.

With --policies it writes the policies too, after ---: of every SLO what a comparison
takes from it, with its queries reduced to their counters, and every ReleaseValidation
with its defaults. 'print policies' writes only these, also those that the process file
names. They load to the same policies again.`,
		Example: `  assay config print
  assay config print --config assay.yaml --policies policies/
  assay config print policies --config assay.yaml`,
		Args: oneOf("process", "policies"),
	}
	file, paths := addConfigFlags(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		conf, policies, err := readConfig(*file, *paths)
		if err != nil {
			return usage(err)
		}
		process, rules := true, len(*paths) > 0
		if len(args) == 1 {
			process, rules = args[0] == "process", args[0] == "policies"
		}
		var text []byte
		if process {
			if text, err = printProcess(conf); err != nil {
				return err
			}
		}
		if rules {
			printed, err := policies.Print()
			if err != nil {
				return internal(err)
			}
			if process && len(printed) > 0 {
				text = append(text, "---\n"...)
			}
			text = append(text, printed...)
		}
		_, err = s.out.Write(text)
		return err
	}
	return c
}

func printProcess(conf config.Config) ([]byte, error) {
	options := map[string]any{}
	var errs []error
	for name, source := range conf.Sources {
		own, err := sourceOptions(source)
		options[name], errs = own, append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, usage(err)
	}
	sinks := map[int]any{}
	for i, sink := range conf.Sinks {
		if sink.Type == config.SinkLoki {
			c := lokimirror.DefaultConfig()
			if err := sink.Decode(&c); err != nil {
				return nil, usage(err)
			}
			sinks[i] = &c
		}
	}
	text, err := conf.Print(options, sinks)
	if err != nil {
		return nil, internal(err)
	}
	return text, nil
}

func newConfigSchema(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "schema [process|policies]",
		Short: "Print the JSON Schema of the configuration",
		Long: `Schema writes a JSON Schema (draft 2020-12), by which editors complete and check the
files as they are typed. It is made from what 'assay check' reads by. Without an argument
it is for both kinds of files: what has a kind is a policy object.

A schema knows shapes, not meanings: references, queries and bounds are left to
'assay check'.`,
		Example: `  assay config schema > assay.schema.json
  # then, in the first line of a file: # yaml-language-server: $schema=assay.schema.json`,
		Args: oneOf("process", "policies"),
	}
	c.RunE = func(_ *cobra.Command, args []string) error {
		which := ""
		if len(args) == 1 {
			which = args[0]
		}
		return writeJSON(s.out, configSchema(which))
	}
	return c
}

func configSchema(which string) map[string]any {
	return config.Schema(which, map[config.SourceKind]any{
		config.KindPrometheus: prometheus.Config{}, config.KindOTLP: otlp.Config{}, config.KindLoki: loki.Config{}, config.KindJaeger: jaeger.Config{}, config.KindTempo: tempo.Config{},
	}, map[config.SinkType]any{config.SinkLoki: lokimirror.Config{}})
}

// oneOf accepts no argument, or one of the given words.
func oneOf(words ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 1 || len(args) == 1 && !slices.Contains(words, args[0]) {
			return usage(fmt.Errorf("%s takes %s, or nothing\nsee '%s --help'", c.CommandPath(), strings.Join(words, " or "), c.CommandPath()))
		}
		return nil
	}
}
