package loki

import (
	"net/http/httptest"
	"testing"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/replay"
	"github.com/release-assay/assay/sources/sourcetest"
)

// The same suite runs against a real Loki in internal/e2e.
func TestConformance(t *testing.T) {
	sourcetest.Run(t, sourcetest.Harness{
		Open: func(t *testing.T, rec replay.Recording) sources.Source {
			return open(t, newFake(t, written(rec)...).URL)
		},
		Unavailable: func(t *testing.T) sources.Source {
			server := httptest.NewServer(nil)
			server.Close()
			return open(t, server.URL)
		},
		NoCounters: true, Lines: true, ReportsObserved: true,
	})
}

// written is the recording as a collector would have pushed it: the service names the
// stream, and all else is structured metadata.
func written(rec replay.Recording) (all []stored) {
	for _, pod := range rec.Pods {
		for _, l := range pod.Lines {
			s := stored{stream: map[string]string{}, meta: map[string]string{}, at: l.Time.UnixNano(), line: l.Text}
			for name, value := range pod.Attributes {
				into := s.meta
				if name == analysis.AttrService {
					into = s.stream
				}
				into[naming{}.of(name)[0]] = value
			}
			if l.Severity != analysis.SeverityUnknown {
				s.meta["level"] = l.Severity.String()
			}
			if l.TraceID != "" {
				s.meta["trace_id"] = l.TraceID
			}
			all = append(all, s)
		}
	}
	return all
}
