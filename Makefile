SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# One build tag everywhere: grpc's optional modules in storage cost 20 MB and a third of the first build.
TAGS := disable_grpc_modules
export CGO_ENABLED ?= $(if $(shell command -v cc),1,0)
RACE := $(if $(shell command -v cc),-race,)

.PHONY: help run test check build clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## start everything on this machine; needs no account (PORT=8080, DATA=.millrace)
	@exec bin/millrace dev --port "$${PORT:-8080}" --data "$${DATA:-.millrace}"

build: ## build the command line into bin/
	@[ -x bin/millrace ] || echo "building bin/millrace: the first time takes about a minute"
	@go build -tags $(TAGS) -o bin/millrace ./cmd/millrace

test: ## run all tests, with the race detector where there is a C compiler
	@[ -n "$(RACE)" ] || echo "skipped: race detector (no C compiler)"
	go vet -tags $(TAGS) ./...
	go test -tags $(TAGS) $(RACE) -shuffle=on -count=1 -timeout 20m ./...

check: ## lint, and fail on any difference in formatted or generated files
	@test -z "$$(gofmt -l cmd functions internal pipelines shared test)" || { gofmt -l cmd functions internal pipelines shared test; echo "make check: run gofmt -w on these files" >&2; exit 1; }
	go mod tidy -diff
	go run -modfile=tools/go.mod github.com/golangci/golangci-lint/v2/cmd/golangci-lint run

clean: ## remove what make built and the local data of make run
	rm -rf bin "$${DATA:-.millrace}"
