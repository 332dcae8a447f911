package config

import (
	"reflect"
	"strings"
	"testing"
)

// A loki sink keeps its keys for its adapter, with their positions; a kafka sink has a
// topic and nothing else.
func TestSinks(t *testing.T) {
	const text = `sinks:
  - {type: kafka, topic: verdicts}
  - type: loki
    url: http://loki:3100
    tenant: shop
`
	c, err := parseProcess("assay.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if topics := c.KafkaTopics(); !reflect.DeepEqual(topics, []string{"verdicts"}) || len(c.Sinks) != 2 {
		t.Fatalf("topics %v of %+v", topics, c.Sinks)
	}
	loki := c.Sinks[1]
	var got lokiOptions
	if err := loki.Decode(&got); err != nil || loki.Type != SinkLoki || got != (lokiOptions{"http://loki:3100", "shop"}) {
		t.Errorf("%v %+v %+v", err, loki, got)
	}
	if at := loki.Written(); at.Line != 3 || at.Path != "sinks[1]" {
		t.Errorf("it stands at %+v", at)
	}
	printed, err := c.Print(nil, map[int]any{1: got})
	if err != nil || !strings.Contains(string(printed), "  - type: loki\n    url: http://loki:3100\n    tenant: shop\n") {
		t.Errorf("%v\n%s", err, printed)
	}
	if _, err := parseProcess("assay.yaml", printed); err != nil {
		t.Error(err)
	}
	var strict struct {
		URL string `yaml:"url"`
	}
	const want = "assay.yaml:5:5: sinks[1].tenant: unknown key (legal: url)"
	if err := loki.Decode(&strict); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
