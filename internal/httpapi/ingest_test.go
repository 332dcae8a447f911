package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/release-assay/assay/internal/intake"
)

func TestResume(t *testing.T) {
	three := 3
	for _, c := range []struct {
		name   string
		body   string
		fails  error
		status int
		choice intake.Choice
		says   string
	}{
		{"all from the first", `{"from":"first","by":"anna"}`, nil, http.StatusOK, intake.Choice{From: intake.FromFirst, By: "anna"}, `{"resumed":[{"partition":3,"was":8,"next":0}]}`},
		{"one from the end", `{"partition":3,"from":"end","by":"anna","reason":"x\ny"}`, nil, http.StatusOK, intake.Choice{Partition: &three, From: intake.FromEnd, By: "anna", Reason: "x y"}, "resumed"},
		{"an offset", `{"from":"17","by":"anna"}`, nil, http.StatusOK, intake.Choice{From: 17, By: "anna"}, "resumed"},
		{"not stopped", `{"from":"17","by":"anna"}`, fmt.Errorf("partition 3: %w", intake.ErrNotStopped), http.StatusConflict, intake.Choice{From: 17, By: "anna"}, "not stopped"},
		{"no such offset", `{"from":"17","by":"anna"}`, intake.ErrNoOffset, http.StatusConflict, intake.Choice{From: 17, By: "anna"}, "no such offset"},
		{"brokers down", `{"from":"first","by":"anna"}`, errors.New("connection refused"), http.StatusServiceUnavailable, intake.Choice{From: intake.FromFirst, By: "anna"}, "1 partitions were resumed, then: connection refused"},
		{"nobody", `{"from":"first"}`, nil, http.StatusBadRequest, intake.Choice{}, "by: missing"},
		{"nowhere", `{"by":"anna"}`, nil, http.StatusBadRequest, intake.Choice{}, "legal are first, end and an offset"},
		{"negative", `{"from":"-1","by":"anna"}`, nil, http.StatusBadRequest, intake.Choice{}, "legal are"},
		{"a slip", `{"form":"first","by":"anna"}`, nil, http.StatusBadRequest, intake.Choice{}, "form"},
		{"no JSON", `first`, nil, http.StatusBadRequest, intake.Choice{}, "no choice"},
		{"endless", `{"from":"` + strings.Repeat("1", 20_000) + `"}`, nil, http.StatusBadRequest, intake.Choice{}, "too large"},
	} {
		var chosen intake.Choice
		handler := New(Config{
			Metrics: http.NotFoundHandler(),
			Resume: func(_ context.Context, choice intake.Choice) ([]intake.Resumed, error) {
				chosen = choice
				return []intake.Resumed{{Partition: 3, Was: 8, Next: 0}}, c.fails
			},
		})
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/ingest/resume", strings.NewReader(c.body)))
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || !reflect.DeepEqual(chosen, c.choice) {
			t.Errorf("%s: %d %s after %+v; want %d with %q after %+v", c.name, w.Code, w.Body, chosen, c.status, c.says, c.choice)
		}
	}
}
