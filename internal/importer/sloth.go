package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// slothSpec is a service level of sloth, prometheus/v1. What it says of alerts and
// labels is passed over.
type slothSpec struct {
	Version string         `yaml:"version"`
	Service text           `yaml:"service"`
	Labels  yaml.Node      `yaml:"labels"`
	Plugins yaml.Node      `yaml:"slo_plugins"`
	SLOs    []slothService `yaml:"slos"`
}

type slothService struct {
	Name        text      `yaml:"name"`
	Objective   float64   `yaml:"objective"` // per cent
	Description string    `yaml:"description"`
	Labels      yaml.Node `yaml:"labels"`
	Plugins     yaml.Node `yaml:"plugins"`
	SLI         struct {
		Events *struct {
			Bad   text `yaml:"error_query"`
			Total text `yaml:"total_query"`
		} `yaml:"events"`
		Raw *struct {
			Share text `yaml:"error_ratio_query"`
		} `yaml:"raw"`
		Plugin *struct {
			ID      text      `yaml:"id"`
			Options yaml.Node `yaml:"options"`
		} `yaml:"plugin"`
	} `yaml:"sli"`
	Alerting yaml.Node `yaml:"alerting"`
}

// slothKube is the same as a Kubernetes object: other spelling, one level deeper.
type slothKube struct {
	APIVersion string    `yaml:"apiVersion"`
	Kind       string    `yaml:"kind"`
	Metadata   yaml.Node `yaml:"metadata"`
	Spec       struct {
		Service text      `yaml:"service"`
		Labels  yaml.Node `yaml:"labels"`
		Plugins yaml.Node `yaml:"sloPlugins"`
		SLOs    []struct {
			Name        text      `yaml:"name"`
			Objective   float64   `yaml:"objective"`
			Description string    `yaml:"description"`
			Labels      yaml.Node `yaml:"labels"`
			Plugins     yaml.Node `yaml:"plugins"`
			SLI         struct {
				Events *struct {
					Bad   text `yaml:"errorQuery"`
					Total text `yaml:"totalQuery"`
				} `yaml:"events"`
				Raw *struct {
					Share text `yaml:"errorRatioQuery"`
				} `yaml:"raw"`
				Plugin *struct {
					ID      text      `yaml:"id"`
					Options yaml.Node `yaml:"options"`
				} `yaml:"plugin"`
			} `yaml:"sli"`
			Alerting yaml.Node `yaml:"alerting"`
		} `yaml:"slos"`
	} `yaml:"spec"`
}

func (k slothKube) spec() slothSpec {
	s := slothSpec{Version: slothVersion, Service: k.Spec.Service}
	for _, o := range k.Spec.SLOs {
		service := slothService{Name: o.Name, Objective: o.Objective, Description: o.Description}
		service.SLI.Events = (*struct {
			Bad   text `yaml:"error_query"`
			Total text `yaml:"total_query"`
		})(o.SLI.Events)
		service.SLI.Raw = (*struct {
			Share text `yaml:"error_ratio_query"`
		})(o.SLI.Raw)
		service.SLI.Plugin = o.SLI.Plugin
		s.SLOs = append(s.SLOs, service)
	}
	return s
}

const (
	slothVersion = "prometheus/v1"
	slothGroup   = "sloth.slok.dev/v1"
	slothPeriod  = "30d" // sloth's default
	anyWindow    = "5m"  // for {{.window}}: only the counters inside are kept
)

