# The only list of commands. `make demo` and `make test` need python3 and a package index, nothing else.
.DEFAULT_GOAL := help
BIN := .venv/bin
STAGE ?= dev
ARGS ?=

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## .venv, the emulator and nothing else (every other target does it by itself)
	@scripts/bootstrap.sh app emulator

demo: setup ## everything from nothing: stack, history, model, live events, checks, report
	@$(BIN)/streamscore demo $(ARGS)

test: setup ## unit, integration and end-to-end tests, on the local stack
	@$(BIN)/pytest -q -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

test-deploy: build ## sam deploy to the emulator, and again while events flow: none lost, none decided twice
	@$(BIN)/pytest -q tests/deploy $(ARGS)

test-nightly: setup ## every property test with 10,000 examples: hours
	@HYPOTHESIS_PROFILE=nightly $(BIN)/pytest -q -m hypothesis --timeout 0 $(ARGS)

chaos: setup ## a stream under kills, faults, repeats and new shards equals one without: ARGS="--seeds 3 --events 20000"
	@$(BIN)/python -m streamscore.chaos $(ARGS)

chaos-nightly: setup ## the same for fifty seeds, then each of five broken rules has to show: hours
	@$(BIN)/python -m streamscore.chaos --seeds 50 $(ARGS)
	@$(BIN)/python -m streamscore.chaos --mutations --events 100

fuzz: setup ## what reads bytes from outside, led by coverage: ten minutes each, or ARGS="records --seconds 60"
	@scripts/bootstrap.sh fuzz
	@PYTHONPATH=.:.tools/fuzz/lib/python3.13/site-packages $(BIN)/python scripts/fuzz.py $(ARGS)

check: setup ## lint, types, import rules, template lint
	@scripts/bootstrap.sh sam
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python scripts/readme_commands.py --check
	@$(BIN)/cfn-lint template.yaml deploy/ci-role.yaml
	@SAM_CLI_TELEMETRY=0 .tools/sam/bin/sam validate --lint

scan: setup ## security scanners: checkov over the template, pip-audit over the locks when advisories can be read
	@scripts/bootstrap.sh scan
	@PYTHONPATH=. $(BIN)/python scripts/scan.py

bench: setup ## speed, bytes and write units of the feature engine, side by side with other engines: tables in Markdown
	@scripts/bootstrap.sh bench
	@$(BIN)/python benchmarks/online.py
	@$(BIN)/python benchmarks/offline.py
	@$(BIN)/python benchmarks/handler.py
	@$(BIN)/python benchmarks/contention.py
	@$(BIN)/python benchmarks/state_size.py --size 300000 --heads 64 128
	@$(BIN)/python benchmarks/backfill_scale.py --events 3e5 1e6
	@test -d .aws-sam/build/ScoringApiFunction || $(MAKE) build
	@$(BIN)/python benchmarks/cold_start.py
	@$(BIN)/python benchmarks/models.py
	@$(BIN)/python benchmarks/scoring_stream.py
	@$(BIN)/python benchmarks/http_api.py
	@$(BIN)/python benchmarks/end_to_end.py
	@$(BIN)/python benchmarks/on_paper.py

load: setup ## a made-up load on the running local stack, or ARGS="--stage dev --profile burst --rate 200 --for 5m"; then how it bore it
	@$(BIN)/streamscore load $(ARGS)

build: setup ## sam build without Docker, zips that depend on their content alone, an SBOM; every handler imports
	@scripts/bootstrap.sh sam
	@PATH="$$(scripts/bootstrap.sh path):$$PATH" SAM_CLI_TELEMETRY=0 .tools/sam/bin/sam build
	@$(BIN)/python scripts/finish_build.py
	@$(BIN)/python scripts/sbom.py
	@$(BIN)/python scripts/pack_build.py

docs: ## the documentation as a site in build/site; a broken link fails
	@scripts/bootstrap.sh docs
	@NO_MKDOCS_2_WARNING=1 .tools/docs/bin/mkdocs build --strict --quiet

invoke: ## one function in Lambda's container (needs Docker), on the running local stack: see docs/local-invoke.md
	@$(BIN)/python scripts/sam_local.py invoke $(FUNCTION) $(EVENT) $(ARGS)

start-api: ## the HTTP API with its function in Lambda's container, likewise, on port 3000
	@$(BIN)/python scripts/sam_local.py start-api $(ARGS)

# The spec is published before a deployment goes live, and after it: a first deployment makes the bucket. Its mappings
# do not poll yet, so no vector exists before its spec is there.
PUBLISH = $(BIN)/streamscore publish --stage $(STAGE) $(if $(filter prod,$(STAGE)),--yes)
deploy: build ## build and deploy, the spec published first: STAGE=dev (the default) or STAGE=prod
	@$(PUBLISH) --if-deployed
	@SAM_CLI_TELEMETRY=0 .tools/sam/bin/sam deploy --config-env $(STAGE) $(ARGS)
	@$(PUBLISH)

training-image: setup ## the image of the retraining jobs, built in AWS from HEAD: STAGE=dev (the default) or STAGE=prod
	@$(BIN)/python scripts/training_image.py --stage $(STAGE) $(if $(filter prod,$(STAGE)),--yes)

readme: setup ## README's command list, from the commands' own help
	@$(BIN)/python scripts/readme_commands.py

lock: ## re-resolve every lock
	@scripts/lock.sh

clean: ## everything made here, the local stack's state included
	@if [ -x $(BIN)/streamscore ]; then $(BIN)/streamscore local down >/dev/null 2>&1 || true; fi
	@rm -rf .venv .tools .local .aws-sam .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build

.PHONY: help setup demo test test-deploy test-nightly chaos chaos-nightly fuzz check scan bench load build docs invoke start-api deploy training-image readme lock clean
