package prometheus

import (
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
)

// What labels are usually called. These are guesses, for offering a person what to
// ask for; nothing is ever judged by a guess.
var (
	serviceNames = []string{
		"service_name", "service", "app", "app_kubernetes_io_name", "application", "component", "deployment",
		"k8s_deployment_name", "container", model.JobLabel,
	}
	versionNames = []string{
		"service_version", "version", "app_version", "app_kubernetes_io_version", "release", "image_tag", "image_version",
		"build_version", "tag", "revision", "git_sha", "rollouts_pod_template_hash", "pod_template_hash",
	}
	statusNames = []string{
		"http_response_status_code", "code", "status_code", "status", "http_status_code", "response_code", "http_status",
		"rpc_response_status_code", "rpc_grpc_status_code", "grpc_code", "grpc_status", "outcome", "result", "success",
	}
)

// versionLike reports whether a label is called like something that differs between
// two releases.
func versionLike(label string) bool {
	return slices.Contains(versionNames, label) || strings.HasSuffix(label, "version")
}

// The six codes of gRPC that are errors of the server, in the three ways in which
// they are written, and codes that only that way of writing has.
var grpcCodes = []struct{ failed, others []string }{
	{
		[]string{"DataLoss", "DeadlineExceeded", "Internal", "Unavailable", "Unimplemented", "Unknown"},
		[]string{"NotFound", "InvalidArgument", "AlreadyExists", "PermissionDenied", "Canceled", "FailedPrecondition", "OutOfRange", "ResourceExhausted"},
	},
	{
		[]string{"DATA_LOSS", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "UNIMPLEMENTED", "UNKNOWN"},
		[]string{"NOT_FOUND", "INVALID_ARGUMENT", "ALREADY_EXISTS", "PERMISSION_DENIED", "CANCELLED", "FAILED_PRECONDITION", "OUT_OF_RANGE", "RESOURCE_EXHAUSTED"},
	},
	{[]string{"2", "4", "12", "13", "14", "15"}, []string{"0", "1", "3", "5", "6", "7", "8", "9", "10", "11", "16"}},
}

var httpStatus = regexp.MustCompile(`^[1-5](\d\d|xx|XX)$`)

// outcomes are words for a failure of the server, and words that stand beside them.
var (
	failures  = []string{"error", "failure", "failed", "fail", "server_error", "exception"}
	successes = []string{"success", "ok", "succeeded", "completed", "client_error"}
)

// failing returns the pattern of the values of a status label that are failures of
// the server; empty where it cannot be told.
func failing(label string, values []string) string {
	if slices.ContainsFunc(values, httpStatus.MatchString) {
		return "5.."
	}
	for _, way := range grpcCodes {
		numbers := way.failed[0] == "2"
		if numbers && !strings.Contains(label, "grpc") {
			continue // a number may be anything
		}
		if slices.ContainsFunc(values, func(v string) bool { return slices.Contains(way.failed, v) || slices.Contains(way.others, v) }) {
			return strings.Join(way.failed, "|")
		}
	}
	if label == "success" && (slices.Contains(values, "true") || slices.Contains(values, "false")) {
		return "false"
	}
	var bad []string
	known := false
	for _, v := range values {
		switch word := strings.ToLower(v); {
		case slices.Contains(failures, word):
			bad = append(bad, regexp.QuoteMeta(v))
		case slices.Contains(successes, word):
			known = true
		}
	}
	switch {
	case len(bad) > 0:
		return strings.Join(bad, "|")
	case slices.Contains(values, "OK"): // gRPC without an error so far, or a word for success
		if strings.HasPrefix(label, "rpc_") {
			return strings.Join(grpcCodes[1].failed, "|")
		}
		if strings.Contains(label, "grpc") {
			return strings.Join(grpcCodes[0].failed, "|")
		}
	case known: // none failed so far
		return strings.Join(failures[:3], "|")
	}
	return ""
}

// requestLike is larger, the more a counter is called like one of requests that the
// service answers.
func requestLike(metric string) int {
	n := 0
	for word, value := range map[string]int{
		"request": 4, "handled": 4, "http": 2, "grpc": 2, "rpc": 2, "server": 2, "call": 1,
		"client": -6, "promhttp": -20, "prometheus": -20, "scrape": -20, "go_gc": -20, "process_": -20, "conntrack": -20,
		"body_size": -3, "response_size": -3, "request_size": -3, "errors": -2, "failures": -2, "in_flight": -9,
	} {
		if strings.Contains(metric, word) {
			n += value
		}
	}
	return n
}

// worth orders counters by how well they can be judged.
func worth(c Counter) int {
	n := requestLike(c.Metric) + 100*c.found
	if c.Bad != "" {
		n += 100
	}
	if c.Judgeable {
		n += 1000
	}
	return n
}

// unrepeated keeps the first of equal strings, in their order.
func unrepeated(all []string) []string {
	var out []string
	for _, s := range all {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
