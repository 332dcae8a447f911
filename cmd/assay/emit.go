package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/spf13/cobra"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/kafka"
)

func newEmit(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "emit",
		Short: "Tell Assay of a deployment; prints the deployment id that wait and explain take",
		Long: `Emit sends a deployment event, as a CDEvent in a CloudEvent, over HTTP to an Assay server
or with --brokers to Kafka. The printed deployment id names this rollout: hand it to
'assay wait' and 'assay explain'. --phase tells of later moments of the same rollout.`,
		Example: `  ID=$(assay emit --service checkout --version 1.5.0 --baseline 1.4.9 --environment prod --weight 10%)
  assay emit --deployment $ID --phase step --weight 50% --service checkout --environment prod
  assay emit --service checkout --version 1.5.0 --environment prod --mode retrospective --started-at 2026-11-20T10:00:00Z`,
		Args: exactArgs(0, "no arguments"),
	}
	f := c.Flags()
	server, output := addServer(c), addOutput(c)
	service := f.String("service", "", "service that is deployed (required)")
	ver := f.String("version", "", "version of the canary (required, but for a step)")
	baseline := f.String("baseline", "", "version of the baseline (default: what ran before, as telemetry knows it)")
	environment := f.String("environment", "", "environment (required)")
	namespace := f.String("namespace", "", "namespace of the service")
	weight := f.String("weight", "", "the canary's share of the traffic, e.g. 10% or 0.1")
	deployment := f.String("deployment", "", "deployment id (default: a new one)")
	phase := f.String("phase", "started", "started, step, finished or aborted")
	mode := f.String("mode", "live", "live, retrospective or shadow")
	startedAt := f.String("started-at", "", "when the deployment started, RFC 3339 (default: now)")
	maxDuration := f.Duration("max-duration", 0, "deadline of the validation (default: the policy's)")
	policy := f.String("policy", "", "policy to judge by (default: the one that matches)")
	artifact := f.String("artifact-digest", "", "digest of the artifact, e.g. sha256:…")
	source := f.String("source", "", "who tells (default: /assay/emit/HOSTNAME)")
	brokers := f.StringSlice("brokers", nil, "send to these Kafka brokers instead of to --server")
	topic := f.String("topic", kafka.TopicDeployments, "Kafka topic for --brokers")
	complete(c, "phase", "started", "step", "finished", "aborted")
	complete(c, "mode", "live", "retrospective", "shadow")
	c.RunE = func(c *cobra.Command, _ []string) error {
		now := time.Now().UTC()
		e := analysis.Event{
			Source: *source, ID: rand.Text(), Time: now, StartedAt: now, Phase: analysis.Phase(*phase), Mode: analysis.Mode(*mode),
			DeploymentID: analysis.DeploymentID(*deployment), PolicyRef: *policy, MaxDuration: analysis.Duration(*maxDuration),
			Release: analysis.Release{Environment: *environment, Namespace: *namespace, Service: *service, Version: *ver, PreviousVersion: *baseline, ArtifactDigest: *artifact},
		}
		if err := completeEvent(&e, *weight, *startedAt); err != nil {
			return usage(err)
		}
		m, err := intake.Encode(e)
		if err != nil {
			return usage(err)
		}
		if len(*brokers) > 0 {
			err = produce(c.Context(), kafka.Config{Brokers: *brokers}, *topic, m)
		} else {
			err = post(c.Context(), *server, m)
		}
		if err != nil {
			return err
		}
		if *output == "json" {
			return json.NewEncoder(s.out).Encode(map[string]string{"deploymentId": string(e.DeploymentID), "eventId": e.ID, "source": e.Source})
		}
		if e.Phase == analysis.PhaseStarted && e.Mode != analysis.Live {
			fmt.Fprintf(s.err, "no gate answers for mode %s: ask for its validation, %s at the first attempt\n", e.Mode, e.Deployment(1).Validation())
		}
		fmt.Fprintln(s.out, e.DeploymentID)
		return nil
	}
	return c
}

// completeEvent checks what the flags say and fills in the rest.
func completeEvent(e *analysis.Event, weight, startedAt string) error {
	switch e.Phase {
	case analysis.PhaseStarted, analysis.PhaseStep, analysis.PhaseFinished, analysis.PhaseAborted:
	default:
		return fmt.Errorf("--phase %q is not known (legal: started, step, finished, aborted)", e.Phase)
	}
	switch e.Mode {
	case analysis.Live, analysis.Retrospective, analysis.Shadow:
	default:
		return fmt.Errorf("--mode %q is not known (legal: live, retrospective, shadow)", e.Mode)
	}
	for _, r := range []struct {
		flag, value string
		needed      bool
	}{
		{"--service", e.Release.Service, true},
		{"--environment", e.Release.Environment, true},
		{"--version", e.Release.Version, e.Phase != analysis.PhaseStep},
		{"--weight", weight, e.Phase == analysis.PhaseStep},
		{"--deployment", string(e.DeploymentID), e.Phase != analysis.PhaseStarted},
	} {
		if r.needed && r.value == "" {
			return fmt.Errorf("%s is required for phase %s", r.flag, e.Phase)
		}
	}
	if e.Source == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown"
		}
		e.Source = "/assay/emit/" + host
	}
	if e.DeploymentID == "" {
		e.DeploymentID = analysis.DeploymentID(analysis.DeriveID("deployment", e.Source, e.ID))
	}
	if startedAt != "" {
		t, err := time.Parse(time.RFC3339, startedAt)
		if err != nil {
			return fmt.Errorf("--started-at %q is no time (write 2026-11-23T10:00:00Z)", startedAt)
		}
		if t.After(e.Time) {
			return fmt.Errorf("--started-at %s is in the future: tell of a deployment when it starts", startedAt)
		}
		e.StartedAt = t.UTC()
	}
	if weight != "" {
		w, err := parseShare(weight)
		if err != nil {
			return err
		}
		e.Step = &analysis.Step{Weight: w, At: e.Time}
	}
	return nil
}

// parseShare reads 10% or 0.1.
func parseShare(text string) (float64, error) {
	number, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(number, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 1) {
		return 0, fmt.Errorf("--weight %q is no share (write 10%% or 0.1; legal: 0 to 100%%)", text)
	}
	return v, nil
}

// post sends an event over HTTP.
func post(ctx context.Context, server string, m intake.Message) error {
	cl, err := newClient(server)
	if err != nil {
		return err
	}
	header, body := m.HTTP()
	answer, status, err := cl.do(ctx, http.MethodPost, "/v1/events", header, body)
	if err != nil && (status == http.StatusUnprocessableEntity || status == http.StatusConflict || status == http.StatusRequestEntityTooLarge) {
		return usage(fmt.Errorf("the event was refused: %s", detailOf(answer)))
	}
	return err
}

// produce writes an event to a Kafka topic.
func produce(ctx context.Context, c kafka.Config, topic string, m intake.Message) error {
	client, err := kafka.Connect(c)
	if err != nil {
		return usage(err)
	}
	defer client.Close()
	w := client.Writer(topic)
	defer w.Close()
	record := kafkago.Message{Key: m.Key, Value: m.Value}
	for _, h := range m.Headers {
		record.Headers = append(record.Headers, kafkago.Header{Key: h.Key, Value: h.Value})
	}
	if err := w.WriteMessages(ctx, record); err != nil {
		return internal(fmt.Errorf("topic %s: %w", topic, err))
	}
	return nil
}