// Sloth imports service levels of sloth, as files or as Kubernetes objects, or the
// recording rules that sloth generated from them.
func Sloth(file string, data []byte) (*Result, error) {
	r := &Result{}
	imported := map[string]*[]objective{}
	var services []string
	documents, err := eachDocument(file, data, func(n *yaml.Node) error {
		spec, err := slothDocument(n)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", file, n.Line, err)
		}
		service := objectName(spec.Service.Value)
		if service == "" {
			return fmt.Errorf("%s:%d: names no service", file, n.Line)
		}
		if imported[service] == nil {
			imported[service] = &[]objective{}
			services = append(services, spec.Service.Value)
		}
		for _, o := range spec.SLOs {
			if name, ok := r.slothSLO(file, spec.Service.Value, o); ok {
				*imported[service] = append(*imported[service], objective{SLORef: name, Role: "critical"})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if documents == 0 {
		return nil, fmt.Errorf("%s: has no service level of sloth", file)
	}
	for _, service := range services {
		r.hold(file, service, *imported[objectName(service)])
	}
	return r, nil
}

// hold adds a ReleaseValidation for what was imported of a service.
func (r *Result) hold(file, service string, objectives []objective) {
	if len(objectives) == 0 {
		r.note(file, 0, "%s: nothing was imported, so there is nothing to hold its releases to", service)
		return
	}
	r.objects = append(r.objects, newValidation(service, objectives))
	r.note(file, 0, "%s: every objective is critical, in every environment, with Assay's own tolerances and margins (a share of the error budget); an SLO says nothing of those", service)
}

// slothSLO adds the SLO for a service level and returns its name.
func (r *Result) slothSLO(file, service string, o slothService) (string, bool) {
	where := fmt.Sprintf("%s: ", o.Name.Value)
	if !(o.Objective > 0 && o.Objective < 100) {
		r.note(file, o.Name.Line, "%snot imported: the objective %v is not between 0 and 100 per cent", where, o.Objective)
		return "", false
	}
	var counts ratioMetric
	var err error
	line := o.Name.Line
	switch {
	case o.SLI.Plugin != nil:
		r.note(file, o.SLI.Plugin.ID.Line, "%snot imported: the queries of the plugin %q are made by code; run sloth and import the rules that it generates", where, o.SLI.Plugin.ID.Value)
		return "", false
	case o.SLI.Events != nil:
		line = o.SLI.Events.Bad.Line
		counts, err = ofEvents(window(o.SLI.Events.Bad.Value), window(o.SLI.Events.Total.Value))
	case o.SLI.Raw != nil:
		line = o.SLI.Raw.Share.Line
		counts, err = ofShare(window(o.SLI.Raw.Share.Value))
	default:
		err = errors.New("no sli")
	}
	if err != nil {
		r.note(file, line, "%snot imported: %v; Assay needs counts of events", where, err)
		return "", false
	}
	if o.Plugins.Kind != 0 {
		r.note(file, o.Plugins.Line, "%splugins are passed over: the SLO is judged as its sli says", where)
	}
	name := objectName(service, o.Name.Value)
	r.objects = append(r.objects, newSLO(name, service, o.Description, slothPeriod, share(o.Objective), counts))
	return name, true
}

func window(query string) string {
	for _, spelled := range []string{"{{.window}}", "{{ .window }}"} {
		query = strings.ReplaceAll(query, spelled, anyWindow)
	}
	return strings.TrimSpace(query)
}

func slothDocument(n *yaml.Node) (slothSpec, error) {
	var head struct {
		Version    string    `yaml:"version"`
		APIVersion string    `yaml:"apiVersion"`
		Kind       string    `yaml:"kind"`
		Groups     yaml.Node `yaml:"groups"`
	}
	if err := n.Decode(&head); err != nil {
		return slothSpec{}, err
	}
	switch {
	case head.Version == slothVersion:
		var s slothSpec
		return s, strictInto(n, &s)
	case head.APIVersion == slothGroup && head.Kind == "PrometheusServiceLevel":
		var k slothKube
		err := strictInto(n, &k)
		return k.spec(), err
	case head.Groups.Kind == yaml.SequenceNode:
		return slothRules(n)
	case strings.HasPrefix(head.APIVersion, "openslo/"):
		return slothSpec{}, errors.New("is OpenSLO already: Assay reads it as it is")
	}
	return slothSpec{}, fmt.Errorf("is no service level of sloth (version: %s, apiVersion: %s, or generated rules)", slothVersion, slothGroup)
}

// strictInto is strict with the words of an import.
func strictInto(n *yaml.Node, into any) error {
	if err := strict(n, into); err != nil {
		return fmt.Errorf("cannot be read: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	return nil
}

// eachDocument hands over the documents of a file that are not empty.
func eachDocument(file string, data []byte, take func(*yaml.Node) error) (documents int, err error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var n yaml.Node
		err := d.Decode(&n)
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return documents, fmt.Errorf("%s: is no YAML: %s", file, strings.TrimPrefix(err.Error(), "yaml: "))
		}
		if len(n.Content) == 0 || n.Content[0].Kind != yaml.MappingNode {
			continue
		}
		documents++
		if err := take(n.Content[0]); err != nil {
			return documents, err
		}
	}
}
