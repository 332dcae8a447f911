package intake

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
)

// binary returns data in the envelope that belongs to it; pairs of header name and
// value replace or add to those. An empty value removes the header.
func binary(data string, pairs ...string) Message {
	var c struct {
		Context struct{ ID, Source, Type, Timestamp string }
		Subject struct{ ID string }
	}
	_ = json.Unmarshal([]byte(data), &c) // hostile data gives what it gives
	headers := map[string]string{
		"content-type": "application/json", "ce_specversion": "1.0", "ce_id": c.Context.ID, "ce_source": c.Context.Source,
		"ce_type": c.Context.Type, "ce_time": c.Context.Timestamp, "ce_subject": c.Subject.ID,
	}
	order := []string{"content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_subject"}
	for i := 0; i+1 < len(pairs); i += 2 {
		if _, known := headers[pairs[i]]; !known {
			order = append(order, pairs[i])
		}
		headers[pairs[i]] = pairs[i+1]
	}
	var list []store.Header
	for _, name := range order {
		if v := headers[name]; v != "" {
			list = append(list, store.Header{Key: name, Value: []byte(v)})
		}
	}
	return FromKafka(list, []byte("prod//checkout"), []byte(data))
}

// structured returns the same event in structured mode.
func structured(t testing.TB, data string) Message {
	t.Helper()
	var c struct {
		Context struct{ ID, Source, Type, Timestamp string }
		Subject struct{ ID string }
	}
	if err := json.Unmarshal([]byte(data), &c); err != nil {
		t.Fatal(err)
	}
	value, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": c.Context.ID, "source": c.Context.Source, "type": c.Context.Type, "time": c.Context.Timestamp,
		"subject": c.Subject.ID, "datacontenttype": "application/json", "sequence": "7", "data": json.RawMessage(data),
	})
	if err != nil {
		t.Fatal(err)
	}
	return FromKafka([]store.Header{{Key: "content-type", Value: []byte("Application/CloudEvents+JSON; charset=UTF-8")}}, nil, value)
}

const digest = "sha256:0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427"

// event returns a valid event whose customData.assay is the given object.
func event(assay string) string {
	return fmt.Sprintf(`{"context":{"specversion":"0.5.1","id":"e-1","chainId":"c-1","source":"/argo/prod","type":"dev.cdevents.service.upgraded.0.3.0",
		"timestamp":"2026-11-23T10:00:00.5Z"},"subject":{"id":"checkout","source":"/k8s","content":{"environment":{"id":"prod-eu1"},
		"artifactId":"pkg:oci/checkout@%s?tag=1.5.0"}},"customData":{"assay":%s,"other":{"x":null,"ID":1}},"customDataContentType":"application/json"}`,
		strings.Replace(digest, ":", "%3A", 1), assay)
}

const full = `{"deploymentId":"d-7","namespace":"shop","mode":"shadow","strategy":"canary","phase":"started",
	"step":{"index":1,"total":4,"weight":0.05,"colour":"red"},
	"canary":{"version":"1.5.0+b7","selector":{"service.version":"1.5.0"}},"baseline":{"version":"1.4.2","selector":{"service.version":"1.4.2"}},
	"startedAt":"2026-11-23T09:59:00+01:00","warmup":"3m","maxDuration":"1h","policyRef":"p","changeId":"CHG-1","expectLines":["cart migrated"],
	"callbackUrl":"https://ci.example/cb?x=1","labels":{"team":"pay","app.kubernetes.io/name":"checkout"},"futureField":{"a":[1]}}`

