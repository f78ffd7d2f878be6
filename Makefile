# `make` lists the targets.

GO ?= go

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## the binary: ./webhooks
	$(GO) build -o webhooks .

.PHONY: demo
demo: build ## the sixty-second tour: seven events from application transactions to a receiver
	./webhooks demo

.PHONY: test
test: ## everything, on a real PostgreSQL (see "Tests" in the README for where it comes from)
	$(GO) vet ./...
	$(GO) test -race -timeout 20m ./...

DURATION ?= 60s

.PHONY: chaos
chaos: ## the guarantees under faults for DURATION (60s); SEED= repeats a schedule
	DURATION=$(DURATION) SEED=$(SEED) $(GO) test ./integration_test -run '^TestChaos' -count=1 -v -timeout 60m

.PHONY: marathon
marathon: ## ten minutes of chaos
	$(MAKE) chaos DURATION=10m

GOLANGCI = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: lint
lint: ## the linter, import boundaries included; installs golangci-lint where it is missing
	@PATH="$$PATH:$$($(GO) env GOPATH)/bin" command -v golangci-lint >/dev/null || $(GO) install $(GOLANGCI)
	PATH="$$PATH:$$($(GO) env GOPATH)/bin" golangci-lint run

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (default 20s)
	@for target in $$(grep -rhoE '^func (Fuzz[A-Za-z0-9]+)' --include='*_test.go' outbox sender integration_test | cut -d' ' -f2); do \
		dir=$$(grep -rlE "^func $$target\(" --include='*_test.go' outbox sender integration_test | head -1 | xargs dirname); \
		echo "$$target in $$dir"; $(GO) test ./$$dir -run '^$$' -fuzz "^$$target\$$" -fuzztime $${FUZZTIME:-20s} -fuzzminimizetime 1x || exit 1; \
	done

.PHONY: corpus
corpus: ## keep what fuzzing has found interesting beside the tests, which then try it each time
	@cache=$$($(GO) env GOCACHE)/fuzz/$$($(GO) list -m); for found in $$cache/*/Fuzz*; do \
		[ -d $$found ] || continue; kept=$$(basename $$(dirname $$found))/testdata/fuzz/$$(basename $$found); mkdir -p $$kept; \
		find $$found -type f -size -4k | sort | head -100 | xargs -r cp -t $$kept; echo "$$kept: $$(ls $$kept | wc -l)"; \
	done

.PHONY: sim
sim: ## a million simulated schedules of the protocol (SCHEDULES= and SEED= to choose)
	SCHEDULES=$${SCHEDULES:-1000000} SEED=$${SEED:-1} $(GO) test ./outbox -count=1 -timeout 60m -v \
		-run '^TestSim_(PromisesHoldInEverySchedule|SeedReplaysExactly)$$'

.PHONY: mutants
mutants: ## breakages of the protocol, one at a time in a copy: each must turn its test red (ONLY= to choose)
	$(GO) run ./mutants -only "$(ONLY)"

# SECTION=throughput,latency  SIZE=short|normal|long  ROUNDS=3  EVENTS=100000  DOCUMENT=../docs/performance.md: see bench/options.go
BENCH = $(if $(SECTION),--section $(SECTION)) $(if $(SIZE),--size $(SIZE)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
	$(if $(EVENTS),--events $(EVENTS)) $(if $(DOCUMENT),--document $(DOCUMENT)) $(ARGS)

.PHONY: bench
bench: ## how fast it is, beside its peers (a module of its own; see docs/performance.md)
	cd bench && $(GO) run . $(BENCH)

.PHONY: images
images: ## PostgreSQL images for dockertest, built from Debian packages where no registry can be reached
	integration_test/images/build.sh 13 15 17

.PHONY: clean
clean: ## remove what was built
	rm -rf webhooks bin
