package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/verdicts"
)

var web = &http.Client{Timeout: 10 * time.Second}

// ask sends a request to this Assay's HTTP interface.
func (a *assay) ask(method, path string, header http.Header, body []byte) (int, []byte, error) {
	req, err := http.NewRequest(method, "http://"+a.web+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	res, err := web.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, bytes.TrimSpace(answer), err
}

// get asks for JSON, which must be there.
func (a *assay) get(path string, into any) {
	a.t.Helper()
	status, body, err := a.ask(http.MethodGet, path, nil, nil)
	if err != nil || status != http.StatusOK {
		a.t.Fatalf("GET %s: %d %s %v", path, status, body, err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		a.t.Fatalf("GET %s: %v\n%s", path, err, body)
	}
}

// verdict asks the address that pipelines poll; the second result is its bytes.
func (a *assay) verdict(key string) (verdicts.Verdict, []byte) {
	a.t.Helper()
	status, body, err := a.ask(http.MethodGet, "/v1/validations/"+url.PathEscape(key)+"/verdict", nil, nil)
	if err != nil || status != http.StatusOK {
		a.t.Fatalf("verdict of %s: %d %s %v", key, status, body, err)
	}
	var v verdicts.Verdict
	if err := json.Unmarshal(body, &v); err != nil {
		a.t.Fatalf("verdict of %s: %v\n%s", key, err, body)
	}
	return v, body
}

// final waits for the final verdict of a deployment or validation.
func (a *assay) final(key string, within time.Duration) (verdicts.Verdict, []byte) {
	a.t.Helper()
	var v verdicts.Verdict
	var body []byte
	a.eventually(within, "a final verdict of "+key, func() error {
		if v, body = a.verdict(key); !v.Final {
			return fmt.Errorf("%s (%s): %s", v.Verdict, v.ReasonCode, v.Reason)
		}
		return nil
	})
	return v, body
}

// validations lists those of a deployment; of all, if id is empty.
func (a *assay) validations(id string) []listed {
	a.t.Helper()
	var list struct{ Validations []listed }
	path := "/v1/validations?limit=1000"
	if id != "" {
		path += "&deployment=" + url.QueryEscape(id)
	}
	a.get(path, &list)
	return list.Validations
}

// listed is a validation as the list shows it.
type listed struct {
	ID         string
	Phase      string
	Deployment analysis.Deployment
	Verdict    verdicts.Verdict
}

// status is what the tests read of /v1/status.
type status struct {
	Parts []struct {
		Name, Kind, Where, State string
		Detail                   json.RawMessage
	}
	OpenValidations int
	DeadLetters     map[string]int
	Outbox          map[string]int
}

func (a *assay) status() status {
	a.t.Helper()
	var s status
	a.get("/v1/status", &s)
	return s
}

// part is the state of a part, empty if status does not show it.
func (s status) part(name string) string {
	for _, p := range s.Parts {
		if p.Name == name {
			return p.State
		}
	}
	return ""
}

// intake is what came over Kafka since the process started.
func (s status) intake() (accepted, duplicates int) {
	var detail struct {
		Counts struct{ Accepted, Duplicates int }
	}
	for _, p := range s.Parts {
		if p.Name == "kafka" {
			_ = json.Unmarshal(p.Detail, &detail)
		}
	}
	return detail.Counts.Accepted, detail.Counts.Duplicates
}

// proven downloads the bundle of a final verdict, verifies it and judges it again,
// as a stranger would, and returns its file.
func (a *assay) proven(id string) string {
	a.t.Helper()
	file := filepath.Join(a.t.TempDir(), "evidence.tar.zst")
	a.eventually(10*time.Second, "the bundle of "+id, func() error {
		if o := a.run("bundle", "get", id, file); o.code != 0 {
			return fmt.Errorf("bundle get: %v", o)
		}
		return nil
	})
	if o := command(a.t, nil, "bundle", "verify", file); o.code != 0 {
		a.t.Errorf("bundle verify of %s: %v", id, o)
	}
	if o := command(a.t, nil, "rejudge", file); o.code != 0 || !strings.Contains(o.out, "byte for byte") {
		a.t.Errorf("rejudge of %s: %v", id, o)
	}
	return file
}

// withStore opens the database of an Assay that does not run.
func (a *assay) withStore(f func(context.Context, *store.Store)) {
	a.t.Helper()
	ctx := context.Background()
	s, err := store.Open(ctx, a.data("assay.db"), time.Now())
	if err != nil {
		a.t.Fatal(err)
	}
	defer s.Close()
	f(ctx, s)
}

// verifyAudit follows the hash chain of the audit log and reads every page of the
// database of an Assay that does not run.
func (a *assay) verifyAudit() {
	a.t.Helper()
	a.withStore(func(ctx context.Context, s *store.Store) {
		if err := s.VerifyAudit(ctx); err != nil {
			a.t.Error(err)
		}
		if err := s.IntegrityCheck(ctx); err != nil {
			a.t.Error(err)
		}
	})
}

// A record is one verdict as it stands on Kafka.
type record struct {
	id, key string
	verdict json.RawMessage // subject.content of the CDEvent
}

// records reads the whole verdict topic.
func records(t testing.TB, broker string) []record {
	t.Helper()
	var out []record
	eachRecord(t, broker, kafka.TopicVerdicts, func(_ int, r kafka.Record) { out = append(out, recordOf(t, r)) })
	return out
}

// eachRecord reads a whole topic, one partition after the other.
func eachRecord(t testing.TB, broker, topic string, f func(partition int, r kafka.Record)) {
	t.Helper()
	client, err := kafka.Connect(kafka.Config{Brokers: []string{broker}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	partitions, err := client.Partitions(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	for p := range partitions {
		_, end, err := client.Offsets(ctx, topic, p)
		if err != nil {
			t.Fatal(err)
		}
		for next := int64(0); next < end; {
			fetched, err := client.Fetch(ctx, kafka.Position{Topic: topic, Partition: p, Offset: next})
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range fetched.Batches {
				for _, r := range b.Records {
					f(p, r)
				}
			}
			next = fetched.Next
		}
	}
}

func recordOf(t testing.TB, r kafka.Record) record {
	t.Helper()
	var event struct {
		Subject struct{ Content json.RawMessage }
	}
	if err := json.Unmarshal(r.Value, &event); err != nil {
		t.Fatalf("a verdict on Kafka is no JSON: %v\n%s", err, r.Value)
	}
	out := record{key: string(r.Key), verdict: event.Subject.Content}
	for _, h := range r.Headers {
		if h.Key == "ce_id" {
			out.id = string(h.Value)
		}
	}
	return out
}

// published waits until the verdict topic holds so many different verdicts, and
// returns each once by its deployment, and how many records were repeated.
func published(t testing.TB, broker string, want int) (byDeployment map[string]record, repeated int) {
	t.Helper()
	eventually(t, 30*time.Second, fmt.Sprintf("%d verdicts on Kafka", want), func() error {
		byDeployment, repeated = map[string]record{}, 0
		byID := map[string]record{}
		for _, r := range records(t, broker) {
			if first, again := byID[r.id]; again {
				if repeated++; !bytes.Equal(first.verdict, r.verdict) || first.key != r.key {
					t.Fatalf("two different records have the id %s:\n%s\n%s", r.id, first.verdict, r.verdict)
				}
				continue
			}
			byID[r.id] = r
			var v verdicts.Verdict
			if err := json.Unmarshal(r.verdict, &v); err != nil {
				t.Fatal(err)
			}
			if other, twice := byDeployment[string(v.DeploymentID)]; twice {
				t.Fatalf("deployment %s has two verdicts:\n%s\n%s", v.DeploymentID, other.verdict, r.verdict)
			}
			byDeployment[string(v.DeploymentID)] = r
		}
		if len(byDeployment) != want {
			return fmt.Errorf("%d are there", len(byDeployment))
		}
		return nil
	})
	return byDeployment, repeated
}