func TestDecodeReadsEveryField(t *testing.T) {
	want := analysis.Event{
		Source: "/argo/prod", ID: "e-1", Type: "dev.cdevents.service.upgraded.0.3.0", Time: time.Date(2026, 11, 23, 10, 0, 0, 5e8, time.UTC),
		Phase: analysis.PhaseStarted, DeploymentID: "d-7", ChainID: "c-1",
		Release: analysis.Release{Environment: "prod-eu1", Namespace: "shop", Service: "checkout", Version: "1.5.0+b7", PreviousVersion: "1.4.2", ArtifactDigest: digest},
		Mode:    analysis.Shadow, Strategy: "canary",
		Step:      &analysis.Step{Index: 1, Total: 4, Weight: 0.05, At: time.Date(2026, 11, 23, 10, 0, 0, 5e8, time.UTC)},
		StartedAt: time.Date(2026, 11, 23, 8, 59, 0, 0, time.UTC),
		Canary:    map[string]string{"service.version": "1.5.0"}, Baseline: map[string]string{"service.version": "1.4.2"},
		Warmup: analysis.Duration(3 * time.Minute), MaxDuration: analysis.Duration(time.Hour), PolicyRef: "p", ChangeID: "CHG-1", ExpectLines: []string{"cart migrated"},
		CallbackURL: "https://ci.example/cb?x=1", Labels: map[string]string{"team": "pay", "app.kubernetes.io/name": "checkout"},
	}
	d, rejection := Decode(binary(event(full)), DefaultLimits())
	if rejection != nil {
		t.Fatalf("%v: %v", rejection.Reason, rejection)
	}
	if d.Outcome != Accepted || !reflect.DeepEqual(d.Event, want) {
		t.Errorf("got  %+v\nwant %+v", d.Event, want)
	}
}

// The same event has the same content in whatever form it comes.
func TestContentHashIsOfTheContent(t *testing.T) {
	hash := func(m Message) string {
		d, rejection := Decode(m, DefaultLimits())
		if rejection != nil {
			t.Fatal(rejection)
		}
		return d.ContentHash
	}
	want := hash(binary(event(full)))
	for name, m := range map[string]Message{
		"structured":         structured(t, event(full)),
		"other white space":  binary(strings.ReplaceAll(event(full), ",\n\t", " ,\n\n")),
		"with a traceparent": binary(event(full), "ce_traceparent", "00-1-2-03"),
		"without ce_time":    binary(event(full), "ce_time", ""),
		"no content type":    binary(event(full), "content-type", ""),
	} {
		if got := hash(m); got != want {
			t.Errorf("%s: hash %s, want %s", name, got, want)
		}
	}
	if got := hash(binary(event(strings.Replace(full, "0.05", "0.06", 1)))); got == want {
		t.Error("another weight has the same hash")
	}
}

