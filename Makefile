# The front door; the work is done by tools/*.sh and `python -m harness`.
#
# Where a prerequisite is missing, the scripts exit with code 10 after a line for each; make itself
# always ends with 2 and shows the code ("Error 10"). `tools/run.sh scenarios` exits with it as it is.

LAYOUT ?= dev
ARGS ?=
WORKERS ?=
SHARD ?=
LEG ?=

export LAYOUT WORKERS SHARD LEG
ifdef IMPLEMENTATION
  export WG_IMPLEMENTATION := $(IMPLEMENTATION)
endif

.DEFAULT_GOAL := help
.PHONY: help scenarios test setup up down status doctor score mutation catalogue bench report lint types unit format \
  cleanup machines sweep lock clean merge gate flaky site load-images save-images

help: ## Show this help
	@printf 'usage: make TARGET [LAYOUT=dev] [WORKERS=N] [ARGS="..."]\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\n  LAYOUT=%-4s the layout to deploy and test: dev, prod; scenarios also take dev,prod\n' '$(LAYOUT)'
	@printf '  WORKERS=     workers, each with a deployment of its own (default: what cores and memory carry)\n'
	@printf '  IMPLEMENTATION=  the WireGuard that gateways use: auto, kernel or userspace (default: auto)\n'
	@printf '  SHARD=1/2    one of two machines that share the scenarios; LEG=NAME keeps the results for merge\n'
	@printf '  MARIADB_IMAGE=, REDIS_IMAGE= and others: images of your own instead of those made here\n'
	@printf '  ARGS=        handed on, to pytest or to the harness: ARGS="-k handshake --keep"\n'

scenarios: ## Deploy the layout, test it, write the report (sets up whatever is missing)
	@tools/run.sh scenarios $(ARGS)

test: LAYOUT = dev,prod
test: ## Everything: lint, types, the harness's own tests, scenarios of both layouts, report
	@tools/run.sh test $(ARGS)

setup: ## Python environment, Docker engine, report builder: only what is missing
	@tools/setup.sh

up: ## Bring the deployment up and leave it up
	@tools/run.sh up $(ARGS)

down: ## Take the deployment down
	@tools/run.sh down $(ARGS)

status: ## Show what is up
	@tools/run.sh status $(ARGS)

report: ## Build reports/report.html from the last run's results
	@tools/run.sh report $(ARGS)

merge: ## Make one run's results of all that is in reports/legs/, from this machine and others
	@tools/run.sh merge $(ARGS)

gate: ## Say whether the merged night passes, by its legs and by the report's own gate
	@tools/run.sh gate

flaky: ## Show tests that ended now one way, now another, in the nights that were merged here
	@tools/run.sh flaky

site: ## Put the report where a web server can take it from: reports/site/
	@tools/run.sh site

load-images: ## Take images from .cache/images.tar, where save-images has put them
	@tools/run.sh load_images

save-images: ## Put the images that are made here into .cache/images.tar, unless it is there
	@tools/run.sh save_images

lint: ## Every linter
	@tools/run.sh lint

types: ## mypy --strict
	@tools/run.sh types

unit: ## The harness's own tests, no Docker needed
	@tools/run.sh unit $(ARGS)

format: ## Format Python and shell
	@tools/lint.sh --fix

doctor: ## Say what is wrong with what is up, and what to do (ARGS="--attach NAME", ARGS="--compose FILE")
	@tools/run.sh doctor $(ARGS)

score: ## How well the doctor named the faults of the last run
	@tools/run.sh score $(ARGS)

mutation: ## Run the scenarios on every fault: which notices which? (hours; ARGS=--brief: until all have been noticed once)
	@tools/run.sh mutation $(ARGS)

catalogue: ## Write docs/faults.md and docs/rules.md anew, from the code
	@tools/run.sh catalogue

bench: ## Measure side by side, a table and JSON (about 15 minutes; ARGS="--only bring-up --rounds 5")
	@tools/run.sh bench $(ARGS)

cleanup: ## Whatever becomes of a run, nothing stays: the long form, with 100 times up and down (about half an hour)
	@tools/run.sh cleanup $(ARGS)

machines: LAYOUT = prod
machines: ## Deploy onto two bare Debian servers, in virtual machines (half an hour where the processor does not help)
	@tools/run.sh machines $(ARGS)

sweep: ## Remove what dead runs left behind (ARGS=--kept: kept deployments too)
	@tools/run.sh sweep $(ARGS)

lock: ## Resolve the locked versions anew (needs uv)
	@tools/lock.sh

clean: ## Remove results, reports and caches; the environment, images and history stay
	@rm -rf reports/results reports/legs reports/site reports/night.json reports/*.html reports/*.xml .mypy_cache .ruff_cache .pytest_cache
