package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/lab"
	"github.com/release-assay/assay/verdicts"
)

// TestCommandLine holds the commands to what pipelines depend on: exit codes,
// -o json, and one answer for every id.
func TestCommandLine(t *testing.T) {
	a := serve(t, setup{})
	w := worldOf(t, 22*time.Minute, "healthy", "error-regression", "telemetry-outage")
	w.push(a)
	for _, s := range w.scenes {
		o := a.emit(s.Name, "--environment", s.Environment(), "--started-at", w.deployed.Format(time.RFC3339))
		if o.code != 0 || o.out != s.Name {
			t.Fatalf("emit of %s: %v", s.Name, o)
		}
		a.final(s.Name, 20*time.Second)
	}
	if o := a.emit("open", "--environment", "demo-open"); o.code != 0 {
		t.Fatalf("emit: %v", o)
	}
	a.eventually(5*time.Second, "the open deployment is seen", seen(a, "open"))

	t.Run("wait", func(t *testing.T) {
		a.in(t)
		for _, test := range []struct {
			args []string
			code int
			says string
		}{
			{[]string{"healthy"}, 0, "promote"},
			{[]string{"error-regression"}, 3, "rollback"},
			{[]string{"error-regression", "--on-hold", "pass"}, 3, "rollback"},
			{[]string{"telemetry-outage"}, 4, "hold"},
			{[]string{"telemetry-outage", "--on-hold=pass"}, 0, "hold"},
			{[]string{"telemetry-outage", "--on-hold=fail"}, 4, "hold"},
			{[]string{"open", "--timeout", "1500ms"}, 5, "pending"},
			{[]string{"never-heard-of", "--timeout", "1500ms"}, 5, "not_seen"},
			{[]string{"never-heard-of", "--timeout", "1500ms", "--on-hold=pass"}, 5, "not_seen"},
			{[]string{"healthy", "--on-hold", "perhaps"}, 2, ""},
			{[]string{}, 2, ""},
			{[]string{"healthy", "another"}, 2, ""},
			{[]string{"healthy", "--server", "nonsense"}, 2, ""},
			{[]string{"healthy", "--server", "http://" + freeAddress(t), "--timeout", "5s"}, 1, ""},
		} {
			o := a.run(append([]string{"wait"}, test.args...)...)
			if o.code != test.code || !strings.Contains(o.out, test.says) || test.says == "" && (o.out != "" || o.err == "") {
				t.Errorf("wait %s: want code %d and %q, got %v", strings.Join(test.args, " "), test.code, test.says, o)
			}
		}
	})

	t.Run("json", func(t *testing.T) {
		a.in(t)
		for id, code := range map[string]int{"healthy": 0, "error-regression": 3, "telemetry-outage": 4} {
			_, body := a.verdict(id)
			if o := a.run("wait", id, "-o", "json", "-q"); o.code != code || o.out != string(body) || o.err != "" {
				t.Errorf("wait -o json of %s: want code %d and the bytes of HTTP, got %v", id, code, o)
			}
			for _, args := range [][]string{{"explain", id, "-o", "json"}, {"bundle", "verify", a.proven(id), "-o", "json"}, {"rejudge", a.proven(id), "-o", "json"}} {
				var any map[string]any
				if o := a.run(args...); o.code != 0 || json.Unmarshal([]byte(o.out), &any) != nil || len(any) == 0 {
					t.Errorf("%s: %v", strings.Join(args, " "), o)
				}
			}
		}
		var emitted struct{ DeploymentID, EventID, Source string }
		o := a.run("emit", "--service", "other", "--version", "1", "--environment", "demo-open", "-o", "json")
		if o.code != 0 || json.Unmarshal([]byte(o.out), &emitted) != nil || emitted.DeploymentID == "" || emitted.EventID == "" || emitted.Source == "" {
			t.Errorf("emit -o json: %v", o)
		}
		if o := a.run("wait", "healthy", "-o", "yaml"); o.code != 2 {
			t.Errorf("wait -o yaml: %v", o)
		}
	})

	t.Run("explain", func(t *testing.T) {
		a.in(t)
		for id, says := range map[string][]string{
			"healthy":          {"PROMOTE, final", lab.BaselineVersion + " -> " + lab.CanaryVersion, "checkout-availability"},
			"error-regression": {"ROLLBACK, final", "harm_shown"},
			"telemetry-outage": {"HOLD, final", "telemetry_outage"},
			"open":             {"PENDING"},
			"never-heard-of":   {"PENDING", "not_seen"},
		} {
			o := a.run("explain", id)
			for _, text := range says {
				if o.code != 0 || !strings.Contains(o.out, text) {
					t.Errorf("explain %s: want code 0 and %q, got %v", id, text, o)
				}
			}
		}
	})

	t.Run("cancel", func(t *testing.T) {
		a.in(t)
		if o := a.emit("unwanted", "--environment", "demo-unwanted"); o.code != 0 {
			t.Fatalf("emit: %v", o)
		}
		a.eventually(5*time.Second, "it is seen", seen(a, "unwanted"))
		if o := a.run("cancel", "unwanted", "--by", "a test"); o.code != 0 || !strings.Contains(o.out, "unwanted") {
			t.Errorf("cancel: %v", o)
		}
		if v, _ := a.verdict("unwanted"); v.Verdict != verdicts.Hold || !v.Final || v.ReasonCode != analysis.Cancelled || !strings.Contains(v.Reason, "a test") {
			t.Errorf("cancelled: %s (%s: %s)", v.Verdict, v.ReasonCode, v.Reason)
		}
		a.proven("unwanted")
		if o := a.run("cancel", "unwanted"); o.code != 2 || !strings.Contains(o.err, "final verdict already") {
			t.Errorf("cancel again: %v", o)
		}
		if o := a.run("cancel", "never-heard-of"); o.code != 2 || o.err == "" {
			t.Errorf("cancel of the unknown: %v", o)
		}
		if o := a.run("wait", "unwanted"); o.code != 4 {
			t.Errorf("wait for what was cancelled: %v", o)
		}
	})

	t.Run("emit", func(t *testing.T) {
		a.in(t)
		for _, args := range [][]string{
			{"--version", "1", "--environment", "prod"},                                             // no service
			{"--service", "s", "--environment", "prod"},                                             // no version
			{"--service", "s", "--version", "1"},                                                    // no environment
			{"--service", "s", "--version", "1", "--environment", "prod", "--weight", "130%"},       // no share
			{"--service", "s", "--version", "1", "--environment", "prod", "--phase", "begun"},       // no phase
			{"--service", "s", "--version", "1", "--environment", "prod", "--mode", "dead"},         // no mode
			{"--service", "s", "--version", "1", "--environment", "prod", "--started-at", "monday"}, // no time
			{"--service", "s t", "--version", "1", "--environment", "prod"},                         // no name
			{"--service", "s", "--environment", "prod", "--phase", "step", "--weight", "50%"},       // no deployment
			{"--service", "s", "--environment", "prod", "--phase", "aborted", "--deployment", "d"},  // no version
		} {
			if o := a.run(append([]string{"emit"}, args...)...); o.code != 2 || o.out != "" || o.err == "" {
				t.Errorf("emit %s: want code 2 and why, got %v", strings.Join(args, " "), o)
			}
		}
		o := a.emit("over-kafka", "--environment", "demo-over-kafka", "--brokers", a.bus)
		if o.code != 0 || o.out != "over-kafka" {
			t.Fatalf("emit to Kafka: %v", o)
		}
		a.eventually(5*time.Second, "the event comes over Kafka", seen(a, "over-kafka"))
		if o := a.run("emit", "--deployment", "over-kafka", "--phase", "step", "--weight", "50%", "--service", lab.Service, "--environment", "demo-over-kafka"); o.code != 0 {
			t.Errorf("emit of a step: %v", o)
		}
		a.eventually(5*time.Second, "the step is joined", func() error {
			if list := a.validations("over-kafka"); len(list) != 1 || len(list[0].Deployment.Steps) != 2 || list[0].Deployment.Steps[1].Weight != 0.5 {
				return fmt.Errorf("%+v", list)
			}
			return nil
		})
		if o := a.run("emit", "--deployment", "over-kafka", "--phase", "aborted", "--version", lab.CanaryVersion, "--service", lab.Service, "--environment", "demo-over-kafka"); o.code != 0 {
			t.Errorf("emit of an abort: %v", o)
		}
		if v, _ := a.final("over-kafka", 5*time.Second); v.Verdict != verdicts.Hold || v.ReasonCode != analysis.Cancelled {
			t.Errorf("aborted: %s (%s), want hold (cancelled)", v.Verdict, v.ReasonCode)
		}
	})
	a.stop()
	a.verifyAudit()
}

