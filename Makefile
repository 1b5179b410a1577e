SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# One build tag everywhere: grpc's optional modules in storage cost 20 MB and a third of the first build.
TAGS := disable_grpc_modules
export CGO_ENABLED ?= $(if $(shell command -v cc),1,0)
RACE := $(if $(shell command -v cc),-race,)
# Without paths of the checkout in what is built, a new clone finds all of it in the build cache.
export GOFLAGS := $(strip $(GOFLAGS) -trimpath)

# What the steps of a build leave for each other. Not taken from the environment: make clean removes it.
BUILD := build
TERRAFORM ?= terraform
# What a prediction and a batch row pass through; the local cloud's benchmarks are asked for by PACKAGES.
BENCHED := ./shared/... ./functions/... ./pipelines/...
# DRY_RUN=1 shows what a target would do; a variable that is set but empty counts as not set.
DRY = $(if $(DRY_RUN),--dry-run)
# What to compare with: a revision that a person names, or the branch that a build's pull request goes to.
BASED = $(if $(BASE),--base "$$BASE",$(if $(BASE_BRANCH),--base "origin/$$BASE_BRANCH"))

# Tests say themselves what is set: what a build or a shell sets for its deployments stays out. A credential stays: the
# artifact of a model may lie in Cloud Storage.
CLEAN_ENV := env $(addprefix -u ,DEPLOY DEPLOYED BASE BASE_BRANCH GOOGLE_CLOUD_PROJECT REGION ARTIFACTS STAGING BRANCH_NAME COMMIT_SHA BUILD_ID \
	GITHUB_SHA GITHUB_REF_NAME GITHUB_RUN_ID CLOUDSDK_CORE_PROJECT CLOUDSDK_PROJECT GCLOUD_PROJECT GCP_PROJECT MILLRACE_URL MILLRACE_TOKEN)

.PHONY: help run test check build bench deploy create-new-model clean clean-pycache changed history diff bundle image release rollback deploy-dev record check-terraform plan-terraform apply-terraform

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
	@MILLRACE_BINARY="$$PWD/bin/millrace" $(CLEAN_ENV) go test -tags $(TAGS) -count=1 -v -run '^TestModels$$' ./test/model
else
	@[ -n "$(RACE)" ] || echo "skipped: race detector (no C compiler)"
	go vet -tags $(TAGS) ./...
	@echo go test -tags $(TAGS) $(RACE) -shuffle=on -count=1 -timeout 20m ./...
	@$(CLEAN_ENV) go test -tags $(TAGS) $(RACE) -shuffle=on -count=1 -timeout 20m ./...
endif

check: ## lint, and fail on any difference in formatted or generated files
	@test -z "$$(gofmt -l cmd functions internal pipelines shared templates test)" || { gofmt -l cmd functions internal pipelines shared templates test; echo "make check: run gofmt -w on these files" >&2; exit 1; }
	go mod tidy -diff
	go run -modfile=tools/go.mod github.com/golangci/golangci-lint/v2/cmd/golangci-lint run

# Where to: of the environment, as builds set it, or given to make.
PLACE = $(if $(PROJECT),--project "$$PROJECT") $(if $(REGION),--region "$$REGION") $(if $(ARTIFACTS),--artifacts "$$ARTIFACTS") $(if $(STAGING),--staging "$$STAGING")
RECORDS = gs://$(or $(ARTIFACTS:gs://%=%),$(or $(PROJECT),$(GOOGLE_CLOUD_PROJECT),PROJECT)-artifacts)
IMAGES = $(or $(REGION),REGION)-docker.pkg.dev/$(or $(PROJECT),$(GOOGLE_CLOUD_PROJECT),PROJECT)/images/step

deploy: build ## deploy what changed: compare, test, bundle, image, then each unit with its checks (PROJECT=p REGION=r; DRY_RUN=1 shows all of it)
ifneq ($(DRY_RUN),)
	@printf '%s\n' "make changed DEPLOYED=$(RECORDS)" "make test" "make bundle" "make image TO=$(IMAGES) DEPLOYED=$(RECORDS)"
	@bin/millrace ci deploy --build "$(BUILD)" $(PLACE) --dry-run
