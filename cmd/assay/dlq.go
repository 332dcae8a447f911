package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/verdicts"
)

// letter is a dead letter as the server shows it, with its record where one was
// asked for by its id.
type letter struct {
	ID           int64     `json:"id"`
	Reason       string    `json:"reason"`
	Error        string    `json:"error"`
	At           time.Time `json:"at"`
	Topic        string    `json:"topic"`
	Partition    int       `json:"partition"`
	Offset       int64     `json:"offset"`
	LastOffset   int64     `json:"lastOffset"`
	EventSource  string    `json:"eventSource"`
	EventID      string    `json:"eventId"`
	DeploymentID string    `json:"deploymentId"`
	Bytes        int64     `json:"bytes"`
	Replay       *struct {
		Outcome string    `json:"outcome"`
		Error   string    `json:"error"`
		At      time.Time `json:"at"`
		Times   int       `json:"times"`
	} `json:"replay"`
	Key     []byte `json:"key"`
	Value   []byte `json:"value"`
	Headers []struct {
		Key   string `json:"key"`
		Value []byte `json:"value"`
	} `json:"headers"`
}

// place is where the record stood.
func (l letter) place() string {
	at := fmt.Sprintf("%s/%d@%d", l.Topic, l.Partition, l.Offset)
	if l.LastOffset > l.Offset {
		at += fmt.Sprintf("-%d", l.LastOffset)
	}
	return verdicts.Plain(at)
}

// outcome is what became of the last replay.
func (l letter) outcome() string {
	if l.Replay == nil {
		return "-"
	}
	return verdicts.Plain(l.Replay.Outcome)
}

func newDLQ(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "dlq",
		Short: "Show and replay deployment events that were refused",
		Long: `Events that could not be taken are dead letters: they are kept with the reason, and
copied to the topic of dead letters. Replay hands one to Assay again, for example after
an upgrade that understands its schema. The letter stays, with what became of it.`,
		Example: "  assay dlq list\n  assay dlq show 17\n  assay dlq replay 17",
	}
	return group(c, newDLQList(s), newDLQShow(s), newDLQReplay(s))
}

// addReason adds --reason, which completes to the reasons that there are.
func addReason(c *cobra.Command, usageText string) *string {
	reason := c.Flags().String("reason", "", usageText)
	complete(c, "reason", reasonWords()...)
	return reason
}

func reasonWords() []string {
	var words []string
	for _, r := range intake.Reasons {
		words = append(words, string(r))
	}
	return words
}

func checkReason(reason string) error {
	if words := reasonWords(); reason != "" && !slices.Contains(words, reason) {
		return usage(fmt.Errorf("--reason %q is not known (legal: %s)", reason, strings.Join(words, ", ")))
	}
	return nil
}

func checkLetterID(id string) error {
	if _, err := strconv.ParseUint(id, 10, 63); err != nil {
		return usage(fmt.Errorf("%q is no id of a dead letter (a number, as 'assay dlq list' shows it)", id))
	}
	return nil
}

func newDLQList(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:     "list",
		Short:   "List dead letters, the newest first",
		Example: "  assay dlq list --reason unsupported_schema\n  assay dlq list --unsettled -o json",
		Args:    exactArgs(0, "no arguments"),
	}
	server, output := addServer(c), addOutput(c)
	reason := addReason(c, "only those of this reason")
	unsettled := c.Flags().Bool("unsettled", false, "only those that no replay has settled")
	limit := c.Flags().Int("limit", 50, "how many at most, from 1 to 1000")
	before := c.Flags().Int64("before", 0, "only those with an id below this one: the next page")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := checkReason(*reason); err != nil {
			return err
		}
		if *limit < 1 || *limit > 1000 || *before < 0 {
			return usage(errors.New("--limit is from 1 to 1000, and --before an id"))
		}
		q := url.Values{"limit": {strconv.Itoa(*limit)}}
		if *reason != "" {
			q.Set("reason", *reason)
		}
		if *unsettled {
			q.Set("unsettled", "true")
		}
		if *before > 0 {
			q.Set("before", strconv.FormatInt(*before, 10))
		}
		var answer struct{ DeadLetters []letter }
		body, err := askJSON(c.Context(), *server, http.MethodGet, "/v1/dead-letters?"+q.Encode(), &answer)
		if err != nil {
			return err
		}
		if *output == "json" {
			fmt.Fprintln(s.out, string(body))
			return nil
		}
		return s.letters(answer.DeadLetters)
	}
	return c
}

