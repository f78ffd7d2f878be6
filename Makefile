# `make` lists the targets.

GO ?= go
export PATH := $(PATH):$(shell $(GO) env GOPATH)/bin

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# A release is named by its version alone: built from a clone or from an archive of its source, with
# any tags, it has the same sum. Otherwise Go stamps the commit.
STAMP = $(if $(VERSION),-buildvcs=false -ldflags '-X github.com/recordengine/webhooks/cli.version=$(VERSION)')

.PHONY: build
build: ## ./webhooks, a static binary (VERSION=1.2.3 names it; otherwise the module's version or the commit)
	CGO_ENABLED=0 $(GO) build -trimpath $(STAMP) -o webhooks .

.PHONY: demo
demo: build ## the sixty-second tour: seven events from application transactions to a receiver; PAGE=1 goes on with the page
	./webhooks demo $(if $(PAGE),--page)

.PHONY: check
check: build vet lint unit ## before each commit, in less than a minute: build, vet, lint and the tests without a database

.PHONY: vet
vet:
	$(GO) vet -tags ha ./...

.PHONY: unit
unit:
	$(GO) test $$($(GO) list ./... | grep -vE '/(integration_test|temppg)$$')

NO_RACE = without the race detector, which needs a C compiler (Debian: apt-get install gcc libc6-dev)

# The integration tests begin first: they take longest, and mostly wait. vet has run, in whole.
.PHONY: test
test: vet ## all tests, on a real PostgreSQL (where it comes from: CONTRIBUTING.md), with the race detector if there is a C compiler
	@race=-race; $(GO) build -race -o /dev/null runtime/cgo 2>/dev/null || { race=; note='$(NO_RACE)'; echo "$$note"; }; \
	$(GO) test $$race -vet=off -timeout 20m -json ./integration_test ./... | $(GO) run ./integration_test/progress -note "$$note"

.PHONY: chaos
chaos: ## the guarantees under faults for DURATION (60s), by a schedule that is drawn; SEED= repeats one
	DURATION=$(or $(DURATION),60s) SEED=$(or $(SEED),new) $(GO) test ./integration_test -run '^TestChaos' -count=1 -v -timeout 60m

.PHONY: marathon
marathon: ## ten minutes of chaos
	$(MAKE) chaos DURATION=10m

# SCENARIO= and WAY= select by regular expressions, TIMES=default: see integration_test/ha_test.go.
.PHONY: ha
ha: ## failovers under Patroni with etcd, in containers: half an hour; SCENARIO= selects, DOCUMENT=../docs/ha.md writes the numbers
	integration_test/images/build.sh ha
	$(GO) test -tags ha ./integration_test -run '^TestHA_' -count=1 -v -timeout 90m

GOLANGCI = 2.15.0
GOVULNCHECK = 1.9.0
CYCLONEDX = github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

