package main

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"
)

// A process that is stopped while it starts has not failed, at whichever of its steps
// it was.
func TestStoppedWhileItStarts(t *testing.T) {
	for _, after := range []time.Duration{0, time.Millisecond, 3 * time.Millisecond, 10 * time.Millisecond, 30 * time.Millisecond, 100 * time.Millisecond} {
		var errs strings.Builder
		ctx, stop := context.WithCancel(t.Context())
		if after == 0 {
			stop()
		} else {
			time.AfterFunc(after, stop)
		}
		code := run(ctx, []string{"serve", "--data-dir", t.TempDir(), "--http", "127.0.0.1:0", "--kafka", "off", "--otlp-grpc", "off", "--otlp-http", "off"},
			streams{in: strings.NewReader(""), out: io.Discard, err: &errs})
		if code != exitOK {
			t.Errorf("stopped after %v: exit code %d\n%s", after, code, errs.String())
		}
	}
}
