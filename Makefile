# Few targets. `make check` is exactly what CI runs.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:

GO ?= go
TOOL := $(GO) tool -modfile=tools/go.mod
export FUZZTIME ?= 20s
# What every packet and every recording goes through; `make bench BENCH=.` runs all.
HOT := ^Benchmark(Classify|Relay|Take|Seal|Survey|Place|Render|Publish)$$
HOTS := $(addprefix ./internal/,rtp media recorder journal timeline render publish)
BENCH ?= $(HOT)
COUNT ?= 1
BENCHTIME ?= 1s

# Whole calls measure time, so they have the machine to themselves.
CALLS := ./internal/calltest/...
UNITS = $(shell $(GO) list ./... | grep -v /internal/calltest)

.PHONY: help build generate lint test scenario fuzz bench bench-compare bench-baseline load flows kills faults impairments amd cover check deps

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build: ## the program in bin/, without cgo; STATIC=1 for one without the C library, too
	CGO_ENABLED=0 $(GO) build -trimpath $(if $(STATIC),-tags static) -o bin/tapedeck ./cmd/tapedeck

generate: ## the code that is made from api/
	$(GO) generate ./...

lint: ## vet, linters, the rules of the architecture
	$(GO) vet ./...
	$(TOOL) golangci-lint run ./...
	$(GO) test ./internal/arch

test: deps ## every test but whole calls, with the race detector
	$(GO) test -race -shuffle=on -timeout 10m $(UNITS)

# The race detector is too slow for every pair of codecs at once: they run again
# without it.
scenario: deps ## whole calls against a real server, with sipp and baresip
	$(GO) test -race -shuffle=on -timeout 25m -p 1 $(CALLS)
	$(GO) test -run '^TestCodecs$$' -timeout 10m $(CALLS)

fuzz: ## every fuzz target for FUZZTIME
	scripts/fuzz

bench: ## benchmarks of the hot functions, or those matching BENCH, COUNT (1) times
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -p 1 -count $(COUNT) -benchtime $(BENCHTIME) -timeout 60m $(if $(filter $(HOT),$(BENCH)),$(HOTS),$(UNITS))

# What is compared runs six times, so that benchstat can tell a change from noise.
bench-compare: ## the hot functions against docs/bench/baseline.txt, by benchstat
	@mkdir -p bin
	$(MAKE) -s bench COUNT=6 BENCHTIME=0.2s > bin/bench.txt
	$(TOOL) benchstat docs/bench/baseline.txt bin/bench.txt

bench-baseline: ## the hot functions of this machine into docs/bench/baseline.txt
	@mkdir -p bin
	$(MAKE) -s bench COUNT=6 BENCHTIME=0.2s > bin/bench.txt
	mv bin/bench.txt docs/bench/baseline.txt

load: ## LOAD_CALLS (200) bridged and recorded calls on one core for LOAD_TALK (60) seconds
	taskset -c 1-$$(($$(nproc) - 1)) $(GO) test -run '^$$' -bench RecordedCalls -benchtime 1x -timeout 30m ./internal/calltest

flows: deps ## 500 call flows a minute by sipp for FLOWS_SECONDS (120), the server on one core; how each ended, and what is left
	scripts/flows

kills: ## kill -9 of a recorder KILLS (1000) times, of the server KILLS_SERVER (20) times
	KILLS=$${KILLS:-1000} KILLS_SERVER=$${KILLS_SERVER:-20} $(GO) test -count=1 -p 1 -v -timeout 40m \
		-run 'TestKillAtAnyMoment|TestKillsOfTheServer' ./internal/recorder ./internal/calltest

faults: deps ## all fault runs, and what they counted as a table
	scripts/faults

impairments: ## SEEDS (50) simulated calls, from SEED (1) on, of every kind of bad network; writes the table in docs/recording.md
	$(GO) test -run '^TestImpairments$$' -timeout 60m ./internal/render -impairments $${SEEDS:-50} -seed $${SEED:-1}

amd: deps ## every synthesised greeting judged as a person's or a machine's; writes the tables in docs/amd.md
	$(GO) test -run '^TestAccuracy$$' -timeout 30m ./internal/speech -update

cover: deps ## statement coverage of all packages by all tests
	$(GO) test -timeout 20m -p 1 -coverpkg=./... -coverprofile=coverage.txt ./... | grep -v 'no test files'
	$(GO) tool cover -func=coverage.txt | tail -n 1

deps: ## the programs that the tests need, by apt, when absent
	scripts/install-test-deps

# The order brings the cheap answers first. Other systems are only compiled:
# the portable fallback of media (darwin) and 32-bit words (386).
check: deps ## everything CI runs
	scripts/check-generated $(MAKE) --no-print-directory generate
	$(GO) mod tidy -diff
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -o /dev/null ./cmd/tapedeck
	$(MAKE) --no-print-directory lint
	GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 $(GO) vet ./...
	GOOS=linux GOARCH=386 CGO_ENABLED=0 $(GO) vet ./...
	$(GO) vet -tags static ./...
	$(MAKE) --no-print-directory fuzz
	$(MAKE) --no-print-directory test
	$(MAKE) --no-print-directory scenario
