package config

import "go.yaml.in/yaml/v3"

// A Sink is where verdicts are delivered, besides being served over HTTP. This package
// knows the options of a kafka sink; those of any other belong to the adapter.
type Sink struct {
	Type  SinkType `yaml:"type" need:"true"`
	Topic string   `yaml:"topic"` // of a kafka sink

	options
}

// SinkType is the way in which a sink delivers.
type SinkType string

const (
	SinkKafka SinkType = "kafka" // verdicts to a topic, each until it has arrived
	SinkLoki  SinkType = "loki"  // lines about verdicts and findings, for dashboards: what cannot be delivered is dropped
)

func (SinkType) legal() (now, later []string) {
	return []string{string(SinkKafka), string(SinkLoki)}, []string{"archive", "webhook", "attest"}
}

// kafkaSink is what a kafka sink says.
type kafkaSink struct {
	Type  SinkType `yaml:"type" need:"true"`
	Topic string   `yaml:"topic" need:"true"`
}

// decodeNode implements selfDecoder.
func (s *Sink) decodeNode(d *document, n *yaml.Node, path string) {
	*s = Sink{}
	read := readOptions(d, n, path, &s.Type)
	switch where := join(path, "type"); {
	case n.Kind != yaml.MappingNode || d.faulty(where):
	case s.Type == "":
		d.fail(where, "is required%s", legalList("", legalWords(s.Type)))
	case s.Type == SinkKafka:
		var k kafkaSink
		d.decode(n, path, &k)
		s.Topic = k.Topic
	default:
		s.options = read
	}
}

// MarshalYAML implements yaml.Marshaler: what this package knows of a sink.
func (s Sink) MarshalYAML() (any, error) {
	if s.Type == SinkKafka {
		return kafkaSink{s.Type, s.Topic}, nil
	}
	return map[string]SinkType{"type": s.Type}, nil
}

// KafkaTopics are the topics that verdicts are written to.
func (c Config) KafkaTopics() []string {
	var topics []string
	for _, s := range c.Sinks {
		if s.Type == SinkKafka {
			topics = append(topics, s.Topic)
		}
	}
	return topics
}
