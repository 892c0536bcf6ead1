# Two commands do all the set-up on a fresh machine: `make up` and `make test`. Prerequisites: Python 3.11 to 3.13, make.

UV_VERSION := 0.13.9
UV := $(shell command -v uv 2>/dev/null || echo .opsroom/tools/bin/uv)
export UV_PYTHON_DOWNLOADS ?= never
export REFLEX_TELEMETRY_ENABLED := false
RUN := .venv/bin

.PHONY: help up setup test check format model soak bench bench-ui reset clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

up: setup ## Start the whole room: Postgres, gateway, Edge Functions, worker, board; Ctrl-C stops it
	@$(RUN)/opsroom up

setup: .venv/.installed

.venv/.installed: uv.lock pyproject.toml | $(UV)
	@echo "Installing Python packages from uv.lock"
	@$(UV) sync --frozen --quiet --extra embedded --no-dev --inexact
	@touch $@

.venv/.installed-dev: uv.lock pyproject.toml | $(UV)
	@echo "Installing Python packages for tests from uv.lock"
	@$(UV) sync --frozen --quiet --all-extras
	@touch $@ .venv/.installed

.opsroom/tools/bin/uv:
	@sh tools/install-uv $(UV_VERSION)

test: .venv/.installed-dev ## Check and test everything; installs what that needs
	@sh tools/install-chromium
	@$(MAKE) --no-print-directory check
	@$(RUN)/pytest -n 2 --dist loadgroup

check: .venv/.installed-dev ## Lint, formats, types, imports, the Edge Function, the Spec Kit bundle
	@$(RUN)/ruff check
	@$(RUN)/ruff format --check
	@$(RUN)/pyright
	@$(RUN)/lint-imports --no-cache
	@sh tools/check-functions
	@$(RUN)/opsroom template seed --check
	@$(RUN)/opsroom spec validate ops-control-room

format: .venv/.installed-dev ## Put every file into its format
	@$(RUN)/ruff check --fix --quiet
	@$(RUN)/ruff format --quiet
	@for folder in supabase/functions/*/; do (cd $$folder && $(CURDIR)/$(RUN)/deno fmt --quiet); done

model: .venv/.installed-dev ## Check the model of the lifecycle in every order of events (spin)
	@sh tools/check-model

soak: .venv/.installed-dev ## Half an hour of random faults: 8 workers, 50,000 runs
	@$(RUN)/python -m tests.soak

bench: .venv/.installed-dev ## Print the benchmarks: ratios against references in the same run
	@sh tools/install-chromium
	@$(RUN)/python -m bench

bench-ui: .venv/.installed-dev ## The benchmarks of the room alone: board, pages, log, runs
	@sh tools/install-chromium
	@$(RUN)/python -m bench board room pages runs

reset: setup ## Forget the embedded database and everything else in .opsroom, after asking
	@$(RUN)/opsroom reset

clean: ## Remove what was installed and built; the room's state in .opsroom stays
	@rm -rf .venv .web .pytest_cache .ruff_cache .hypothesis
