# The commands of this project; `make help` lists them. GNU make and Python 3.11 are all they need.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
DATA_DIR ?= var
export DATA_DIR
WORKERS ?= 2
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# ---- Installing: a stamp keeps the hash of what was installed, so a second call does nothing

.PHONY: install install-dev
install: $(VENV)/.installed ## Create .venv with what runs in production
install-dev: $(VENV)/.installed-dev ## The same, with what tests and checks need

$(BIN)/python:
	@command -v "$(PYTHON)" >/dev/null || { echo "Python 3.11 is needed ($(PYTHON) was not found); PYTHON=... names another."; exit 1; }
	"$(PYTHON)" -m venv "$(VENV)"

# uv installs in seconds what takes pip a minute; without it pip does the same work with the same hashes.
define install_from
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "$(VENV) is not Python 3.11; remove it and name one with PYTHON=..."; exit 1; }
	@sed -n '/^uv==/,/^[^ ]/p' requirements-dev.txt | sed '$$d' > "$(VENV)/uv.txt"
	@$(BIN)/python -m uv --version >/dev/null 2>&1 || $(PIP) install --quiet --require-hashes --only-binary=:all: -r "$(VENV)/uv.txt" || echo "uv is not to be had; pip installs instead."
	@if $(BIN)/python -m uv --version >/dev/null 2>&1; then \
		$(BIN)/python -m uv pip install --quiet --python "$(BIN)/python" --require-hashes --only-binary=:all: -r $(1); \
	else \
		$(PIP) install --quiet --require-hashes --only-binary=:all: -r $(1); \
	fi
endef

$(VENV)/.installed: requirements.txt | $(BIN)/python
	$(call install_from,requirements.txt)
	@touch "$@"

$(VENV)/.installed-dev: requirements-dev.txt | $(BIN)/python
	$(call install_from,requirements-dev.txt)
	@touch "$@" "$(VENV)/.installed"

# ---- Running

.PHONY: run stop psql
run: install ## Run everything here: database, queue, web, workers, mailbox (PORT=8000, DATA_DIR=var)
	@exec $(BIN)/python -m config.run --leashed

psql: install ## A database prompt as the application's role (ROLE=hipwatch_owner for another), while `make run` runs
	@exec $(BIN)/python -m config.embedded.postgres psql $(or $(ROLE),hipwatch_app)

# ---- Judging

.PHONY: test check format
test: install-dev ## All tests, on a real PostgreSQL and Valkey of their own (ARGS="-k word" selects)
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

check: install-dev ## Style, types, import contract, migrations, deployment settings, templates
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	@$(BIN)/python -m config.checks
	@echo "All checks passed."

format: install-dev ## Let ruff put the source in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# ---- Keeping

LOCK := $(BIN)/python -m uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --custom-compile-command "make lock"

.PHONY: lock bench screenshots clean help
lock: install-dev ## Pin the newest packages that requirements*.in allow, with their hashes
	$(LOCK) --upgrade requirements.in -o requirements.txt
	$(LOCK) --upgrade requirements-dev.in -o requirements-dev.txt

bench: install-dev ## Run the benchmarks of benchmarks/
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

screenshots: install-dev ## Take the screenshots of the documentation (needs chromium and a running `make run`)
	$(BIN)/python -m docs.screenshots

clean: ## Remove the virtual environment, caches and local data (DATA_DIR), after stopping the local servers
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m config.embedded.erase; fi
	rm -rf -- "$(VENV)" .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache staticfiles
	find . -name __pycache__ -type d -prune -exec rm -rf -- {} +

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