// letters prints a table, one line for each.
func (s streams) letters(list []letter) error {
	if len(list) == 0 {
		fmt.Fprintln(s.out, "no dead letters")
		return nil
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tREASON\tWHEN\tWHERE\tEVENT\tREPLAY\tERROR")
	for _, l := range list {
		event := "-"
		if l.EventID != "" {
			event = verdicts.Shorten(verdicts.Plain(l.EventSource+" "+l.EventID), 40)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, verdicts.Plain(l.Reason), l.At.UTC().Format(time.RFC3339), l.place(), event, l.outcome(),
			verdicts.Shorten(verdicts.Plain(l.Error), 80))
	}
	return w.Flush()
}

func newDLQReplay(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "replay [ID...]",
		Short: "Hand dead letters to Assay again",
		Long: `Replay decodes the events of dead letters again and accepts them as if they had just
come, in the order in which they were refused. Name their ids, or a reason, or --all;
--all leaves out conflict and unauthorised, which may be forgeries: name these. What was
accepted once is not accepted again. The exit code is 2 if any was refused again.`,
		Example: "  assay dlq replay 17 18\n  assay dlq replay --reason unsupported_schema\n  assay dlq replay --all",
	}
	server, output := addServer(c), addOutput(c)
	reason := addReason(c, "all of this reason that no replay has settled")
	all := c.Flags().Bool("all", false, "all that no replay has settled, but for conflict and unauthorised")
	by := addBy(c, "who replays")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkReason(*reason); err != nil {
			return err
		}
		ways := 0
		for _, given := range []bool{len(args) > 0, *reason != "", *all} {
			if given {
				ways++
			}
		}
		if ways != 1 {
			return usage(errors.New("name either ids, or --reason, or --all\nsee 'assay dlq replay --help'"))
		}
		for _, id := range args {
			if err := checkLetterID(id); err != nil {
				return err
			}
		}
		var replayed []letter
		var err error
		if len(args) > 0 {
			replayed, err = replayEach(c.Context(), *server, args, nameOf(*by))
		} else {
			replayed, err = replayAll(c.Context(), *server, *reason, nameOf(*by))
		}
		if shown := s.replayed(replayed, *output == "json"); shown != nil || err != nil {
			return errors.Join(err, shown)
		}
		if len(replayed) == 0 && *output != "json" {
			fmt.Fprintln(s.out, "nothing to replay")
		}
		refused := 0
		for _, l := range replayed {
			if l.outcome() == "refused" {
				refused++
			}
		}
		if refused > 0 {
			return usage(fmt.Errorf("%d of %d were refused again; 'assay dlq show ID' says why", refused, len(replayed)))
		}
		return nil
	}
	return c
}

// replayEach replays dead letters by their ids, in the order given.
func replayEach(ctx context.Context, server string, ids []string, by string) ([]letter, error) {
	var out []letter
	for _, id := range ids {
		var l letter
		if _, err := askJSON(ctx, server, http.MethodPost, "/v1/dead-letters/"+id+"/replay?by="+url.QueryEscape(by), &l); err != nil {
			return out, err
		}
		out = append(out, l)
	}
	return out, nil
}

// replayAll replays those of a reason, page by page.
func replayAll(ctx context.Context, server, reason, by string) ([]letter, error) {
	var out []letter
	var after int64
	for {
		q := url.Values{"by": {by}, "after": {strconv.FormatInt(after, 10)}}
		if reason != "" {
			q.Set("reason", reason)
		}
		var page struct {
			DeadLetters []letter
			Last        int64
			More        bool
		}
		if _, err := askJSON(ctx, server, http.MethodPost, "/v1/dead-letters/replay?"+q.Encode(), &page); err != nil {
			return out, err
		}
		out = append(out, page.DeadLetters...)
		if !page.More || page.Last <= after {
			return out, nil
		}
		after = page.Last
	}
}

// replayed shows what became of the letters that were replayed, also where a later
// one failed.
func (s streams) replayed(list []letter, asJSON bool) error {
	if asJSON {
		if list == nil {
			list = []letter{}
		}
		return json.NewEncoder(s.out).Encode(map[string]any{"deadLetters": list})
	}
	for _, l := range list {
		line := fmt.Sprintf("%d  %s", l.ID, l.outcome())
		if l.Replay != nil && l.Replay.Error != "" {
			line += "  " + verdicts.Plain(l.Replay.Error)
		}
		fmt.Fprintln(s.out, line)
	}
	return nil
}

// replay hands a dead letter to intake again.
func (s *server) replay(ctx context.Context, id int64, by string) (store.DeadLetter, error) {
	return intake.Replay(ctx, s.store, id, by, s.now())
}
