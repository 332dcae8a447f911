package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/release-assay/assay/verdicts"
)

// maxShown bounds what a terminal gets of one value.
const maxShown = 16 << 10

func newDLQShow(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "show ID",
		Short: "Show a dead letter with its record",
		Long: `Show prints what was refused, why, and the record as it came. What a terminal would
obey instead of show is escaped; -o json has the very bytes, as base64.`,
		Example: "  assay dlq show 17\n  assay dlq show 17 -o json | jq -r .value | base64 -d",
		Args:    exactArgs(1, "the id of a dead letter, as 'assay dlq list' shows it"),
	}
	server, output := addServer(c), addOutput(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkLetterID(args[0]); err != nil {
			return err
		}
		var l letter
		body, err := askJSON(c.Context(), *server, http.MethodGet, "/v1/dead-letters/"+args[0], &l)
		if err != nil {
			return err
		}
		if *output == "json" {
			fmt.Fprintln(s.out, string(body))
			return nil
		}
		return showLetter(s.out, l)
	}
	return c
}

func showLetter(w io.Writer, l letter) error {
	var page bytes.Buffer
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&page, "%-11s %s\n", name, value)
		}
	}
	field("reason", verdicts.Plain(l.Reason))
	field("error", verdicts.Plain(l.Error))
	field("when", l.At.UTC().Format(time.RFC3339Nano))
	field("where", l.place())
	field("event", verdicts.Plain(l.EventSource+" "+l.EventID))
	field("deployment", verdicts.Plain(l.DeploymentID))
	if r := l.Replay; r != nil {
		field("replay", strings.TrimSpace(fmt.Sprintf("%s at %s (%d times) %s", l.outcome(), r.At.UTC().Format(time.RFC3339), r.Times, verdicts.Plain(r.Error))))
	}
	field("key", visible(l.Key))
	for _, h := range l.Headers {
		field("header", visible([]byte(h.Key))+": "+visible(h.Value))
	}
	fmt.Fprintf(&page, "value, %d bytes\n", len(l.Value))
	shown := l.Value[:min(len(l.Value), maxShown)]
	for line := range strings.Lines(visible(shown)) {
		page.WriteString("  " + line)
	}
	if len(shown) > 0 {
		page.WriteByte('\n')
	}
	if more := len(l.Value) - len(shown); more > 0 {
		fmt.Fprintf(&page, "  … and %d bytes more: -o json has them\n", more)
	}
	_, err := w.Write(page.Bytes())
	return err
}

// visible is text as a terminal can show it and obeys nothing of it: what is not
// printable, turns the direction of writing or is no UTF-8 stands as an escape of Go,
// line breaks and tabs stay.
func visible(text []byte) string {
	var out strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02x`, text[0])
		case r == '\n', r == '\t', strconv.IsPrint(r):
			out.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			out.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[size:]
	}
	return out.String()
}
