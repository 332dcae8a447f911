# Continuous integration runs `make test` and nothing else. Real servers that tests talk to are started by the tests.
.DEFAULT_GOAL := help
.NOTPARALLEL:

GO    ?= go
TOOL   = $(GO) tool -modfile=.ci/tools/go.mod
SEEDS ?= 50
KILLS ?= 1000
FAULT_SEEDS ?= 7
CUTS  ?= 2000
LINE_CUTS ?= 600
DATA  ?= ../shared/data
RUNS  ?= 5000

# Packages that need a real server live in internal/e2e; everything else is tested without network, Java or broker.
UNIT     = $(shell $(GO) list ./... | grep -v '/internal/e2e')
E2E      = $(shell $(GO) list ./... | grep '/internal/e2e') ./testdata/backends
CODE     = ./... ./testdata/backends/...
SOURCES  = $(shell find . -name '*.go' -not -path './bin/*' -not -path '*/.*/*')

.PHONY: help build demo test test-unit test-e2e backends race lint fmt arch bench seeds fuzz faults power torture torture-bugs oc accuracy docs

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  make %-10s %s\n", $$1, $$2}'

build: ## build bin/assay, one static program
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/assay ./cmd/assay

demo: build ## judge nine releases of a simulated shop on this machine
	bin/assay demo

test: backends lint arch test-unit test-e2e ## everything: lint, import rules, unit and end-to-end tests

test-unit: ## all tests that need no real server
	$(GO) test -timeout 20m $(UNIT)

test-e2e: backends ## the tests against the real servers, one package at a time; most of them wait, so four go at once
	$(GO) test -count=1 -p 1 -parallel 4 -timeout 30m $(E2E)

backends: ## fetch and build the real servers of the tests, once
	$(GO) run ./testdata/backends/setup

race: ## unit tests under the race detector (needs a C compiler)
	$(GO) test -race -timeout 30m $(UNIT)

lint: ## format, vet, staticcheck and go.mod
	@files=$$($(TOOL) gofumpt -l $(SOURCES)) || exit 1; if [ -n "$$files" ]; then echo "run make fmt, not formatted:"; echo "$$files"; exit 1; fi
	$(GO) vet $(CODE)
	$(TOOL) staticcheck $(CODE)
	$(GO) mod tidy -diff

fmt: ## format all Go files
	@$(TOOL) gofumpt -w $(SOURCES)

arch: ## the import and purity rules, never from the test cache
	$(GO) test -count=1 ./internal/archtest

bench: ## benchmarks of the packages that need no real server
	$(GO) test -run '^$$' -bench . -benchmem $(UNIT)

seeds: ## the scenarios of the demo in process, for SEEDS=50 random seeds
	$(GO) test ./cmd/assay -run TestSeeds -seeds=$(SEEDS) -timeout 60m -count=1 -v

fuzz: ## every fuzz target for FUZZTIME=1m; FUZZ=regexp picks some
	@GO="$(GO)" FUZZTIME="$(or $(FUZZTIME),1m)" FUZZ="$(FUZZ)" FUZZPROCS="$(FUZZPROCS)" .ci/fuzz.sh

faults: ## the fault catalogue of telemetry in 1,500 runs and more, for FAULT_SEEDS=7 random seeds
	$(GO) test ./internal/faults -run TestCatalogue -seeds=$(FAULT_SEEDS) -timeout 60m -count=1 -v

power: ## cut the power CUTS=2000 times for the store and LINE_CUTS=600 times for the line
	$(GO) test ./internal/store -run '^TestPowerLoss' -store.powercuts=$(CUTS) -timeout 60m -count=1 -v
	$(GO) test ./internal/validation -run '^TestPowerLoss$$' -validation.powercuts=$(LINE_CUTS) -timeout 60m -count=1 -v

torture: backends ## kill Assay KILLS=1000 times end to end and check all that it promised; SEED= repeats the actions
	$(GO) test ./internal/e2e -run '^TestTorture$$' -torture.kills=$(KILLS) -torture.seed=$(or $(SEED),0) -timeout 90m -count=1 -v

torture-bugs: backends ## re-introduce known bugs one by one: the kill loop must catch each; BUG= picks some by name
	$(GO) test ./internal/e2e -run '^TestTortureCatchesBugs$$' -torture.bugs='$(or $(BUG),all)' -timeout 60m -count=1 -v

oc: ## simulate releases for Assay and its peers, RUNS=5000 of each world, into docs/operating-characteristics.md; goes on where it stopped
	$(GO) test ./internal/oc -run '^TestTables$$' -oc.runs=$(RUNS) -oc.seed=$(or $(SEED),1) -timeout 0 -count=1 -v

accuracy: backends ## judge the recordings of DATA=../shared/data and write docs/accuracy.md
	$(GO) test ./internal/e2e -run '^TestAccuracy$$' -accuracy.data='$(abspath $(DATA))' -timeout 120m -count=1 -v

docs: ## regenerate what the documentation takes from code
	$(GO) generate ./...
