package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const importProcess = `
sources:
  prom: {type: prometheus, url: "http://127.0.0.1:1"}
`

// What is imported loads as policies, and says on standard error what changed.
func TestImportedPoliciesLoad(t *testing.T) {
	dir := t.TempDir()
	process := filepath.Join(dir, "assay.yaml")
	if err := os.WriteFile(process, []byte(importProcess), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := filepath.Join("..", "..", "internal", "importer", "testdata")
	for _, test := range []struct {
		args []string
		said string
	}{
		{[]string{"sloth", filepath.Join(tests, "sloth", "getting-started.yml")}, "every objective is critical"},
		{[]string{"sloth", filepath.Join(tests, "sloth", "kubernetes-apiserver-rules.yml")}, "every objective is critical"},
		{[]string{"pyrra", "--service", "checkout", filepath.Join(tests, "pyrra.yaml")}, "pyrra.yaml:40: checkout-latency-native: not imported"},
		{[]string{"kayenta", filepath.Join(tests, "canary.json")}, "Kayenta loses or invents the rest"},
	} {
		code, out, said := command(t, append([]string{"import"}, test.args...)...)
		if code != exitOK || !strings.Contains(said, test.said) {
			t.Fatalf("%v: exit code %d, %s", test.args, code, said)
		}
		policies := filepath.Join(dir, "policies.yaml")
		if err := os.WriteFile(policies, []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, out, said := command(t, "check", "--offline", "--config", process, "--policies", policies); code != exitOK {
			t.Errorf("%v: what was imported does not load: exit code %d\n%s%s", test.args, code, out, said)
		}
	}
}

func TestImportRefuses(t *testing.T) {
	tests := filepath.Join("..", "..", "internal", "importer", "testdata")
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"sloth"}, "takes one file"},
		{[]string{"sloth", "nowhere.yml"}, "nowhere.yml"},
		{[]string{"pyrra", filepath.Join(tests, "pyrra.yaml")}, "--service"},
		{[]string{"sloth", filepath.Join(tests, "sloth", "in-sli-plugin.yaml")}, "nothing could be imported"},
	} {
		code, out, said := command(t, append([]string{"import"}, test.args...)...)
		if code != exitUsage || out != "" || !strings.Contains(said, test.want) {
			t.Errorf("%v: exit code %d: %s%s", test.args, code, out, said)
		}
	}
}
