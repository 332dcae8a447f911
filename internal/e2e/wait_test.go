package e2e

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// patient is a client that lets the server wait.
var patient = &http.Client{Timeout: time.Minute}

// held asks for a verdict with a long wait and returns the answer and how long it took.
func (a *assay) held(key string) (body string, took time.Duration) {
	began := time.Now()
	res, err := patient.Get("http://" + a.web + "/v1/validations/" + key + "/verdict?wait=50s&format=text")
	if err != nil {
		return err.Error(), time.Since(began)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err.Error(), time.Since(began)
	}
	return strings.TrimSpace(string(answer)), time.Since(began)
}

// TestWaitingClients: who asks before the deployment is known is answered when its
// verdict is there; `assay wait` the same; and a server that is stopped lets
// everybody go at once, with a word that nobody acts on.
func TestWaitingClients(t *testing.T) {
	a := serve(t, setup{noKafka: true})
	w := worldOf(t, 12*time.Minute, "error-regression")
	w.push(a)
	var clients sync.WaitGroup
	answers := make([]string, 20)
	for i := range answers {
		clients.Go(func() { answers[i], _ = a.held("error-regression") })
	}
	var waited outcome
	clients.Go(func() { waited = a.run("wait", "error-regression", "--timeout", "40s", "-q") })
	time.Sleep(500 * time.Millisecond) // most of them wait by now; the others find the verdict
	began := time.Now()
	a.post(started("error-regression", w.deployed))
	clients.Wait()
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("answered %v after the deployment was told, which is how long a wait is, not a verdict", took)
	}
	for i, word := range answers {
		if word != "rollback" {
			t.Errorf("client %d: %s, want rollback", i, word)
		}
	}
	if waited.code != 3 || !strings.HasPrefix(waited.out, "rollback") {
		t.Errorf("assay wait: %v", waited)
	}

	for i := range answers {
		clients.Go(func() { answers[i], _ = a.held("nobody") })
	}
	time.Sleep(500 * time.Millisecond)
	a.stop() // within ten seconds, though they would wait for 50
	clients.Wait()
	for i, word := range answers {
		if word != "pending" {
			t.Errorf("client %d of a server that stops: %s, want pending", i, word)
		}
	}
}
