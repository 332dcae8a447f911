package e2e

import (
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/testdata/backends"
	"github.com/release-assay/assay/verdicts/bundle"
)

// A recording is what a component did before and after the fault that is taken for
// its deployment: cumulative counts of requests and of failed ones.
type recording struct {
	service  string
	deployed time.Time
	deadline time.Duration
	points   []point
}

type point struct {
	at               time.Time
	requests, failed float64 // since the point before
}

// TestRecordingsAreJudgedInRetrospect lets Assay judge the deployments of two
// recordings of real programs, years back, from a real Prometheus: one with a point
// in five minutes, one with a point a minute and a fault that half of the requests
// felt. Each component ran in one version at a time. The canary is read, and the
// answer is that there was nothing beside it to compare it with.
func TestRecordingsAreJudgedInRetrospect(t *testing.T) {
	recordings := []recording{petshop(t), onlineBoutique(t)}
	broker := backends.StartKafka(t)
	prom := backends.StartPrometheus(t, backends.PrometheusConfig{Backfill: []string{backfill(t, recordings)}})
	policies := ""
	for _, r := range recordings {
		policies += r.policy() + "---"
	}
	a := serve(t, setup{brokers: []string{broker.Addr}, prometheus: prom.URL, policies: policies})
	for _, r := range recordings {
		produce(t, broker.Addr, encode(t, analysis.Event{
			Source: "/recordings", ID: r.service, Time: r.deployed, StartedAt: r.deployed, Phase: analysis.PhaseStarted, Mode: analysis.Retrospective,
			DeploymentID: analysis.DeploymentID("recorded-" + r.service),
			Release:      analysis.Release{Environment: "recorded", Service: r.service, Version: "after", PreviousVersion: "before"},
		}))
	}
	for _, r := range recordings {
		t.Run(r.service, func(t *testing.T) {
			a.in(t)
			var list []listed
			a.eventually(20*time.Second, "the event is taken", func() error {
				if list = a.validations("recorded-" + r.service); len(list) != 1 {
					return fmt.Errorf("%d validations", len(list))
				}
				return nil
			})
			v, _ := a.final(list[0].ID, 30*time.Second)
			if v.Verdict.String() != "hold" || v.ReasonCode != analysis.NoConcurrentBaseline {
				t.Errorf("%s (%s: %s), want hold (no_concurrent_baseline)", v.Verdict, v.ReasonCode, v.Reason)
			}
			looks, canary, counted := canaryIn(t, a.proven(list[0].ID))
			t.Logf("%s: %s (%s): %s; %d looks, %d of them with samples of the canary, %.0f requests", r.service, v.Verdict, v.ReasonCode, v.Reason, looks, canary, counted)
			if want := r.after(); canary == 0 || counted == 0 || counted > want {
				t.Errorf("%d looks with samples of the canary count %.0f requests; the recording has %.0f after the deployment", canary, counted, want)
			}
		})
	}
	a.stop()
	a.verifyAudit()
}

// canaryIn counts the looks of a bundle, those that hold samples of the canary, and
// the canary's requests in them.
func canaryIn(t *testing.T, file string) (looks, canary int, counted float64) {
	t.Helper()
	b, err := bundle.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for look, err := range b.Looks() {
		if err != nil {
			t.Fatal(err)
		}
		looks++
		received := 0
		for _, e := range look.Evidence {
			for _, row := range e.Rows {
				if row.Arm == analysis.Canary {
					received += row.Received
					counted += row.Exposure
				}
			}
		}
		if received > 0 {
			canary++
		}
	}
	return looks, canary, counted
}

// after is how many requests the recording has from the deployment on.
func (r recording) after() float64 {
	sum := 0.0
	for _, p := range r.points {
		if !p.at.Before(r.deployed) {
			sum += p.requests
		}
	}
	return sum
}

