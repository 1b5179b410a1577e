SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# One build tag everywhere: grpc's optional modules in storage cost 20 MB and a third of the first build.
TAGS := disable_grpc_modules
export CGO_ENABLED ?= $(if $(shell command -v cc),1,0)
RACE := $(if $(shell command -v cc),-race,)
# Without paths of the checkout in what is built, a new clone finds all of it in the build cache.
export GOFLAGS := $(strip $(GOFLAGS) -trimpath)

.PHONY: help run test check build create-new-model clean changed bundle image release check-terraform

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.* ## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "more:"
	@awk -F ':.*## ' '/^[a-z-]+:.* #### / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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

# What a build does, for a person to run. Each is one command; bin/millrace ci --help has their options.

changed: build #### say which units have to be deployed, and why (DEPLOYED=gs://BUCKET or BASE=REV)
	@bin/millrace ci changed $${BASE:+--base "$$BASE"} $${DEPLOYED:+--deployed "$$DEPLOYED"}

bundle: build #### write the source of a function and try it as the buildpack does (UNIT=predict@MODEL OUT=DIR)
	@bin/millrace ci bundle "$${UNIT:?which one? make bundle UNIT=predict@MODEL OUT=DIR}" --out "$${OUT:?where to? make bundle UNIT=$$UNIT OUT=DIR}" --check

image: build #### build the step image and push it (TO=REPOSITORY, STEP_BASE_IMAGE=REF, DRY_RUN=1)
	@bin/millrace ci image --to "$${TO:?where to? make image TO=REPOSITORY}" $${DRY_RUN:+--dry-run}

check-terraform: #### check the infrastructure: format, modules, plan, rights, alerts; with tflint where it is built (make bin/tflint)
	go test -tags $(TAGS) -count=1 -v ./internal/iac/... | grep -E '^(---|ok|FAIL)|^ +(--- (FAIL|SKIP)|[a-z_]+\.go:)'
	@tflint=$$(command -v bin/tflint || command -v tflint) || { echo "skipped: tflint (make bin/tflint builds it, in about two minutes)"; exit 0; }; \
		"$$tflint" --chdir=terraform --recursive --config="$$PWD/terraform/.tflint.hcl" && echo "ok  	tflint"

bin/tflint: tools/tflint/go.mod
	cd tools/tflint && CGO_ENABLED=0 go build -o ../../bin/tflint github.com/terraform-linters/tflint

release: build #### release a batch model (MODEL=x IMAGE=REF BUCKET=b, DRY_RUN=1)
	@bin/millrace ci release "$${MODEL:?which one? make release MODEL=x IMAGE=REF BUCKET=b}" --image "$${IMAGE:-}" --bucket "$${BUCKET:?into which bucket? make release MODEL=x IMAGE=REF BUCKET=b}" $${DRY_RUN:+--dry-run}
