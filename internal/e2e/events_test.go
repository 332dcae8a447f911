package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/lab"
	"github.com/release-assay/assay/internal/store"
)

// started is the event that a scenario of the shop has been deployed; the name of
// the scenario is the deployment's id.
func started(scenario string, at time.Time) analysis.Event {
	return analysis.Event{
		Source: "/ci/e2e", ID: scenario + "-started", Time: at, StartedAt: at, Phase: analysis.PhaseStarted, Mode: analysis.Live,
		DeploymentID: analysis.DeploymentID(scenario), Strategy: "canary", Step: &analysis.Step{Weight: lab.Weight, At: at},
		Release: analysis.Release{Environment: environmentOf(scenario), Service: lab.Service, Version: lab.CanaryVersion, PreviousVersion: lab.BaselineVersion},
	}
}

func environmentOf(scenario string) string { return lab.Scenario{Name: scenario}.Environment() }

func encode(t testing.TB, e analysis.Event) intake.Message {
	t.Helper()
	m, err := intake.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// structured is the same CloudEvent in structured mode: attributes and data in one
// JSON object.
func structured(t testing.TB, m intake.Message) intake.Message {
	t.Helper()
	event := map[string]any{"datacontenttype": m.ContentType, "data": json.RawMessage(m.Value)}
	for _, h := range m.Headers {
		if name, ok := strings.CutPrefix(h.Key, "ce_"); ok {
			event[name] = string(h.Value)
		}
	}
	value, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	const media = "application/cloudevents+json; charset=UTF-8"
	return intake.Message{ContentType: media, Key: m.Key, Value: value, Headers: []store.Header{{Key: "content-type", Value: []byte(media)}}}
}

// tryProduce writes a message to the topic of deployments, once.
func tryProduce(broker string, m intake.Message) error {
	client, err := kafka.Connect(kafka.Config{Brokers: []string{broker}, ClientID: "e2e"})
	if err != nil {
		return err
	}
	defer client.Close()
	w := client.Writer(kafka.TopicDeployments)
	defer w.Close()
	r := kafkago.Message{Key: m.Key, Value: m.Value}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, kafkago.Header{Key: h.Key, Value: h.Value})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return w.WriteMessages(ctx, r)
}

// produce writes a message and tries again for a minute, as producers do.
func produce(t testing.TB, broker string, m intake.Message) {
	t.Helper()
	eventually(t, time.Minute, "an event is taken by Kafka", func() error { return tryProduce(broker, m) })
}

// post sends an event over HTTP; it must be taken.
func (a *assay) post(e analysis.Event) {
	a.t.Helper()
	header, body := encode(a.t, e).HTTP()
	status, answer, err := a.ask(http.MethodPost, "/v1/events", header, body)
	if err != nil || status != http.StatusAccepted {
		a.t.Fatalf("post the event of %s: %d %s %v", e.DeploymentID, status, answer, err)
	}
}
