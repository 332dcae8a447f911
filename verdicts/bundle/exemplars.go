package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/release-assay/assay/analysis"
)

// exemplarLine is one line of exemplars.jsonl: what is known of a trace, and the trace
// itself as OTLP JSON, unless it could not be had.
type exemplarLine struct {
	Exemplar analysis.Exemplar `json:"exemplar"`
	Trace    json.RawMessage   `json:"trace,omitempty"`
}

// AppendExemplar appends the line of a fetched trace to a file of them.
func AppendExemplar(to []byte, e analysis.Exemplar) ([]byte, error) {
	line, err := json.Marshal(exemplarLine{e, e.Body})
	if err != nil {
		return to, fmt.Errorf("exemplar %s: %w", e.TraceID, err)
	}
	return append(append(to, line...), '\n'), nil
}

// Exemplars returns the traces that were fetched to be looked at, in the order in which
// they came, with their bodies.
func (b *Bundle) Exemplars() ([]analysis.Exemplar, error) {
	return ReadExemplars(b.content[exemplarsJSONL])
}

// ReadExemplars reads lines of AppendExemplar and holds every trace against its digest.
// With an error it returns those before it.
func ReadExemplars(lines []byte) ([]analysis.Exemplar, error) {
	var out []analysis.Exemplar
	for n := 1; len(lines) > 0; n++ {
		line, rest, ended := bytes.Cut(lines, []byte{'\n'})
		if !ended {
			return out, fmt.Errorf("%s: line %d has no end", exemplarsJSONL, n)
		}
		var e exemplarLine
		if err := json.Unmarshal(line, &e); err != nil {
			return out, fmt.Errorf("%s, line %d: %w", exemplarsJSONL, n, err)
		}
		sum := sha256.Sum256(e.Trace)
		if e.Exemplar.Missing == "" && e.Exemplar.Digest != digest(sum[:]) {
			return out, fmt.Errorf("%s, line %d: the trace %s is not the one with the digest %s", exemplarsJSONL, n, e.Exemplar.TraceID, e.Exemplar.Digest)
		}
		e.Exemplar.Body = e.Trace
		out = append(out, e.Exemplar)
		lines = rest
	}
	return out, nil
}
