package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/release-assay/assay/internal/httpapi"
	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/store"
)

func newIngest(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "ingest",
		Short: "Look after the reading of deployment events",
		Long: `Ingest shows and mends how deployment events are read from Kafka. What is read and what
is stopped is also in GET /v1/status.`,
		Example: "  assay ingest resume --from first",
	}
	return group(c, newIngestResume(s))
}

func newIngestResume(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "resume",
		Short: "Let stopped partitions go on",
		Long: `Resume lets partitions go on that are stopped because their topic was created anew, has
lost its end, or has a record on which reading hangs. Assay does not choose by itself:

  --from first   read all that the log has; what is known already is recognised by its
                 source and id, and dropped
  --from end     leave out what the log holds now; what is announced there is not judged
  --from OFFSET  anything between

Partitions that are being read are never moved. The choice is written to the audit log
with your name.`,
		Example: `  assay ingest resume --from first
  assay ingest resume --partition 3 --from end --reason "restored from last night's copy"`,
		Args: exactArgs(0, "no arguments"),
	}
	server, output := addServer(c), addOutput(c)
	f := c.Flags()
	from := f.String("from", "", "where to go on: first, end or an offset (required)")
	partition := f.Int("partition", 0, "the partition (default: all that are stopped)")
	by := addBy(c, "who chooses")
	reason := f.String("reason", "", "why, for the audit log")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *from == "" {
			return usage(fmt.Errorf("--from is missing: first, end or an offset\nsee '%s --help'", c.CommandPath()))
		}
		request := httpapi.ResumeRequest{From: *from, By: nameOf(*by), Reason: *reason}
		if f.Changed("partition") {
			request.Partition = partition
		}
		return ingestResume(c.Context(), s, *server, request, *output)
	}
	return c
}

func ingestResume(ctx context.Context, s streams, server string, request httpapi.ResumeRequest, output outputFlag) error {
	cl, err := newClient(server)
	if err != nil {
		return err
	}
	body, err := json.Marshal(request)
	if err != nil {
		return internal(err)
	}
	data, _, err := cl.do(ctx, http.MethodPost, "/v1/ingest/resume", http.Header{"Content-Type": {"application/json"}}, body)
	if err != nil {
		return err
	}
	if output == "json" {
		_, err := s.out.Write(data)
		return err
	}
	var answer httpapi.ResumeAnswer
	if err := json.Unmarshal(data, &answer); err != nil {
		return internal(fmt.Errorf("the answer of %s is not understood: %w", cl.name, err))
	}
	for _, r := range answer.Resumed {
		fmt.Fprintf(s.out, "partition %d goes on at offset %d (it was at %d)\n", r.Partition, r.Next, r.Was)
	}
	return nil
}

// resume carries out an operator's choice of where stopped partitions go on.
func (s *server) resume(ctx context.Context, c intake.Choice) ([]intake.Resumed, error) {
	resumed, err := intake.Resume(ctx, s.kafka, s.store, s.intake.Snapshot(s.now()), c, s.now())
	for _, r := range resumed {
		s.log.Info("a partition was resumed by an operator", "partition", r.Partition, "was", r.Was, "next", r.Next, "by", c.By, "reason", c.Reason)
	}
	return resumed, err
}

// A gap is offsets of the topic of deployments that were gone before they could be
// read, From up to and without To, as status shows it.
type gap struct {
	Topic     string    `json:"topic"`
	Partition int       `json:"partition"`
	From      int64     `json:"from"`
	To        int64     `json:"to"`
	Since     time.Time `json:"since,omitzero"` // when the last event before it was received; none: there is no such event
	Until     time.Time `json:"until"`          // when the gap was found
}

// gaps are the incidents of intake: releases that were announced between since and
// until may not be known.
func (s *server) gaps(ctx context.Context) ([]gap, error) {
	found, err := s.store.Gaps(ctx)
	out := []gap{}
	for _, g := range found {
		out = append(out, gapOf(g))
	}
	return out, err
}

func gapOf(g store.Gap) gap {
	return gap{Topic: g.Topic, Partition: g.Partition, From: g.From, To: g.To, Since: g.Since, Until: g.At}
}

// accept takes an event that came over HTTP.
func (s *server) accept(ctx context.Context, header http.Header, body []byte) (httpapi.EventAnswer, error) {
	a, err := intake.Accepter{Store: s.store}.AcceptHTTP(ctx, header, body, s.now())
	if err != nil {
		return httpapi.EventAnswer{}, err
	}
	s.metrics.Posted(a.Outcome)
	answer := httpapi.EventAnswer{Outcome: a.Outcome, DeploymentID: a.DeploymentID}
	if a.Rejection != nil {
		answer.Reason, answer.Error = string(a.Rejection.Reason), a.Rejection.Error()
	}
	return answer, nil
}