// emit tells of a deployment of the shop's service by the command line.
func (a *assay) emit(id string, flags ...string) outcome {
	a.t.Helper()
	return a.run(append([]string{
		"emit", "--deployment", id, "--service", lab.Service, "--version", lab.CanaryVersion, "--baseline", lab.BaselineVersion, "--weight", "20%",
	}, flags...)...)
}

// TestVerdictAddress asks the address that pipelines poll with every kind of key. It
// always answers 200 with the whole object, and never with a word to act on unless
// it is certain which deployment is meant.
func TestVerdictAddress(t *testing.T) {
	a := serve(t, setup{noKafka: true})
	w := worldOf(t, 12*time.Minute, "healthy", "error-regression")
	w.push(a)
	for _, s := range w.scenes {
		a.post(started(s.Name, w.deployed))
	}
	final, _ := a.final("healthy", 20*time.Second)
	a.final("error-regression", 20*time.Second)
	byRelease := func(scenario string) string {
		return environmentOf(scenario) + ":" + lab.Service + ":" + lab.CanaryVersion
	}
	wants := func(t *testing.T, key, word string, code analysis.Code) {
		t.Helper()
		if v, _ := a.verdict(key); v.Verdict.String() != word || v.ReasonCode != code || v.Final == (word == "pending") {
			t.Errorf("%s: %s (%s: %s), want %s (%s)", key, v.Verdict, v.ReasonCode, v.Reason, word, code)
		}
	}
	after := func(t *testing.T, key string, at time.Time) verdicts.Verdict {
		t.Helper()
		var v verdicts.Verdict
		a.get("/v1/validations/"+url.PathEscape(key)+"/verdict?after="+url.QueryEscape(at.Format(time.RFC3339)), &v)
		return v
	}

	t.Run("every key is always there", func(t *testing.T) {
		a.in(t)
		_, whole := a.verdict("healthy")
		want := keysOf(t, whole)
		for _, key := range []string{"never-heard-of", "a:b:c", "a:n/b:c", byRelease("healthy"), byRelease("error-regression"), string(final.ValidationID), "%00", "a/b", strings.Repeat("x", 300)} {
			_, body := a.verdict(key)
			if got := keysOf(t, body); !slices.Equal(got, want) {
				t.Errorf("%.40s: keys %v, want %v", key, got, want)
			}
		}
		wants(t, "never-heard-of", "pending", analysis.NotSeen)
		wants(t, string(final.ValidationID), "promote", final.ReasonCode)
	})
	t.Run("text", func(t *testing.T) {
		a.in(t)
		for key, want := range map[string]string{"healthy": "promote", "error-regression": "rollback", "never-heard-of": "pending"} {
			status, body, err := a.ask(http.MethodGet, "/v1/validations/"+key+"/verdict?format=text", nil, nil)
			if err != nil || status != http.StatusOK || string(body) != want {
				t.Errorf("%s: %d %q %v, want %s", key, status, body, err, want)
			}
		}
	})
	t.Run("a promoted version does not speak for its next deployment", func(t *testing.T) {
		a.in(t)
		key := byRelease("healthy")
		wants(t, byRelease("error-regression"), "rollback", analysis.HarmShown) // no one acts on a rollback too much
		wants(t, key, "pending", analysis.NameTheDeployment)
		if v := after(t, key, w.deployed); v.Verdict != verdicts.Promote {
			t.Errorf("after its start: %s (%s), want promote", v.Verdict, v.ReasonCode)
		}
		again := started("healthy", time.Now().UTC().Truncate(time.Second))
		again.ID, again.DeploymentID = "again-started", "again"
		a.post(again)
		a.eventually(5*time.Second, "the next deployment is seen", seen(a, "again"))
		for what, v := range map[string]verdicts.Verdict{"by its start": after(t, key, again.StartedAt), "by the start of the first": after(t, key, w.deployed)} {
			if v.Verdict != verdicts.Pending || v.DeploymentID != "again" {
				t.Errorf("the next deployment, %s: %s of %s (%s)", what, v.Verdict, v.DeploymentID, v.ReasonCode)
			}
		}
		if v, _ := a.verdict("again"); v.Verdict != verdicts.Pending {
			t.Errorf("the next deployment, by its id: %s (%s)", v.Verdict, v.ReasonCode)
		}
		wants(t, "healthy", "promote", final.ReasonCode) // the first is still what it was
		// A restart of the very deployment is a new attempt, and asked for anew.
		restart := started("healthy", time.Now().UTC().Truncate(time.Second))
		restart.ID, restart.Release.Environment = "restarted", "demo-restart"
		for range 2 {
			restart.ID += "-again"
			restart.DeploymentID = "restart"
			a.post(restart)
			a.eventually(5*time.Second, "the attempt is open", func() error {
				if v, _ := a.verdict("restart"); v.Final || v.ReasonCode == analysis.NotSeen {
					return fmt.Errorf("%s (%s), attempt %d", v.Verdict, v.ReasonCode, v.Attempt)
				}
				return nil
			})
			if o := a.run("cancel", "restart"); o.code != 0 {
				t.Fatal(o)
			}
		}
		if v, _ := a.verdict("restart"); v.Attempt != 2 {
			t.Errorf("attempt %d after a restart, want 2", v.Attempt)
		}
	})
	t.Run("a key that fits several is not answered for one", func(t *testing.T) {
		a.in(t)
		for _, service := range []string{"checkout", "payment"} {
			e := started("shared", time.Now().UTC().Truncate(time.Second))
			e.ID, e.Release.Service = "shared-"+service, service
			a.post(e)
		}
		a.eventually(5*time.Second, "one id of two services is ambiguous", func() error {
			if v, _ := a.verdict("shared"); v.ReasonCode != analysis.AmbiguousDeployment || v.Verdict != verdicts.Pending {
				return fmt.Errorf("%s (%s: %s)", v.Verdict, v.ReasonCode, v.Reason)
			}
			return nil
		})
		for _, namespace := range []string{"north", "south"} {
			e := started("everywhere", time.Now().UTC().Truncate(time.Second))
			e.ID, e.DeploymentID, e.Release.Namespace = "in-"+namespace, analysis.DeploymentID("in-"+namespace), namespace
			a.post(e)
			a.eventually(5*time.Second, "it is seen", seen(a, "in-"+namespace))
		}
		wants(t, byRelease("everywhere"), "pending", analysis.AmbiguousDeployment)
		if v, _ := a.verdict(environmentOf("everywhere") + ":south/" + lab.Service + ":" + lab.CanaryVersion); v.DeploymentID != "in-south" {
			t.Errorf("with its namespace: %s (%s: %s)", v.DeploymentID, v.ReasonCode, v.Reason)
		}
	})
	t.Run("other questions are refused", func(t *testing.T) {
		a.in(t)
		for path, want := range map[string]int{
			"/v1/validations/healthy/verdict?format=xml":   http.StatusBadRequest,
			"/v1/validations/healthy/verdict?after=monday": http.StatusBadRequest,
			"/v1/validations/never-heard-of":               http.StatusNotFound,
			"/v1/validations/never-heard-of/bundle":        http.StatusNotFound,
			"/v1/validations/again/bundle":                 http.StatusAccepted,
			"/v1/nothing":                                  http.StatusNotFound,
		} {
			if status, body, err := a.ask(http.MethodGet, path, nil, nil); err != nil || status != want {
				t.Errorf("%s: %d %s %v, want %d", path, status, body, err, want)
			}
		}
	})
	a.stop()
	a.verifyAudit()
}

func keysOf(t *testing.T, body []byte) []string {
	t.Helper()
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	return slices.Sorted(maps.Keys(object))
}