func TestDecodeDerives(t *testing.T) {
	replace := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(event(`{}`)) }
	purl := "pkg:oci/checkout@" + strings.Replace(digest, ":", "%3A", 1) + "?tag=1.5.0"
	for _, c := range []struct {
		name, data string
		check      func(analysis.Event) bool
	}{
		{"version from the tag, digest from the version", event(`{}`), func(e analysis.Event) bool {
			return e.Release.Version == "1.5.0" && e.Release.ArtifactDigest == digest
		}},
		{"version of a generic package", replace(purl, "pkg:generic/app@1.5.0"), func(e analysis.Event) bool {
			return e.Release.Version == "1.5.0" && e.Release.ArtifactDigest == ""
		}},
		{"version from the digest when there is nothing else", replace("?tag=1.5.0", ""), func(e analysis.Event) bool {
			return e.Release.Version == digest && e.Release.ArtifactDigest == digest
		}},
		{"digest from a checksum", replace(purl, "pkg:generic/app@2?checksum=sha1:ab,"+digest), func(e analysis.Event) bool {
			return e.Release.Version == "2" && e.Release.ArtifactDigest == digest
		}},
		{"a scoped package", replace(purl, "pkg:npm/%40acme/app@1.0.0-rc.1#sub"), func(e analysis.Event) bool { return e.Release.Version == "1.0.0-rc.1" }},
		{"canary version goes first", event(`{"canary":{"version":"9"}}`), func(e analysis.Event) bool { return e.Release.Version == "9" }},
		{"deployment id from the event's", event(`{}`), func(e analysis.Event) bool { return e.DeploymentID == "e-1" && e.Phase == analysis.PhaseStarted }},
		{"no deployment id for what joins", event(`{"phase":"finished"}`), func(e analysis.Event) bool {
			return e.DeploymentID == "" && e.Phase == analysis.PhaseFinished
		}},
		{"start from the event's time", event(`{}`), func(e analysis.Event) bool { return e.StartedAt.Equal(e.Time) && e.Mode == analysis.Live }},
		{"rolledback aborts", replace("upgraded", "rolledback"), func(e analysis.Event) bool {
			return e.Phase == analysis.PhaseAborted && e.DeploymentID == ""
		}},
		{"step event without artifact", strings.NewReplacer("dev.cdevents.service.upgraded.0.3.0", "dev.cdeventsx.assay-deployment.step.0.1.0", `,
		"artifactId":"`+purl+`"`, "").Replace(event(`{"deploymentId":"d","step":{"weight":0.5}}`)), func(e analysis.Event) bool {
			return e.Phase == analysis.PhaseStep && e.Step.Weight == 0.5 && e.DeploymentID == "d"
		}},
		{
			"types of CDEvents 0.3", replace("0.3.0\"", "0.1.1\"", `"specversion":"0.5.1"`, `"version":"0.3.0"`, `"source":"/k8s"`, `"source":"/k8s","type":"service"`),
			func(e analysis.Event) bool { return e.Release.Service == "checkout" },
		},
		{"no custom data", regexp.MustCompile(`,"customData".*`).ReplaceAllString(event(`{}`), "}"), func(e analysis.Event) bool { return e.DeploymentID == "e-1" }},
		{
			"custom data of another kind", regexp.MustCompile(`"customData":.*,"customDataC`).ReplaceAllString(event(`{}`), `"customData":"AAEC","customDataC`),
			func(e analysis.Event) bool { return e.DeploymentID == "e-1" },
		},
	} {
		d, rejection := Decode(binary(c.data), DefaultLimits())
		if rejection != nil {
			t.Errorf("%s: %s: %v", c.name, rejection.Reason, rejection)
		} else if !c.check(d.Event) {
			t.Errorf("%s: %+v", c.name, d.Event)
		}
	}
}

// Every example of the specification is understood or ignored.
func TestDecodeConformanceCDEvents(t *testing.T) {
	files, err := filepath.Glob("testdata/cdevents/*.json")
	if err != nil || len(files) < 12 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := Ignored
		switch filepath.Base(file) {
		case "service_deployed.json", "service_upgraded.json", "service_rolledback.json":
			want = Accepted
		}
		for mode, m := range map[string]Message{"binary": binary(string(b)), "structured": structured(t, string(b))} {
			d, rejection := Decode(m, DefaultLimits())
			if rejection != nil || d.Outcome != want {
				t.Errorf("%s, %s: %+v, %v", file, mode, d, rejection)
				continue
			}
			if want == Accepted && (d.Event.Release.Service != "mySubject123" || d.Event.Release.Environment != "test123" || d.Event.Release.ArtifactDigest != digest) {
				t.Errorf("%s, %s: %+v", file, mode, d.Event)
			}
		}
	}
}

