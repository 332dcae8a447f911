package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/torture"
	"github.com/release-assay/assay/verdicts"
)

// play makes the moves of one script, each when the one before is acknowledged.
func (r *rack) play(ctx context.Context, s *torture.Script) {
	stage := s.Begin(r.fleet, time.Now())
	for _, m := range s.Moves {
		if err := r.move(ctx, stage, m); err != nil {
			if ctx.Err() == nil {
				r.fault("%s: %s: %v", s.Service, m.Do, err)
			}
			return
		}
	}
}

func (r *rack) move(ctx context.Context, s *torture.Stage, m torture.Move) error {
	d := &s.Deployments[m.Deployment]
	switch m.Do {
	case torture.NotYet:
		return again(ctx, 20*time.Millisecond, func() (bool, error) { return r.life.Load() >= int64(m.Number), nil })
	case torture.Await:
		err := r.await(ctx, s, m)
		if d.Attempts[m.Number-1].Word != "hold" {
			r.waiting.Add(-1)
		}
		return err
	case torture.Cancel:
		return r.cancelOne(ctx, d.ID)
	case torture.Poison:
		value := s.PoisonOf(m)
		if err := r.send(ctx, kafkago.Message{Key: []byte(d.ID), Value: []byte(value)}); err != nil {
			return err
		}
		r.promise(torture.Promise{Deployment: d.ID, Via: torture.Kafka, Poison: value})
		return nil
	}
	message, err := s.Message(m)
	if err != nil {
		return err
	}
	event := s.Event(m)
	header, body := message.HTTP()
	record := kafkago.Message{Key: message.Key, Value: message.Value}
	for _, h := range message.Headers {
		record.Headers = append(record.Headers, kafkago.Header{Key: h.Key, Value: h.Value})
	}
	for range 1 + m.Repeat {
		if m.Via == torture.Kafka {
			err = r.send(ctx, record)
		} else {
			err = r.postUntilTaken(ctx, header, body, m.Do == torture.Forge)
		}
		if err != nil {
			return err
		}
		r.promise(torture.Promise{Deployment: d.ID, Via: m.Via, Source: event.Source, ID: event.ID, Forged: m.Do == torture.Forge})
	}
	if m.Do != torture.Forge && m.Phase == analysis.PhaseStarted && len(d.Attempts) > 0 && d.Attempts[0].Word != "hold" {
		r.waiting.Add(1)
	}
	return nil
}

// again tries until f is done, fails, or ctx ends.
func again(ctx context.Context, pause time.Duration, f func() (bool, error)) error {
	for {
		if done, err := f(); done || err != nil {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *rack) promise(p torture.Promise) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.At, p.Life = time.Now(), r.lives
	r.history.Promises = append(r.history.Promises, p)
}

// send writes a record until all replicas have it.
func (r *rack) send(ctx context.Context, m kafkago.Message) error {
	return again(ctx, 100*time.Millisecond, func() (bool, error) { return r.events.WriteMessages(ctx, m) == nil, nil })
}

// postUntilTaken sends an event over HTTP until it is acknowledged, as pipelines do
// when the server is away.
func (r *rack) postUntilTaken(ctx context.Context, header http.Header, body []byte, forged bool) error {
	return again(ctx, 40*time.Millisecond, func() (bool, error) {
		code, answer, err := r.a.ask(http.MethodPost, "/v1/events", header, body)
		switch {
		case err != nil || code == http.StatusServiceUnavailable:
			return false, nil
		case code == http.StatusAccepted || code == http.StatusOK || forged && code == http.StatusConflict:
			return true, nil
		}
		return false, fmt.Errorf("an event is answered with %d %s", code, answer)
	})
}

// cancelOne cancels a deployment as soon as it is known. Where an answer was lost
// with the process, the next one says that all is over.
func (r *rack) cancelOne(ctx context.Context, id analysis.DeploymentID) error {
	return again(ctx, 60*time.Millisecond, func() (bool, error) {
		code, answer, err := r.a.ask(http.MethodPost, "/v1/validations/"+url.PathEscape(string(id))+"/cancel?by=torture", nil, nil)
		switch {
		case err != nil || code == http.StatusServiceUnavailable || code == http.StatusNotFound:
			return false, nil
		case code == http.StatusOK || code == http.StatusConflict:
			return true, nil
		}
		return false, fmt.Errorf("cancel is answered with %d %s", code, answer)
	})
}

// await reads the verdict of a deployment until it is final: of live ones as
// pipelines ask, of others by their validation.
func (r *rack) await(ctx context.Context, s *torture.Stage, m torture.Move) error {
	d := s.Deployments[m.Deployment]
	key := string(d.ID)
	if d.Mode != analysis.Live {
		e := s.Event(torture.Move{Do: torture.Tell, Deployment: m.Deployment, Phase: analysis.PhaseStarted})
		key = string(e.Deployment(m.Number).Validation())
	}
	return again(ctx, 150*time.Millisecond, func() (bool, error) {
		v, ok := r.read(d.ID, key)
		if ok && v.Final && v.Attempt == m.Number && d.Mode == analysis.Live {
			r.mu.Lock()
			r.done = append(r.done, d.ID)
			r.mu.Unlock()
		}
		return ok && v.Final && v.Attempt == m.Number, nil
	})
}

// read reads a verdict, and notes it where it is final for the first time or another
// than before.
func (r *rack) read(id analysis.DeploymentID, key string) (verdicts.Verdict, bool) {
	code, body, err := r.a.ask(http.MethodGet, "/v1/validations/"+url.PathEscape(key)+"/verdict", nil, nil)
	var v verdicts.Verdict
	if err != nil || code != http.StatusOK || json.Unmarshal(body, &v) != nil {
		return v, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	first, known := r.finals[v.ValidationID]
	if v.ValidationID == "" || !known && !v.Final || known && first == string(body) {
		return v, true
	}
	if !known {
		r.finals[v.ValidationID] = string(body)
	}
	r.history.Reads = append(r.history.Reads, torture.Read{At: time.Now(), Life: r.lives, Deployment: id, Validation: v.ValidationID, Final: v.Final, Body: string(body)})
	return v, true
}

// observe reads verdicts that are final, over and over.
func (r *rack) observe(ctx context.Context) {
	for i := 0; ; i++ {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return
		}
		r.mu.Lock()
		n := len(r.done)
		var id analysis.DeploymentID
		if n > 0 {
			id = r.done[(i*7919)%n]
		}
		r.mu.Unlock()
		if n > 0 {
			r.read(id, string(id))
		}
	}
}
