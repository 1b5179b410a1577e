SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# One build tag everywhere: grpc's optional modules in storage cost 20 MB and a third of the first build.
TAGS := disable_grpc_modules
export CGO_ENABLED ?= $(if $(shell command -v cc),1,0)
RACE := $(if $(shell command -v cc),-race,)

.PHONY: help run test check build create-new-model clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## start everything on this machine; needs no account (PORT=8080, DATA=.millrace)
	@exec bin/millrace dev --port "$${PORT:-8080}" --data "$${DATA:-.millrace}"

build: ## build the command line into bin/
	@[ -x bin/millrace ] || echo "building bin/millrace: the first time takes about a minute"
	@go build -tags $(TAGS) -o bin/millrace ./cmd/millrace

test: ## run all tests, with the race detector where there is a C compiler; MODEL=x tests one model
ifeq ($(origin MODEL),command line)
	@$(MAKE) --no-print-directory build
	@bin/millrace validate -- "$$MODEL"
	@MILLRACE_BINARY="$$PWD/bin/millrace" go test -tags $(TAGS) -count=1 -v -run '^TestModels$$' ./test/model
else
	@[ -n "$(RACE)" ] || echo "skipped: race detector (no C compiler)"
	go vet -tags $(TAGS) ./...
	go test -tags $(TAGS) $(RACE) -shuffle=on -count=1 -timeout 20m ./...
endif

check: ## lint, and fail on any difference in formatted or generated files
	@test -z "$$(gofmt -l cmd functions internal pipelines shared templates test)" || { gofmt -l cmd functions internal pipelines shared templates test; echo "make check: run gofmt -w on these files" >&2; exit 1; }
	go mod tidy -diff
	go run -modfile=tools/go.mod github.com/golangci/golangci-lint/v2/cmd/golangci-lint run

# NAME counts only when it is given to make: some systems set it in every environment.
create-new-model: build ## make a model folder; asks what NAME= and KIND=realtime|batch|both do not say (ARTIFACT=, CSV= a model file)
	@bin/millrace new $(if $(KIND),--kind "$$KIND") $(if $(ARTIFACT),--artifact "$$ARTIFACT") $(if $(CSV),--csv "$$CSV") $(if $(filter command,$(origin NAME)),-- "$$NAME")

clean: ## remove what make built and the local data of make run
	rm -rf bin "$${DATA:-.millrace}"
