package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/verdicts"
)

// verdict answers the address that pipeline tools poll: always 200, always the
// full object, never a word to act on unless it is certain which deployment is
// meant.
func (s *server) verdict(w http.ResponseWriter, r *http.Request) {
	format := r.URL.Query().Get("format")
	if format != "" && format != "text" && format != "json" {
		problem(w, http.StatusBadRequest, "format must be text or json")
		return
	}
	var after *time.Time
	if text := r.URL.Query().Get("after"); text != "" {
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			problem(w, http.StatusBadRequest, "after must be a time as RFC 3339 writes it, e.g. 2026-11-23T10:00:00Z")
			return
		}
		after = &t
	}
	key := r.PathValue("key")
	s.serve(w, r, key, func(ctx context.Context) (page, error) {
		body, err := s.answer(ctx, key, after)
		if err == nil {
			body, err = s.blocked(body)
		}
		if err != nil {
			return page{}, err
		}
		var v verdicts.Verdict
		if err := json.Unmarshal(body, &v); err != nil {
			return page{}, err
		}
		p := page{body: append(body, '\n'), contentType: "application/json", validation: string(v.ValidationID), final: v.Final}
		if format == "text" {
			p.body, p.contentType = []byte(v.Verdict.String()+"\n"), "text/plain; charset=utf-8"
		}
		return p, nil
	})
}

// answer returns the verdict object for a key: a deployment id, a validation id,
// or environment:[namespace/]service:version.
func (s *server) answer(ctx context.Context, key string, after *time.Time) ([]byte, error) {
	attempts, err := s.Store.ByDeployment(ctx, analysis.DeploymentID(key))
	if err != nil {
		return nil, err
	}
	attempts = live(attempts)
	if len(attempts) > 0 {
		return newestOf(key, attempts)
	}
	if row, err := s.Store.Validation(ctx, analysis.ValidationID(key)); err == nil {
		return latest(row)
	}
	if environment, namespace, service, version, ok := releaseKey(key); ok {
		return s.byRelease(ctx, key, environment, namespace, service, version, after)
	}
	if letter, found, err := s.Store.Unsupported(ctx, key); err == nil && found {
		return encode(verdicts.Verdict{
			DeploymentID: analysis.DeploymentID(key), Verdict: verdicts.Hold, Final: true, ReasonCode: analysis.UnsupportedSchema, Reason: verdicts.Line(letter.Error),
		})
	}
	return notSeen(key)
}

// live leaves out what is served by validation id only.
func live(rows []store.Validation) []store.Validation {
	var out []store.Validation
	for _, v := range rows {
		if m := v.Deployment.Mode; m != analysis.Retrospective && m != analysis.Shadow {
			out = append(out, v)
		}
	}
	return out
}

// newestOf returns the newest attempt, unless the deployment id was used for more
// than one service.
func newestOf(key string, attempts []store.Validation) ([]byte, error) {
	var names []string
	newest := attempts[0]
	first := placeOf(attempts[0])
	for _, a := range attempts {
		if place := placeOf(a); place != first {
			names = append(names, place)
		}
		if a.Deployment.Attempt > newest.Deployment.Attempt {
			newest = a
		}
	}
	if len(names) > 0 {
		return ambiguous(key, append([]string{first}, names...))
	}
	return latest(newest)
}

func placeOf(v store.Validation) string {
	r := v.Deployment.Release
	if r.Namespace != "" {
		return r.Environment + ":" + r.Namespace + "/" + r.Service
	}
	return r.Environment + ":" + r.Service
}

func (s *server) byRelease(ctx context.Context, key, environment, namespace, service, version string, after *time.Time) ([]byte, error) {
	rows, err := s.Store.NewestLive(ctx, environment, namespace, service, version, after)
	if err != nil {
		return nil, err
	}
	switch {
	case len(rows) == 0:
		return notSeen(key)
	case len(rows) > 1:
		var names []string
		for _, v := range rows {
			names = append(names, placeOf(v))
		}
		return ambiguous(key, names)
	}
	body, err := latest(rows[0])
	if err != nil || after != nil {
		return body, err
	}
	var v verdicts.Verdict
	if err := json.Unmarshal(body, &v); err != nil {
		return nil, err
	}
	if v.Verdict == verdicts.Promote {
		// The same version may have been deployed again since: an old promote must
		// never answer for a newer deployment.
		v.Verdict, v.Final, v.ReasonCode, v.Advice = verdicts.Pending, false, analysis.NameTheDeployment, verdicts.Keep
		v.IssuedAt, v.NotAfter, v.Bundle, v.Seq = nil, nil, "", 0
		v.Reason = verdicts.Line("a deployment of this version was promoted; ask by its deployment id, or add ?after= its start: " + string(v.DeploymentID))
		return encode(v)
	}
	return body, nil
}

// releaseKey cuts environment:[namespace/]service:version.
func releaseKey(key string) (environment, namespace, service, version string, ok bool) {
	parts := strings.SplitN(key, ":", 3)
	if len(parts) != 3 || parts[0] == "" || parts[2] == "" {
		return "", "", "", "", false
	}
	service = parts[1]
	if before, after, found := strings.Cut(parts[1], "/"); found {
		namespace, service = before, after
	}
	return parts[0], namespace, service, parts[2], service != ""
}

func notSeen(key string) ([]byte, error) {
	return encode(verdicts.Verdict{DeploymentID: analysis.DeploymentID(verdicts.Line(key)), ReasonCode: analysis.NotSeen, Reason: "no deployment event of that key has arrived yet"})
}

func ambiguous(key string, names []string) ([]byte, error) {
	return encode(verdicts.Verdict{
		DeploymentID: analysis.DeploymentID(verdicts.Line(key)), ReasonCode: analysis.AmbiguousDeployment,
		Reason: verdicts.Line("the key fits more than one: " + strings.Join(names, ", ")),
	})
}

// latest is the newest verdict object of a validation, byte for byte as stored.
func latest(v store.Validation) ([]byte, error) {
	if v.Latest != nil {
		return v.Latest, nil
	}
	r := v.Deployment.Release
	return encode(verdicts.Verdict{
		ValidationID: v.ID, DeploymentID: v.Deployment.ID, Attempt: v.Deployment.Attempt, Environment: r.Environment, Namespace: r.Namespace,
		Service: r.Service, Version: r.Version, ReasonCode: analysis.Planning, Reason: "accepted; cohorts and history are being resolved",
	})
}

func encode(v verdicts.Verdict) ([]byte, error) { return json.Marshal(v) }
