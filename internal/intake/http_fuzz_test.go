package intake

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/internal/fuzztest"
	"github.com/release-assay/assay/internal/store"
)

// keeper is a Store that keeps the batches of one Accept.
type keeper struct {
	Store
	batches []store.Batch
}

func (k *keeper) Accept(_ context.Context, b store.Batch) (store.Accepted, error) {
	k.batches = append(k.batches, b)
	return store.Accepted{Outcomes: []store.Outcome{store.OutcomeAccepted}, Inbox: []int64{1}, New: 1}, nil
}

// FuzzHTTPEvent posts anything with any headers: it is stored exactly if it is
// accepted, nothing of the connection is kept, and a refusal says why.
func FuzzHTTPEvent(f *testing.F) {
	good := "Content-Type: application/json\nCe-Specversion: 1.0\nCe-Id: e1\nCe-Source: /ci\nCe-Type: dev.cdevents.service.deployed.0.2.0\nCe-Time: 2026-03-02T10:00:00Z\nCe-Subject: checkout%20it"
	f.Add(good, []byte(event(full)))
	f.Add(good+"\nAuthorization: Bearer x\nTraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", []byte(`{}`))
	f.Add("Content-Type: application/cloudevents+json", structured(f, event(full)).Value)
	f.Add("Content-Type: application/cloudevents-batch+json", []byte("[]"))
	f.Add("Ce-Id: a\nCe-Id: b\nCe-Time: %zz", []byte("null"))
	limits := DefaultLimits()
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, headers string, body []byte) {
		header := http.Header{}
		for _, line := range strings.Split(headers, "\n") {
			if name, value, ok := strings.Cut(line, ": "); ok && len(header) < 100 {
				header.Add(name, value)
			}
		}
		fuzztest.Within(t, func() {
			k := &keeper{}
			a, err := Accepter{Store: k, Limits: limits}.AcceptHTTP(t.Context(), header, body, now)
			if err != nil {
				t.Fatal(err)
			}
			if stored := len(k.batches) == 1; stored != (a.Outcome == "accepted") || len(k.batches) > 1 {
				t.Fatalf("%s, and %d batches were stored", a.Outcome, len(k.batches))
			}
			if refused := a.Outcome == "rejected"; refused != (a.Rejection != nil) || refused && (a.Rejection.Reason == "" || a.Rejection.Reason == Poison || a.Rejection.Error() == "") {
				t.Fatalf("%s: %+v", a.Outcome, a.Rejection)
			}
		})
		for _, h := range FromHTTP(header, body).Headers {
			if !strings.HasPrefix(h.Key, attributePrefix) && h.Key != contentTypeHeader && h.Key != "traceparent" && h.Key != "tracestate" {
				t.Fatalf("header %q was kept", h.Key)
			}
		}
	})
}
