package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/release-assay/assay/internal/importer"
)

// maxImport bounds a file to import; the rules of a thousand service levels are a tenth
// of it.
const maxImport = 16 << 20

func newImport(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "import",
		Short: "Translate what sloth, pyrra or Kayenta were told into policies",
		Long: `Import writes OpenSLO objects and a ReleaseValidation to standard output, and to standard
error every place where the meaning changes, or where something cannot be said in Assay's
words and is not imported. 'assay check' then asks the live source whether its queries
find anything.`,
		Example: `  assay import sloth slos/checkout.yml > policies/checkout.yaml
  assay import pyrra --service checkout slo.yaml > policies/checkout.yaml
  assay import kayenta canary-config.json > policies/checkout.yaml`,
	}
	return group(c, newImportSloth(s), newImportPyrra(s), newImportKayenta(s))
}

func newImportSloth(s streams) *cobra.Command {
	return importing(&cobra.Command{
		Use:   "sloth FILE",
		Short: "Import service levels of sloth, or the rules that it generated",
		Long: `Sloth reads service levels (version: prometheus/v1, or the Kubernetes objects) and, where
the queries were made by plugins, the recording rules that sloth generated.`,
		Example: "  assay import sloth slos/checkout.yml > policies/checkout.yaml",
	}, s, func(name string, data []byte) (*importer.Result, error) { return importer.Sloth(name, data) })
}

func newImportPyrra(s streams) *cobra.Command {
	var service string
	c := importing(&cobra.Command{
		Use:     "pyrra FILE",
		Short:   "Import ServiceLevelObjectives of pyrra",
		Long:    "Pyrra reads ServiceLevelObjectives. They name no service, so --service does.",
		Example: "  assay import pyrra --service checkout slo.yaml > policies/checkout.yaml",
	}, s, func(name string, data []byte) (*importer.Result, error) {
		if service == "" {
			return nil, errors.New("pyrra's objectives name no service: say which one they are about with --service")
		}
		return importer.Pyrra(name, data, service)
	})
	c.Flags().StringVar(&service, "service", "", "the service that the objectives are about")
	return c
}

func newImportKayenta(s streams) *cobra.Command {
	var service string
	c := importing(&cobra.Command{
		Use:   "kayenta FILE",
		Short: "Import a canary configuration of Kayenta",
		Long: `Kayenta reads a canary configuration. What it compares by ranks of samples Assay holds
to tolerances and margins, and a score becomes roles, so that there is much to read on
standard error.`,
		Example: "  assay import kayenta canary-config.json > policies/checkout.yaml",
	}, s, func(name string, data []byte) (*importer.Result, error) {
		return importer.Kayenta(name, data, service)
	})
	c.Flags().StringVar(&service, "service", "", "the service; without it the one application that the configuration names")
	return c
}

func importing(c *cobra.Command, s streams, read func(name string, data []byte) (*importer.Result, error)) *cobra.Command {
	c.Args = func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usage(fmt.Errorf("import %s takes one file (- for standard input)", c.Name()))
		}
		return nil
	}
	c.RunE = func(_ *cobra.Command, args []string) error {
		name, data, err := importFile(s, args[0])
		if err != nil {
			return usage(err)
		}
		result, err := read(name, data)
		if err != nil {
			return usage(err)
		}
		for _, note := range result.Notes {
			fmt.Fprintln(s.err, note)
		}
		if result.Empty() {
			return usage(fmt.Errorf("%s: nothing could be imported; the lines above say why", name))
		}
		text, err := result.YAML()
		if err != nil {
			return internal(err)
		}
		_, err = s.out.Write(text)
		return err
	}
	return c
}

func importFile(s streams, name string) (string, []byte, error) {
	in := s.in
	if name == "-" {
		name = "standard input"
	} else {
		f, err := os.Open(name)
		if err != nil {
			return name, nil, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxImport+1))
	if err == nil && len(data) > maxImport {
		err = fmt.Errorf("%s is larger than %d MiB", name, maxImport>>20)
	}
	return name, data, err
}