else
	@bin/millrace ci deploy --ready $(PLACE)
	@$(MAKE) --no-print-directory changed DEPLOYED="$(RECORDS)" BASE= BASE_BRANCH=
	@env -u MAKEFLAGS -u MAKEOVERRIDES $(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory bundle UNIT= OUT=
	@$(MAKE) --no-print-directory image TO="$(IMAGES)" DEPLOYED="$(RECORDS)"
	@bin/millrace ci deploy --build "$(BUILD)" $(PLACE)
endif

# NAME counts only when it is given to make: some systems set it in every environment.
create-new-model: build ## make a model folder; asks what NAME= and KIND=realtime|batch|both do not say (ARTIFACT=, CSV= a model file)
	@bin/millrace new $(if $(KIND),--kind "$$KIND") $(if $(ARTIFACT),--artifact "$$ARTIFACT") $(if $(CSV),--csv "$$CSV") $(if $(filter command,$(origin NAME)),-- "$$NAME")

clean: clean-pycache ## remove what make built, and the local data of make run
	rm -rf bin "$(BUILD)" "$${DATA:-.millrace}"

clean-pycache: #### remove what Python compiled
	@find . -name .git -prune -o \( -name __pycache__ -prune -o -name '*.pyc' \) -print0 | xargs -0r rm -rf --

bench: ## measure the engines, the contract and the readers on this machine (PACKAGES=./shared/score/... COUNT=5)
	@echo "A line: what, how often it ran, the time of one operation, its own measures (rows/s, MB/s), bytes and allocations of one operation."
	@echo "Compare lines of one machine only, and several runs of each (COUNT=10)."
	@go test -tags $(TAGS) -run '^$$' -bench . -benchmem -count "$${COUNT:-1}" $${PACKAGES:-$(BENCHED)} | grep -v -e '^PASS$$' -e 'no test files'

# What a build does, for a person to run. Each is one command; bin/millrace ci --help has their options.

changed: build #### say which units have to be deployed, and why, and write that to build/ (DEPLOYED=gs://BUCKET or BASE=REV)
	@bin/millrace ci changed $(if $(DRY_RUN),,--build "$(BUILD)") $(if $(DEPLOYED),--deployed "$$DEPLOYED",$(BASED))

# A build gets a clone of one commit, and a pull request is compared with the branch it goes to.
history: #### fetch what a clone of one commit lacks for a comparison (BASE_BRANCH=main)
	@if [ -z "$${BASE_BRANCH:-}" ]; then echo "nothing to fetch: there is no BASE_BRANCH"; \
	elif [ "$$(git rev-parse --is-shallow-repository)" = true ]; then git fetch --quiet --unshallow origin "+refs/heads/$$BASE_BRANCH:refs/remotes/origin/$$BASE_BRANCH"; \
	elif ! git rev-parse --quiet --verify "origin/$$BASE_BRANCH^{commit}" >/dev/null; then git fetch --quiet origin "+refs/heads/$$BASE_BRANCH:refs/remotes/origin/$$BASE_BRANCH"; fi

diff: build #### compare the predictions of each model that make changed found with those of a revision (BASE=REV)
	@bin/millrace ci diff --build "$(BUILD)" $(BASED)

bundle: build #### write the source of each changed function to build/bundles/ and try it as the buildpack does (UNIT=predict@MODEL OUT=DIR: of that one; DRY_RUN=1)
	@bin/millrace ci bundle --build "$(BUILD)" --check $(DRY) $(if $(OUT),--out "$$OUT") $(if $(UNIT),"$$UNIT")

image: build #### build the step image if it changed, push it, and write its name to build/image (TO=REPOSITORY DEPLOYED=gs://BUCKET STEP_BASE_IMAGE=REF; DRY_RUN=1)
	@bin/millrace ci image --build "$(BUILD)" $(if $(TO),--to "$$TO") $(if $(DEPLOYED),--deployed "$$DEPLOYED") $(DRY)

check-terraform: #### check the infrastructure: format, modules, plan, rights, alerts; with tflint where it is built (make bin/tflint)
	go test -tags $(TAGS) -count=1 -v ./internal/iac/... | grep -E '^(---|ok|FAIL)|^ +(--- (FAIL|SKIP)|[a-z_]+\.go:)'
	@tflint=$$(command -v bin/tflint || command -v tflint) || { echo "skipped: tflint (make bin/tflint builds it, in about two minutes)"; exit 0; }; \
		"$$tflint" --chdir=terraform --recursive --config="$$PWD/terraform/.tflint.hcl" && echo "ok  	tflint"

bin/tflint: tools/tflint/go.mod
	cd tools/tflint && CGO_ENABLED=0 go build -o ../../bin/tflint github.com/terraform-linters/tflint

plan-terraform: #### plan the infrastructure, and write the plan to build/terraform.plan (STATE=BUCKET of the state; ENVIRONMENT=dev takes terraform/environments/dev.tfvars, else prod)
	@mkdir -p "$(BUILD)"
	@"$(TERRAFORM)" -chdir=terraform init -input=false -reconfigure -backend-config="environments/$${ENVIRONMENT:-prod}.gcs.tfbackend" $(if $(STATE),-backend-config="bucket=$$STATE")
	@"$(TERRAFORM)" -chdir=terraform plan -input=false -lock-timeout=5m -var-file="environments/$${ENVIRONMENT:-prod}.tfvars" -out="$(abspath $(BUILD))/terraform.plan"

apply-terraform: #### apply exactly what make plan-terraform planned
	@[ "$${DEPLOY:-true}" = true ] || { echo "skipped: this build does not deploy (DEPLOY=$$DEPLOY)"; exit 0; }; \
		"$(TERRAFORM)" -chdir=terraform apply -input=false -lock-timeout=5m "$(abspath $(BUILD))/terraform.plan"

rollback: build #### take a model back: its traffic to the revision before, its batch pointer to the release before (MODEL=x TO=REVISION; DRY_RUN=1)
	@bin/millrace ci rollback "$${MODEL:?which one? make rollback MODEL=x}" $(PLACE) $(if $(TO),--to "$$TO") $(DRY)

deploy-dev: build #### deploy a model into a project without Terraform, and print its private URL (MODEL=x PROJECT=p REGION=r; DRY_RUN=1)
	@bin/millrace ci deploy-dev "$${MODEL:?which one? make deploy-dev MODEL=x PROJECT=p}" $(if $(PROJECT),--project "$$PROJECT") $(if $(REGION),--region "$$REGION") $(DRY)

record: build #### record a unit as deployed, as it is in this checkout (UNIT=terraform DEPLOYED=gs://BUCKET)
	@bin/millrace ci record "$${UNIT:?which one? make record UNIT=terraform DEPLOYED=gs://BUCKET}" --deployed "$${DEPLOYED:?where? make record UNIT=$$UNIT DEPLOYED=gs://BUCKET}"

release: build #### release a batch model (MODEL=x IMAGE=REF BUCKET=b, DRY_RUN=1)
	@bin/millrace ci release "$${MODEL:?which one? make release MODEL=x IMAGE=REF BUCKET=b}" --image "$${IMAGE:-}" --bucket "$${BUCKET:?into which bucket? make release MODEL=x IMAGE=REF BUCKET=b}" $${DRY_RUN:+--dry-run}
