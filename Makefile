# `make` lists the targets.

GO ?= go
export PATH := $(PATH):$(shell $(GO) env GOPATH)/bin

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## ./webhooks, a static binary (VERSION=1.2.3 names it; otherwise the module's version or the commit)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(if $(VERSION),-X github.com/recordengine/webhooks/cli.version=$(VERSION))' -o webhooks .

.PHONY: demo
demo: build ## the sixty-second tour: seven events from application transactions to a receiver
	./webhooks demo

.PHONY: check
check: build vet lint unit ## before each commit, in less than a minute: build, vet, lint and the tests without a database

.PHONY: vet
vet:
	$(GO) vet ./...

.PHONY: unit
unit:
	$(GO) test $$($(GO) list ./... | grep -vE '/(integration_test|temppg)$$')

NO_RACE = without the race detector, which needs a C compiler (Debian: apt-get install gcc libc6-dev)

.PHONY: test
test: vet ## all tests, on a real PostgreSQL (where it comes from: CONTRIBUTING.md), with the race detector if there is a C compiler
	@race=-race; $(GO) build -race -o /dev/null runtime/cgo 2>/dev/null || { race=; note='$(NO_RACE)'; echo "$$note"; }; \
	$(GO) test $$race -timeout 20m -json ./... | $(GO) run ./integration_test/progress -note "$$note"

.PHONY: chaos
chaos: ## the guarantees under faults for DURATION (60s), by a schedule that is drawn; SEED= repeats one
	DURATION=$(or $(DURATION),60s) SEED=$(or $(SEED),new) $(GO) test ./integration_test -run '^TestChaos' -count=1 -v -timeout 60m

.PHONY: marathon
marathon: ## ten minutes of chaos
	$(MAKE) chaos DURATION=10m

GOLANGCI = 2.15.0

.PHONY: linter
linter:
	@golangci-lint version 2>/dev/null | grep -qF 'version $(GOLANGCI) ' || \
		$(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$(GOLANGCI)

.PHONY: lint
lint: linter ## the linter, import boundaries included; installs golangci-lint where it is missing (two minutes)
	golangci-lint run

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (20s)
	@grep -rEo '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' --exclude-dir=bench . | while IFS=: read -r file target; do \
		echo "$${target#func } in $$(dirname $$file)"; $(GO) test $$(dirname $$file) -run '^$$' -fuzz "^$${target#func }\$$" \
			-fuzztime $(or $(FUZZTIME),20s) -fuzzminimizetime 1x || exit 1; \
	done

.PHONY: corpus
corpus: ## keep the inputs that fuzzing found beside the tests, which then try them each time
	@cache=$$($(GO) env GOCACHE)/fuzz/$$($(GO) list -m); for found in $$cache/*/Fuzz*; do \
		[ -d $$found ] || continue; kept=$$(basename $$(dirname $$found))/testdata/fuzz/$$(basename $$found); mkdir -p $$kept; \
		find $$found -type f -size -4k | sort | head -100 | xargs -r cp -t $$kept; echo "$$kept: $$(ls $$kept | wc -l)"; \
	done

.PHONY: sim
sim: ## a million simulated schedules of the protocol (SCHEDULES= and SEED= to choose)
	SCHEDULES=$(or $(SCHEDULES),1000000) SEED=$(or $(SEED),1) $(GO) test ./outbox -count=1 -timeout 60m -v -run '^TestSim_(PromisesHold|SeedReplays)'

.PHONY: model
model: ## the simulation's model of the database beside PostgreSQL, by sequences that are drawn (SEQUENCES= and SEED= to choose)
	SEQUENCES=$(or $(SEQUENCES),2000) SEED=$(or $(SEED),new) $(GO) test ./integration_test -run '^TestModel_' -count=1 -v -timeout 60m

.PHONY: mutants
mutants: ## breaks the protocol in one place at a time, in a copy: the named test must fail (ONLY= to choose)
	$(GO) run ./mutants -only '$(ONLY)'

# SECTION=throughput,latency  SIZE=short|normal|long  ROUNDS=3  EVENTS=100000  DOCUMENT=../docs/performance.md: see bench/options.go
BENCH = $(if $(SECTION),--section $(SECTION)) $(if $(SIZE),--size $(SIZE)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
	$(if $(EVENTS),--events $(EVENTS)) $(if $(DOCUMENT),--document $(DOCUMENT)) $(ARGS)

.PHONY: bench
bench: ## throughput and latency, beside other outboxes (a module of its own; see docs/performance.md)
	cd bench && $(GO) run . $(BENCH)

.PHONY: images
images: ## PostgreSQL images for dockertest, built from Debian packages where no registry can be reached
	integration_test/images/build.sh 13 15 17 18

.PHONY: clean
clean: ## remove what was built
	rm -f webhooks