.PHONY: linter
linter:
	@golangci-lint version 2>/dev/null | grep -qF 'version $(GOLANGCI) ' || \
		$(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$(GOLANGCI)

.PHONY: lint
lint: linter ## the linter, import boundaries included; installs golangci-lint where it is missing (two minutes)
	golangci-lint run

.PHONY: vuln
vuln: ## known vulnerabilities that the program reaches, where their database can be; STRICT=1 counts Go's own
	@$(GO) run ./release/vuln -scanner golang.org/x/vuln/cmd/govulncheck@v$(GOVULNCHECK) $(if $(STRICT),-strict)

.PHONY: licences
licences: ## docs/licences.md: all modules with their licences; fails for one that is unknown or not accepted
	@$(GO) run ./release/licences >docs/licences.md.new && mv docs/licences.md.new docs/licences.md || { rm docs/licences.md.new; exit 1; }

.PHONY: openapi
openapi: ## docs/openapi.yaml, from docs/contract.md and the examples: after each change of an event
	@$(GO) run ./release/openapi >docs/openapi.yaml.new && mv docs/openapi.yaml.new docs/openapi.yaml || { rm docs/openapi.yaml.new; exit 1; }

.PHONY: commands
commands: ## docs/commands.md: every command, from the program's own descriptions; after each change of one
	@$(GO) run ./release/commands >docs/commands.md.new && mv docs/commands.md.new docs/commands.md || { rm docs/commands.md.new; exit 1; }

.PHONY: sbom
sbom: build ## webhooks.cdx.json, a CycloneDX list of what is in the binary
	$(GO) run $(CYCLONEDX) bin -json -std -noserial -version $$(./webhooks version | cut -d ' ' -f 2) -output webhooks.cdx.json webhooks

.PHONY: release-check
release-check: ## .goreleaser.yaml, and all of a release except signing and publishing, into dist/, then its packages (needs goreleaser 2)
	goreleaser check
	@docker buildx version >/dev/null 2>&1 || echo "no docker buildx here: the image of the release is not built; make packages builds it by the classic builder"
	goreleaser release --snapshot --clean --skip=sign,publish$$(docker buildx version >/dev/null 2>&1 || echo ,docker)
	WEBHOOK_TEST_RELEASE=$(CURDIR)/dist $(GO) test ./deploy -run '^TestRelease_' -count=1 -v

.PHONY: packages
packages: ## the images, compose.yaml, the systemd units and the Helm chart, built, started and checked (needs Docker; the program is compiled in a container)
	WEBHOOK_TEST_PACKAGES=1 $(GO) test ./deploy -count=1 -v -timeout 20m
	cd deploy/helm/test && $(GO) vet ./... && $(GO) test -count=1 ./...

.PHONY: reproducible
reproducible: ## two builds of one source in two places have one sum
	@release/reproducible.sh

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

CONFORMANCE = ^Test(Claim|Record|Recorder|Order|Switch|Lease|Plans|Retry|Delivery|Pace|Pause|Poll|Schema|Outbox|FinishedRow|Model)_

.PHONY: conformance
conformance: ## has the server of TEST_DATABASE_URL what the outbox relies on? Each feature, then the tests of claim, record and order
	$(GO) run ./integration_test/conformance
	SEQUENCES=$(or $(SEQUENCES),40) $(GO) test ./integration_test -run '$(CONFORMANCE)' -count=1 -json | $(GO) run ./integration_test/progress

.PHONY: mutants
mutants: ## breaks the protocol in one place at a time, in a copy: the named test must fail (ONLY= to choose)
	$(GO) run ./mutants -only '$(ONLY)'

# SECTION=throughput,latency  SIZE=short|normal|long  ROUNDS=3  EVENTS=100000  DOCUMENT=../docs/performance.md: see bench/options.go
BENCH = $(if $(SECTION),--section $(SECTION)) $(if $(SIZE),--size $(SIZE)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
	$(if $(EVENTS),--events $(EVENTS)) $(if $(DOCUMENT),--document $(DOCUMENT)) $(ARGS)

.PHONY: bench
bench: ## throughput and latency, beside other outboxes (a module of its own; see docs/performance.md)
	cd bench && $(GO) run . $(BENCH)

.PHONY: tenants
tenants: ## what ten thousand tenants cost in a year, into docs/scale.md: after each new measurement of a cost (half a minute)
	$(GO) run ./release/tenants -document docs/scale.md

.PHONY: upgrades
upgrades: ## PostgreSQL 13 becomes 17 beneath running workers, by the steps of docs/upgrade-postgresql.md (needs make images)
	WEBHOOK_TEST_UPGRADES=1 $(GO) test ./integration_test -run '^Test(PgUpgrade|CutOver)_' -parallel 1 -count=1 -v -timeout 30m

.PHONY: images
images: ## PostgreSQL images for dockertest, built from Debian packages where no registry can be reached
	integration_test/images/build.sh 13 15 17 18 13-17

.PHONY: pictures
pictures: ## the pictures of docs/administer.md, and one of each page in a temporary directory that it names (needs Chromium)
	@mkdir -p docs/pictures
	PICTURES=$(CURDIR)/docs/pictures WEBHOOK_TEST_BROWSER=required $(GO) test ./integration_test -run '^TestPages_Photographed$$' -count=1 -v

.PHONY: clean
clean: ## remove what was built
	rm -f webhooks webhooks.cdx.json
