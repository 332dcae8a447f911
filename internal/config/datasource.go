package config

import (
	"fmt"
	"maps"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// dataSourceObject is an OpenSLO v1 DataSource: a source that is defined beside the
// SLOs that read it. What connects to it belongs to the adapter, as in the process
// file.
type dataSourceObject struct {
	header `yaml:",inline"`
	Spec   struct {
		Description       string           `yaml:"description"`
		Type              metricSourceType `yaml:"type" need:"true"`
		ConnectionDetails yaml.Node        `yaml:"connectionDetails"`
	} `yaml:"spec" need:"true"`
}

// serviceObject is an OpenSLO v1 Service. It is a name that SLOs refer to.
type serviceObject struct {
	header `yaml:",inline"`
	Spec   struct {
		Description string `yaml:"description"`
	} `yaml:"spec"`
}

const (
	detailsPath = "spec.connectionDetails"
	typePath    = "spec.type"
)

// readDataSource reads a DataSource into the sources of the set. One that the
// process file has too must not contradict it: the process file holds the
// credentials, the DataSource may leave out the connection.
func readDataSource(d *document, s *set) {
	var o dataSourceObject
	d.decode(d.root, "", &o)
	o.Metadata.checkName(d)
	name := o.Metadata.Name
	if first, twice := s.dataSources[name]; twice {
		d.fail("metadata.name", "a DataSource is called %q already: %s", name, first)
		return
	}
	s.dataSources[name] = d.position("metadata.name")
	defer func() {
		if _, there := s.sources[name]; !there { // it is wrong, which is enough to say once
			s.sources[name] = Source{Name: name, Kind: kindOf(o.Spec.Type)}
		}
	}()
	if refuseSecrets(d, &o.Spec.ConnectionDetails, detailsPath); len(d.faults) > 0 {
		return
	}
	if o.Spec.Type == typeOTLP {
		if !isAbsent(o.Spec.ConnectionDetails) {
			d.fail(detailsPath, "there is nothing to connect to: OTLP is pushed to the listeners of assay.yaml (listeners.otlp)")
		}
		if other, there := s.sources[name]; there && other.Kind != KindOTLP {
			d.fail(typePath, "source %q of assay.yaml (%s) is of another type (%s)", name, other.position(), other.Kind)
			return
		}
		s.sources[name] = Source{Name: OTLPSource, Kind: KindOTLP} // what is pushed, under another name
		return
	}
	defined, there := s.sources[name]
	switch {
	case there && defined.Kind != KindPrometheus && name == OTLPSource:
		d.fail("metadata.name", "the name otlp belongs to what is pushed to this process")
	case there && defined.Kind != KindPrometheus:
		d.fail(typePath, "source %q of assay.yaml (%s) is of another type (%s)", name, defined.position(), defined.Kind)
	case there && isAbsent(o.Spec.ConnectionDetails): // the process file says how
	case there:
		contradiction(d, &o.Spec.ConnectionDetails, defined)
	case isAbsent(o.Spec.ConnectionDetails):
		d.fail(detailsPath, "is required, since assay.yaml has no source called %q%s", name, legalList(name, s.sources.all()))
	case o.Spec.ConnectionDetails.Kind != yaml.MappingNode:
		d.fail(detailsPath, "is %s, must be a mapping (key: value)", d.what(&o.Spec.ConnectionDetails))
	default:
		s.sources[name] = Source{Name: name, Kind: KindPrometheus, options: options{doc: d, path: detailsPath, block: &o.Spec.ConnectionDetails}}
	}
}

// refuseSecrets rejects what a policy file may not bring: references to secrets,
// which are resolved in the process file only, and names of files. Whoever may write
// policies could otherwise have any file of this machine sent to any address.
func refuseSecrets(d *document, n *yaml.Node, path string) {
	const instead = "write the source in assay.yaml under this name, and leave out connectionDetails here"
	switch n.Kind {
	case yaml.MappingNode:
		for _, e := range d.entries(n, path) {
			if lower := strings.ToLower(e.name); strings.HasSuffix(lower, "file") || strings.HasSuffix(lower, "files") {
				d.reject(e.key, e.path, "a policy file names no files to read: "+instead)
				continue
			}
			refuseSecrets(d, e.value, e.path)
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			refuseSecrets(d, item, at(path, i))
		}
	case yaml.ScalarNode:
		if strings.Contains(n.Value, "${env:") || strings.Contains(n.Value, "${file:") {
			d.reject(n, path, "references to secrets are resolved in assay.yaml only: "+instead)
		}
	}
}

// contradiction reports each option of a DataSource that the process file gives
// another value. What it does not repeat is as the process file says.
func contradiction(d *document, details *yaml.Node, defined Source) {
	here := valuesOf(details)
	there := valuesOf(defined.block)
	for _, e := range d.entries(details, detailsPath) {
		if value, said := there[e.name]; !said || !reflect.DeepEqual(value, here[e.name]) {
			d.reject(e.value, e.path, fmt.Sprintf("source %q of assay.yaml (%s) says otherwise, and it is not known which is meant: write the same, or leave it out", defined.Name, defined.position()))
		}
	}
}

// valuesOf are the options of a source without their positions.
func valuesOf(n *yaml.Node) map[string]any {
	values := map[string]any{}
	if n != nil {
		_ = n.Decode(&values) // what cannot be read is equal to nothing
	}
	return values
}

// readService reads a Service and returns its name.
func readService(d *document, s *set) {
	var o serviceObject
	d.decode(d.root, "", &o)
	o.Metadata.checkName(d)
	if first, twice := s.services[o.Metadata.Name]; twice {
		d.fail("metadata.name", "a Service is called %q already: %s", o.Metadata.Name, first)
		return
	}
	s.services[o.Metadata.Name] = d.position("metadata.name")
}

// checkService holds an SLO to the Services of the set. Files without any name their
// services freely, as OpenSLO allows.
func (o sloObject) checkService(d *document, s *set) {
	if _, known := s.services[o.Spec.Service]; !known && len(s.services) > 0 && o.Spec.Service != "" {
		d.fail("spec.service", "no Service is called %q%s", o.Spec.Service, legalList(o.Spec.Service, names(s.services)))
	}
}

// opened are the sources that a process opens: each by its own name, those that are
// only called otherwise left out.
func (s Sources) opened() Sources {
	out := maps.Clone(s)
	maps.DeleteFunc(out, func(name string, source Source) bool { return name != source.Name })
	return out
}
