// Package backends starts the real servers that the tests of Assay talk to: Apache Kafka, Prometheus, Loki and more, each as a
// process of its own on loopback, with its data in the test's temporary directory.
//
// A server is built, or fetched, once and kept in the user's cache directory under assay-backends/<name>-<version>-<recipe>,
// where the last part changes with everything that the build is made from. Several test programs may ask at once: one builds
// under a file lock, the others wait. `go run ./testdata/backends/setup` does the same ahead of time and says how far it is.
//
// A server that cannot be had fails the test and says how to get it; nothing is skipped. The environment variables
// ASSAY_TEST_KAFKA (host:port), ASSAY_TEST_PROMETHEUS and ASSAY_TEST_LOKI (URLs) name servers that run already; such a server can be talked
// to, but not stopped, killed, restarted or filled from a file, and a test that wants to fails.
//
// The package does not fake anything, and it knows nothing of Assay. Adding a server takes one file with its Start function
// and one line in the table of artifacts.
package backends
