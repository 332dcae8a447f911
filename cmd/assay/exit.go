package main

import (
	"github.com/release-assay/assay/verdicts"
)

// exitCode is what the process ends with. Pipelines depend on it: a crash must
// never look like a verdict, and of the verdicts only promote is success.
type exitCode int

const (
	exitOK       exitCode = 0 // promote, or the command succeeded
	exitInternal exitCode = 1 // internal error of Assay or of the command line
	exitUsage    exitCode = 2 // usage or configuration error
	exitRollback exitCode = 3
	exitHold     exitCode = 4
	exitTimeout  exitCode = 5 // timed out while the verdict was still pending
	exitAuth     exitCode = 6 // authentication or authorization failed
)

// exitError is an error with its exit code. A nil err is a code without a message.
type exitError struct {
	code exitCode
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return "exit"
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func internal(err error) error { return &exitError{exitInternal, err} }

func usage(err error) error { return &exitError{exitUsage, err} }

// codeOf is the exit code of a verdict; one that is not final is a timeout, whatever
// its word.
func codeOf(v verdicts.Verdict) exitCode {
	if !v.Final {
		return exitTimeout
	}
	switch v.Verdict {
	case verdicts.Promote:
		return exitOK
	case verdicts.Rollback:
		return exitRollback
	case verdicts.Hold:
		return exitHold
	}
	return exitTimeout
}