func (r recording) policy() string {
	return fmt.Sprintf(`
apiVersion: openslo/v1
kind: SLO
metadata: {name: %[2]s-availability}
spec:
  service: %[1]s
  indicator:
    spec:
      ratioMetric:
        counter: true
        bad:   {metricSource: {type: Prometheus, spec: {query: requests_failed_total}}}
        total: {metricSource: {type: Prometheus, spec: {query: requests_total}}}
  timeWindow: [{duration: 4w, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.99}]
---
apiVersion: assay.dev/v1alpha1
kind: ReleaseValidation
metadata: {name: %[2]s}
spec:
  match: {service: %[1]s}
  window: {warmup: 0s, minBake: 5m, deadline: %[3]dm}
  objectives:
    - {sloRef: %[2]s-availability, role: critical}
`, r.service, strings.ToLower(r.service), int(r.deadline.Minutes()))
}

// backfill writes recordings as a Prometheus would have scraped them: one pod of
// the old version until the deployment, one of the new version from then on.
func backfill(t *testing.T, recordings []recording) string {
	t.Helper()
	out := exposition{}
	for _, r := range recordings {
		version, requests, failed := "", 0.0, 0.0
		for _, p := range r.points {
			now := "before"
			if !p.at.Before(r.deployed) {
				now = "after"
			}
			if now != version {
				version, requests, failed = now, 0, 0 // a new pod counts from 0
			}
			requests += p.requests
			failed += p.failed
			labels := map[string]string{
				"job": "recording", "service_name": r.service, "service_version": version, "deployment_environment_name": "recorded", "pod": r.service + "-" + version,
			}
			out.add("requests_total", labels, p.at, requests)
			out.add("requests_failed_total", labels, p.at, failed)
		}
	}
	return out.file(t)
}

// petshop is PetSite of the petshop recording, deployed when the issue was noticed.
func petshop(t *testing.T) recording {
	t.Helper()
	rows := table(t, "petshop", "metrics.csv.gz")
	requests, availability := -1, -1
	for i, name := range rows[0] {
		switch {
		case name == "PetSite" && rows[1][i] == "requests":
			requests = i
		case name == "PetSite" && rows[1][i] == "availability":
			availability = i
		}
	}
	r := recording{service: "PetSite", deployed: time.Unix(1681857605, 0).UTC(), deadline: 20 * time.Minute}
	for _, row := range rows[4:] {
		n := number(t, row[requests])
		r.points = append(r.points, point{time.Unix(int64(number(t, row[0])), 0), n, math.Round(n * (1 - number(t, row[availability])/100))})
	}
	return r
}

// onlineBoutique is the frontend of the Nezha recording, deployed when the fault
// "return" was injected into it.
func onlineBoutique(t *testing.T) recording {
	t.Helper()
	pod, entry := table(t, "nezha-onlineboutique", "frontend.csv.gz"), table(t, "nezha-onlineboutique", "front_service.csv.gz")
	r := recording{service: "frontend", deployed: time.Unix(1661140927, 0).UTC(), deadline: 15 * time.Minute}
	workload, success := column(t, pod, "PodWorkload(Ops)"), column(t, entry, "SuccessRate(%)")
	for i := 1; i < min(60, len(pod), len(entry)); i++ { // the first hour; both files have a row a minute
		n := math.Round(number(t, pod[i][workload]) * 60)
		r.points = append(r.points, point{time.Unix(int64(number(t, pod[i][1])), 0), n, math.Round(n * (1 - number(t, entry[i][success])/100))})
	}
	return r
}

func table(t *testing.T, elements ...string) [][]string {
	t.Helper()
	f, err := os.Open(filepath.Join(append([]string{"..", "..", "testdata", "recordings"}, elements...)...))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func column(t *testing.T, rows [][]string, name string) int {
	t.Helper()
	for i, n := range rows[0] {
		if n == name {
			return i
		}
	}
	t.Fatalf("no column %s", name)
	return 0
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
