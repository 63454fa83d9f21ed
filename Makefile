# The commands of this project; `make help` lists them. GNU make and Python 3.11 are all they need.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
RUN_PYTHON := $(BIN)/python
WORKERS ?= 2
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# ---- Installing: a stamp says which lock was installed last, so a second call does nothing

.PHONY: install install-dev
install: $(VENV)/.installed ## Create .venv with what runs in production
install-dev: $(VENV)/.installed-dev ## The same, with what tests and checks need

$(BIN)/python:
	@command -v "$(PYTHON)" >/dev/null || { echo "Python 3.11 is needed ($(PYTHON) was not found); PYTHON=... names another."; exit 1; }
	"$(PYTHON)" -m venv "$(VENV)"

$(VENV)/.installed: requirements.txt | $(BIN)/python
	@$(RUN_PYTHON) .ci/install.py requirements.txt
	@touch "$@"

$(VENV)/.installed-dev: requirements-dev.txt | $(BIN)/python
	@$(RUN_PYTHON) .ci/install.py requirements-dev.txt
	@touch "$@" "$(VENV)/.installed"

# ---- Running

.PHONY: run stop psql
run: install ## Run everything here: database, queue, web, workers, mailbox (PORT=8000, DATA_DIR=var)
	@exec $(RUN_PYTHON) -m config.run --leashed

psql: install ## A database prompt as the application's role (ROLE=hipwatch_owner for another), while `make run` runs
	@exec $(RUN_PYTHON) -m config.embedded.postgres psql $(or $(ROLE),hipwatch_app)

# ---- Judging

# The tests start many processes of ours; what is compiled once need not be compiled by each.
.PHONY: test test-slow check format translations
test test-slow: export PYTHONDONTWRITEBYTECODE :=
test: install-dev ## The tests, on a real PostgreSQL and Valkey of their own (ARGS="-k word" selects)
	$(RUN_PYTHON) -m pytest -n $(WORKERS) --dist worksteal -m "not slow" $(ARGS)

test-slow: install-dev ## The tests that start whole systems, drive a browser, rehearse months; CI runs them too
	$(RUN_PYTHON) -m pytest -n $(WORKERS) --dist worksteal -m "slow and not alone" $(ARGS) $(NONE_OK)
	$(RUN_PYTHON) -m pytest -m alone $(ARGS) $(NONE_OK)

# Of tests that were chosen by name there may be none in one of the two runs.
NONE_OK = $(if $(ARGS),|| test $$? = 5)

# What `check --deploy` judges: settings as a server would have them. Nothing is connected to.
PRODUCTION := HIPWATCH_ENV=production SECRET_KEY=only-for-this-check-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFG \
	PUBLIC_URL=https://registry.example DATABASE_URL=postgresql://hipwatch_app@localhost/hipwatch \
	DATABASE_OWNER_URL=postgresql://hipwatch_owner@localhost/hipwatch REDIS_URL=redis://localhost/0 \
	EMAIL_URL=smtp+tls://localhost:587

check: install-dev ## Style, types, imports, migrations, deployment settings, translations, templates, secrets
	$(RUN_PYTHON) -m ruff check .
	$(RUN_PYTHON) -m ruff format --check .
	$(RUN_PYTHON) -m mypy
	$(RUN_PYTHON) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	$(RUN_PYTHON) -W 'ignore:Got an error checking' manage.py makemigrations --check --dry-run
	@echo "manage.py check --deploy, with production settings"
	@$(PRODUCTION) $(RUN_PYTHON) manage.py check --deploy --fail-level WARNING
	$(RUN_PYTHON) .ci/catalogues.py
	$(RUN_PYTHON) -m djlint --lint --quiet --ignore H015,H020 $(TEMPLATES)
	$(RUN_PYTHON) .ci/supply_chain.py secrets
	@echo "All checks passed."

TEMPLATES := patients schedules monitoring config

format: install-dev ## Let ruff put the source in order
	$(RUN_PYTHON) -m ruff check --fix .
	$(RUN_PYTHON) -m ruff format .

translations: install-dev ## Compile the catalogues of */locale after a .po was edited
	$(RUN_PYTHON) .ci/catalogues.py --write

# ---- Supply chain

.PHONY: audit licences sbom
audit: install-dev ## Faults that bandit and our own rules for semgrep find, licences, and known faults of packages (needs the advisories of PyPI)
	$(RUN_PYTHON) .ci/supply_chain.py bandit
	$(RUN_PYTHON) .ci/supply_chain.py semgrep
	$(RUN_PYTHON) .ci/supply_chain.py licences
	$(RUN_PYTHON) .ci/supply_chain.py advisories

licences: install-dev ## Write docs/licences.md; fails if something under GPL or AGPL would run in production
	$(RUN_PYTHON) .ci/supply_chain.py licences --write

sbom: install-dev ## What runs in production as CycloneDX, to FILE (sbom.json)
	@$(RUN_PYTHON) .ci/supply_chain.py sbom > "$(or $(FILE),sbom.json)"
	@echo "$(or $(FILE),sbom.json)"

# ---- Keeping

LOCK := $(RUN_PYTHON) -m uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
	--custom-compile-command "make lock" --upgrade

.PHONY: lock bench mail-year backup restore chaos screenshots clean erase help
lock: install-dev ## Pin the newest packages that requirements*.in allow, with their hashes
	$(LOCK) requirements.in -o requirements.txt
	$(LOCK) requirements-dev.in -o requirements-dev.txt
	$(LOCK) .ci/semgrep/requirements.in -o .ci/semgrep/requirements.txt

bench: install-dev ## All benchmarks on a database of their own, into DATA_DIR/bench (N=10000 hips, ARGS="--only mail")
	@$(RUN_PYTHON) -m benchmarks --hips $(or $(N),10000) $(ARGS)

mail-year: install ## Rehearse a year of reminders on a database of its own and reckon it (ARGS="--seed 2 --days 90")
	@export DATA_DIR="$(or $(DATA_DIR),var)/rehearsal"; trap '$(RUN_PYTHON) -m config.embedded.erase' EXIT; \
	$(RUN_PYTHON) -m config.embedded.postgres start && \
	$(RUN_PYTHON) manage.py migrate --database owner --verbosity 0 && \
	$(RUN_PYTHON) manage.py simulate_mail_year $(ARGS)

backup: install ## Save the whole database into one checked file (FOLDER=DATA_DIR/backups)
	@$(RUN_PYTHON) -m config.backup save $(FOLDER)

restore: install ## Put a backup back: FILE=...; REPLACE=1 keeps the present database under another name
	@$(RUN_PYTHON) -m config.backup restore "$(FILE)" $(if $(REPLACE),--replace)

chaos: install-dev ## Kill, cut, flush and lie to the whole system, then reckon (MAILS=600 SEED=1 ARGS="--together 1,10")
	@$(RUN_PYTHON) -m tests.chaos --mails $(or $(MAILS),600) --seed $(or $(SEED),1) $(ARGS)

screenshots: install-dev ## Pictures of every page, wide, phone, dark, printed, of a running `make run` or of its own (needs chromium; ARGS="--only word")
	$(RUN_PYTHON) docs/screenshots.py $(ARGS)

erase: install ## Stop the local servers and remove their data (DATA_DIR=var): the demonstration clinic starts afresh
	@$(RUN_PYTHON) -m config.embedded.erase

clean: ## Remove the virtual environment and the caches; the data stay
	rm -rf -- "$(VENV)" .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache staticfiles
	find . -name __pycache__ -type d -prune -exec rm -rf -- {} +

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
