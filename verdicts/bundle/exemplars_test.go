package bundle

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/release-assay/assay/analysis"
)

func TestExemplars(t *testing.T) {
	trace := []byte(`{"resourceSpans":[]}`)
	sum := sha256.Sum256(trace)
	had := analysis.Exemplar{TraceID: "0af7651916cd43dd8448eb211c80319c", Kind: analysis.ExemplarFailed, Arm: analysis.Canary, Source: "jaeger", Spans: 2, Digest: digest(sum[:]), Body: trace}
	missing := analysis.Exemplar{TraceID: "1", Kind: analysis.ExemplarNamed, Missing: analysis.ExemplarUnavailable}
	c := contents(t, 1)
	var err error
	for _, e := range []analysis.Exemplar{had, missing} {
		if c.Exemplars, err = AppendExemplar(c.Exemplars, e); err != nil {
			t.Fatal(err)
		}
	}
	var file bytes.Buffer
	if _, err := Write(&file, c); err != nil {
		t.Fatal(err)
	}
	b, err := Read(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.Exemplars()
	if err != nil || len(got) != 2 || !bytes.Equal(got[0].Body, trace) || got[0].Source != "jaeger" || got[1].Missing != analysis.ExemplarUnavailable || got[1].Body != nil {
		t.Errorf("read %+v, %v", got, err)
	}

	for name, lines := range map[string]string{
		"another trace": strings.Replace(string(c.Exemplars), "resourceSpans", "resourceSpam", 1),
		"no line end":   strings.TrimSuffix(string(c.Exemplars), "\n"),
		"no JSON":       "{\n",
	} {
		broken := c
		broken.Exemplars = []byte(lines)
		if _, err := Write(&bytes.Buffer{}, broken); err == nil {
			t.Errorf("%s: it was written", name)
		}
	}
}
