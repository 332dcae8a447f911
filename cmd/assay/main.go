// Command assay judges releases: it compares a canary with its baseline on the
// service's own objectives and answers promote, rollback or hold.
//
// This package is the wiring: flags, configuration, the tables that name every
// source and sink, the goroutines and the clock. What it wires does not know it.
// Each command is a file of its name; what serve and demo run is the server
// (server.go), and the others ask one over HTTP (client.go) or need none.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// hardExit is how long after the first signal the process ends in any case.
const hardExit = 25 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		stop() // a second signal ends the process at once
		time.AfterFunc(hardExit, func() { os.Exit(int(exitInternal)) })
	})
	os.Exit(int(run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})))
}

// run runs one command line and returns its exit code; tests call it in process.
func run(ctx context.Context, args []string, s streams) exitCode {
	root := newRoot(s)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var coded *exitError
	if errors.As(err, &coded) {
		if coded.err != nil {
			fmt.Fprintln(s.err, "assay:", coded.err)
		}
		return coded.code
	}
	fmt.Fprintln(s.err, "assay:", err)
	return exitUsage // what cobra itself refuses: unknown commands and flags
}
