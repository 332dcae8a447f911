package httpapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/fuzztest"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/verdicts"
)

// FuzzParameters asks every address that takes a key or parameters with anything in
// their place: no answer blames the server, what calls itself JSON is JSON, and a word
// to act on is answered only to who names the deployment or validation that has it.
func FuzzParameters(f *testing.F) {
	st, err := store.Open(f.Context(), filepath.Join(f.TempDir(), "assay.db"), at)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { st.Close() })
	d := analysis.Deployment{ID: "d1", Attempt: 1, StartedAt: at, Mode: analysis.Live, Release: analysis.Release{Environment: "prod", Service: "checkout", Version: "1.5.0"}}
	v := verdicts.Verdict{ValidationID: d.Validation(), DeploymentID: d.ID, Verdict: verdicts.Promote, Final: true, Bundle: string(d.Validation()) + ".tar.zst"}
	body, err := json.Marshal(v)
	if err != nil {
		f.Fatal(err)
	}
	_, err = st.Apply(f.Context(), store.Change{
		Open: []store.Validation{{ID: d.Validation(), Deployment: d, AcceptedAt: at, Latest: body}}, Now: at,
		Finals: []store.Final{{Validation: d.Validation(), Verdict: body, Word: "promote", VerdictID: v.ID(), Seq: 1, IssuedAt: at, Audit: store.AuditEntry{At: at, Actor: "test", Action: "a", Subject: "s"}}},
	})
	if err != nil {
		f.Fatal(err)
	}
	handler := New(Config{Store: st, Bundles: f.TempDir(), Metrics: http.NotFoundHandler()})
	for _, key := range []string{"d1", "prod:checkout:1.5.0", "prod:/checkout:1.5.0", ":::", "..", "%00", string(d.Validation()), "d1%2F..", "\x00"} {
		for _, query := range []string{"", "format=text", "after=2026-03-02T10:00:00Z", "limit=1000&before=x", "limit=-1", "%zz", "service=checkout&verdict=promote", "after=9999-99-99", "by=%1b[31m"} {
			f.Add(uint8(0), key, query)
			f.Add(uint8(2), key, query)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, key, query string) {
		address := []string{"/v1/validations/" + url.PathEscape(key) + "/verdict", "/v1/validations/" + url.PathEscape(key), "/v1/validations", "/v1/validations/" + url.PathEscape(key) + "/bundle", "/" + key}[which%5]
		fuzztest.Within(t, func() {
			req, err := http.NewRequest(http.MethodGet, "http://assay"+address, nil)
			if err != nil {
				return
			}
			req.URL.RawQuery = query
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, req.WithContext(t.Context()))
			if answer.Code >= 500 {
				t.Fatalf("%s?%s: %d %s", address, query, answer.Code, answer.Body)
			}
			if strings.Contains(answer.Header().Get("Content-Type"), "json") && !json.Valid(answer.Body.Bytes()) {
				t.Fatalf("%s?%s: no JSON: %s", address, query, answer.Body)
			}
			var told verdicts.Verdict
			if which%5 != 0 || answer.Code != http.StatusOK || json.Unmarshal(answer.Body.Bytes(), &told) != nil || told.Verdict != verdicts.Promote {
				return
			}
			named := key == "d1" || key == string(d.Validation()) || strings.Contains(query, "after=") && strings.HasSuffix(key, "checkout:1.5.0")
			if !named {
				t.Fatalf("%q is told to promote", key)
			}
		})
	})
}