// The scenarios of the CloudEvents conformance suite: their envelopes are read;
// their events are not CDEvents and are refused for that alone.
func TestOpenConformanceCloudEvents(t *testing.T) {
	for file, scenarios := range map[string]int{"http-protocol-binding.feature": 4, "kafka-protocol-binding.feature": 3} {
		b, err := os.ReadFile(filepath.Join("testdata/cloudevents", file))
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, scenario := range strings.Split(string(b), "Scenario")[1:] {
			contentTypes := []string{"application/json"}
			if _, examples, ok := strings.Cut(scenario, "Examples:"); ok {
				contentTypes = nil
				for _, line := range strings.Split(strings.TrimSpace(examples), "\n")[1:] {
					contentTypes = append(contentTypes, strings.Trim(line, " |"))
				}
			}
			for _, contentType := range contentTypes {
				seen++
				m := scenarioMessage(t, strings.ReplaceAll(scenario, "<contentType>", contentType))
				e, rejection := open(m, DefaultLimits())
				if rejection != nil {
					t.Errorf("%s, %s: %v", file, contentType, rejection)
					continue
				}
				for name, want := range map[string]string{
					"id": "1234-1234-1234", "specversion": "1.0", "type": "com.example.someevent",
					"source": "/mycontext/subcontext", "time": "2018-04-05T03:56:24Z",
				} {
					if e.attributes[name] != want {
						t.Errorf("%s, %s: attribute %s is %q, want %q", file, contentType, name, e.attributes[name], want)
					}
				}
				if !strings.Contains(string(e.data), "Hello World!") {
					t.Errorf("%s, %s: data %s", file, contentType, e.data)
				}
				if _, r := Decode(m, DefaultLimits()); r == nil || r.Reason != Schema || r.Path != "type" || r.EventID != "1234-1234-1234" {
					t.Errorf("%s, %s: %+v", file, contentType, r)
				}
			}
		}
		if seen != scenarios {
			t.Errorf("%s: %d scenarios were seen, want %d", file, seen, scenarios)
		}
	}
}

// scenarioMessage reads the request or record that a scenario begins with.
func scenarioMessage(t *testing.T, scenario string) Message {
	t.Helper()
	blocks := strings.Split(scenario, `"""`)
	if len(blocks) < 2 {
		t.Fatal("no payload")
	}
	payload := blocks[1]
	if !strings.Contains(scenario, "HTTP request") {
		var headers []store.Header
		table, _, _ := strings.Cut(blocks[2], "When")
		for _, line := range strings.Split(table, "\n") {
			if cells := strings.Split(line, "|"); len(cells) == 4 && strings.TrimSpace(cells[1]) != "key" {
				headers = append(headers, store.Header{Key: strings.TrimSpace(cells[1]), Value: []byte(strings.TrimSpace(cells[2]))})
			}
		}
		return FromKafka(headers, nil, []byte(payload))
	}
	head, body, _ := strings.Cut(payload, "\n\n")
	header := http.Header{}
	for _, line := range strings.Split(head, "\n") {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			header.Add(name, strings.TrimSpace(value))
		}
	}
	return FromHTTP(header, []byte(body))
}

func TestHTTPHeaders(t *testing.T) {
	m := binary(event(full))
	header, body := m.HTTP()
	header.Set("Authorization", "Bearer secret")
	header.Set("Ce-Note", "caf%C3%A9 100%")
	d, rejection := Decode(FromHTTP(header, body), DefaultLimits())
	if rejection != nil || d.Event.ID != "e-1" {
		t.Fatal(d, rejection)
	}
	for _, h := range FromHTTP(header, body).Headers {
		if strings.Contains(string(h.Value), "secret") {
			t.Errorf("header %s is kept", h.Key)
		}
		if h.Key == "ce_note" && string(h.Value) != "caf%C3%A9 100%" { // no valid encoding as a whole: left alone
			t.Errorf("ce_note is %q", h.Value)
		}
	}
	header.Add("Ce-Id", "another")
	if _, rejection := Decode(FromHTTP(header, body), DefaultLimits()); rejection == nil || rejection.Reason != Malformed || rejection.Path != "ce_id" {
		t.Errorf("two ids: %+v", rejection)
	}
}

func TestDecodeBase64Data(t *testing.T) {
	value := fmt.Sprintf(`{"specversion":"1.0","id":"e-1","source":"/argo/prod","type":"dev.cdevents.service.upgraded.0.3.0","subject":"checkout","data_base64":%q}`,
		base64.StdEncoding.EncodeToString([]byte(event(`{}`))))
	d, rejection := Decode(Message{ContentType: "application/cloudevents+json", Value: []byte(value)}, DefaultLimits())
	if rejection != nil || d.Event.Release.Service != "checkout" {
		t.Error(d, rejection)
	}
}
