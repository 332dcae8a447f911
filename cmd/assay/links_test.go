package main

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/verdicts/report"
)

func TestPlacesOf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "assay.yaml")
	if err := os.WriteFile(file, []byte(`sources:
  tempo: {type: tempo, url: 'http://tempo:3200'}
  logs: {type: loki, url: 'http://loki:3100', labels: {service.name: app}}
  jaeger: {type: jaeger, url: 'http://jaeger:16686'}
  prom: {type: prometheus, url: 'http://prom:9090'}
  wrong: {type: loki, adress: x}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	want := []report.Place{
		{Name: "jaeger", Kind: "jaeger", URL: "http://jaeger:16686"},
		{Name: "logs", Kind: "loki", URL: "http://loki:3100", Labels: map[string]string{"service.name": "app"}},
		{Name: "tempo", Kind: "tempo", URL: "http://tempo:3200"},
	}
	if got := placesOf(c.Sources); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
