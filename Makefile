# Two commands: `make run` and `make test`. Both set up what they need, and do nothing twice.

# The oldest first: it is the one that the pinned versions are chosen on.
PYTHONS := 3.11 3.12 3.13 3.14

# `make test PYTHON=…` and `make run PYTHON=…` take a version (3.13), a command or a path, and keep
# an environment of their own for it. A version is looked for on the path, then among pyenv's.
SHOW := import sys; assert sys.version_info >= (3, 11); print(*sys.version_info[:2], sep=".")
WORKS = $(shell for python in $(1); do "$$python" -c '$(or $(2),$(SHOW))' >/dev/null 2>&1 \
	&& echo "$$python" && exit; done)
named = python$(1) $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/$(1).*/bin/python$(1))

ifeq ($(origin PYTHON),command line)
FOUND := $(call WORKS,$(if $(filter 3.%,$(PYTHON)),$(call named,$(PYTHON)),$(PYTHON)))
ifeq ($(FOUND),)
$(error PYTHON=$(PYTHON) is no Python that runs here; Python 3.11 or newer is needed)
endif
VENV := .venv-$(shell "$(FOUND)" -c '$(SHOW)')
else
VENV := .venv
FOUND = $(call WORKS,$(PYTHONS:%=python%) python3)
endif
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check

# Modules are compiled once, whatever the environment says: tests and runs start many processes.
unexport PYTHONDONTWRITEBYTECODE

# Debian packages are installed only when something is missing and we may.
APT = root=; [ "$$(id -u)" = 0 ] || root="sudo -n"; \
	command -v apt-get >/dev/null && $$root true 2>/dev/null \
	&& $$root apt-get update -qq >/dev/null \
	&& $$root env DEBIAN_FRONTEND=noninteractive \
	apt-get install -qq -y --no-install-recommends

.PHONY: mutants help run scale test test-short test-newest test-long lint bench docs clean reset dev pango chromium servers audit fuzz telegram html

help:  ## Show these commands
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 24

run: $(VENV)/.run pango  ## Start the whole portal here, with its demonstration; Ctrl-C stops it
	@exec $(BIN)/preau run $(ARGS)

PYTEST := $(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder

test:  ## Check everything: linters, types, layers, all tests
	@# What comes from Debian and what comes by pip wait for the network side by side.
	@$(MAKE) --no-print-directory --jobs=2 dev chromium servers telegram
	$(BIN)/ruff check .
	@# Types and layers are checked beside the tests, which wait often; they speak up if they must.
	@# In a fresh clone the tests' modules are compiled once before: four workers would each do it at once.
	@{ $(BIN)/mypy && $(BIN)/lint-imports; } >$(VENV)/lint.log 2>&1 & lint=$$!; \
	ls tests/__pycache__/*pytest* >/dev/null 2>&1 || $(BIN)/pytest --collect-only -qqq >/dev/null; \
	echo "$(PYTEST) $(ARGS)"; $(PYTEST) $(ARGS); tests=$$?; \
	wait $$lint || { cat $(VENV)/lint.log >&2; exit 1; }; exit $$tests

# Where a Python shows first: start, pages, mail, files, papers, plugins, log lines.
SHORT := architecture/test_start.py architecture/test_headers.py architecture/test_log_privacy.py \
	documents/test_documents.py environment/test_logging.py environment/test_pythons.py \
	kit/test_contract_providers.py payfip/test_payfip_client.py imports/test_csv_conventions.py \
	$(addprefix messages/test_,addresses.py encryption.py languages.py mail_bodies.py mail_headers.py \
	stages.py mail.py) sign_in/test_sign_in.py web_templates/test_catalogues.py

test-short: dev  ## A tenth of the tests, for a second Python: make test-short PYTHON=3.13
	$(BIN)/pytest -n 2 --dist loadfile $(SHORT:%=tests/%) $(ARGS)

# Those that can make environments: Debian's needs python3-venv.
AT_HAND = $(foreach version,$(PYTHONS),$(if $(call WORKS,$(call named,$(version)),import ensurepip),$(version)))

# What has failed on a newer Python before, in a minute or two: CI has these after all tests.
NEWEST := architecture/test_start.py documents/test_documents.py environment/test_logging.py \
	imports/test_csv_conventions.py messages/test_mail.py messages/test_mail_headers.py \
	sign_in/test_sign_in.py web_templates/test_catalogues.py

test-newest:  ## Some tests on the newest Python at hand, if that is another
	@$(if $(word 2,$(AT_HAND)),$(MAKE) --no-print-directory test-short \
	PYTHON=$(lastword $(AT_HAND)) SHORT='$(NEWEST)',echo "No newer Python is at hand: tested on one only.")

test-long: dev chromium servers telegram  ## All tests, the random ones ten times as long (hours)
	PREAU_FUZZ=1000 PREAU_SCHEDULES=100 PREAU_DISASTERS=10 PREAU_TEST_WALKS=300 \
	$(PYTEST) --hypothesis-profile=long $(ARGS)

# House-keeping: what needs no server and looks at the tree itself. `make test` has these among all others.
HOUSE := architecture/test_asvs.py architecture/test_house.py architecture/test_locks.py \
	architecture/test_markup.py environment/test_requirements.py kit/test_plugin_docs.py web_templates/test_catalogues.py

lint: dev  ## Check style, types, layers, catalogues, documents and requirements only
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q $(HOUSE:%=tests/%)

bench: $(VENV)/.bench pango  ## Measure, and compare with bare baselines, or AGAINST=commit
	$(BIN)/python -m benchmarks $(if $(AGAINST),--against $(AGAINST)) $(ARGS)

scale: dev servers  ## Try several servers, large tables and a morning of parents (docs/scaling.md)
	$(BIN)/python -m scale $(ARGS)

docs: | $(BIN)/python  ## Build the documentation as a site in build/docs; a broken link fails
	@[ -x $(VENV)/docs/bin/sphinx-build ] || { $(BIN)/python -m venv $(VENV)/docs \
	&& $(VENV)/docs/bin/pip -qq --disable-pip-version-check install -r requirements/docs.txt; }
	$(VENV)/docs/bin/sphinx-build -q -W --keep-going -c docs -b dirhtml . build/docs

clean:  ## Remove the environment and the caches; the data stay
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache \
		.import_linter_cache .hypothesis
	find core plugins tests -name __pycache__ -prune -exec rm -rf {} +

reset:  ## Remove the demonstration's data, which the next run makes anew
	rm -rf data

dev: $(VENV)/.dev pango

$(BIN)/python:
	@[ -n "$(FOUND)" ] || { echo "Python 3.11 or newer is needed." >&2; exit 1; }
	@echo "Making $(VENV) with $(FOUND)" && { "$(FOUND)" -m venv $(VENV) \
	|| { rm -rf $(VENV); echo "On Debian: apt-get install python3-venv" >&2; exit 1; }; }

$(VENV)/.run: requirements/run.txt requirements/demo.txt setup.cfg pyproject.toml | $(BIN)/python
	@echo "Installing Préau and what it needs (a minute, once)"
	@$(PIP) install -r requirements/demo.txt
	@# "compat": a folder called like one of our packages must not hide it.
	@$(PIP) install --no-deps --no-build-isolation --config-settings editable_mode=compat -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt requirements/objects.txt $(VENV)/.run
	@echo "Installing the tests' tools"
	@$(PIP) install -r requirements/dev.txt
	@touch $@

$(VENV)/.bench: requirements/bench.txt $(VENV)/.dev
	@echo "Installing what draws the plots"
	@$(PIP) install -r requirements/bench.txt
	@touch $@

pango: | $(BIN)/python
	@$(BIN)/python -c 'import ctypes; [ctypes.CDLL(f"lib{name}.so.0") for name in \
		("pango-1.0", "pangoft2-1.0", "harfbuzz", "harfbuzz-subset")]' 2>/dev/null \
	|| { $(APT) libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core; } \
	|| echo "Pango is not complete: PDF documents will fail, or be slow (docs/operating.md)." >&2

# Real servers that stand around the portal in life: the tests of deploy/ start them.
servers: | chromium
	@missing=; for tool in nginx:nginx-light pgbouncer:pgbouncer systemd-analyze:systemd \
		openssl:openssl; do \
		PATH=$$PATH:/usr/sbin command -v $${tool%%:*} >/dev/null || missing="$$missing $${tool##*:}"; \
	done; [ -z "$$missing" ] || { echo "Installing$$missing"; $(APT) $$missing >/dev/null; } \
	|| echo "Missing:$$missing; the tests of deploy/ will fail." >&2

audit: dev  ## Ask whether a known hole is in what is installed (needs the advisories' database)
	@[ -x $(VENV)/audit/bin/pip-audit ] || { $(BIN)/python -m venv $(VENV)/audit \
	&& $(VENV)/audit/bin/pip -q install pip-audit==2.10.1; }
	@# Strict: what could not be asked about is a failure, not a good answer.
	$(VENV)/audit/bin/pip-audit --strict --skip-editable --path $(VENV)/lib/python*/site-packages $(ARGS)

MODULES := core/domain/money.py core/domain/allocation.py core/domain/payment_states.py \
	core/domain/baskets.py core/domain/tax.py
TESTS := --noconftest tests/domain

mutants: dev  ## Change the rules of money a line at a time: which changes does no test notice?
	@[ -x $(VENV)/mutants/bin/cosmic-ray ] || { $(BIN)/python -m venv $(VENV)/mutants \
	&& $(VENV)/mutants/bin/pip -q install cosmic-ray==8.7.0; }
	@# In a copy: files are changed where they lie.
	@rm -rf $(VENV)/mutated && mkdir $(VENV)/mutated \
	&& cp -r core plugins tests tenants docs setup.cfg $(VENV)/mutated && cd $(VENV)/mutated \
	&& sed -e 's|MODULES\]|$(foreach module,$(MODULES),"$(module)",)]|; s|PYTHON -m|$(CURDIR)/$(BIN)/python -m|; s|TESTS"|$(TESTS)"|' \
		tests/domain/mutants.toml >mutants.toml && mutants=$(CURDIR)/$(VENV)/mutants/bin \
	&& $$mutants/cosmic-ray baseline mutants.toml && $$mutants/cosmic-ray init mutants.toml found.sqlite \
	&& $$mutants/cr-filter-operators found.sqlite mutants.toml \
	&& $$mutants/cosmic-ray exec mutants.toml found.sqlite \
	&& $$mutants/cr-report --surviving-only --show-diff found.sqlite

html: dev chromium  ## Check the HTML of every page of the demonstration with Nu (needs Java)
	@command -v java >/dev/null || { $(APT) default-jre-headless >/dev/null; }
	@[ -d $(VENV)/npm/node_modules/vnu-jar ] || npm install --prefix $(VENV)/npm --no-save \
		--no-package-lock --no-audit --no-fund --silent vnu-jar@26.9.27 $$(grep -v '^#' requirements/npm.txt)
	$(BIN)/pytest tests/browser/check_html.py $(ARGS)

fuzz: dev  ## Hunt in the parsers for a minute each: make fuzz ARGS="SECONDS [PARSER]..."
	@[ -d $(VENV)/fuzz/atheris ] || $(PIP) install --target $(VENV)/fuzz atheris==3.0.0
	@mkdir -p $(VENV)/found && cd $(VENV)/found && PYTHONPATH=$(CURDIR)/$(VENV)/fuzz:$(CURDIR) \
	$(CURDIR)/$(BIN)/python -W ignore $(CURDIR)/tests/fuzz/hunt.py $(ARGS)

# One after the other, as apt-get wants it: pango, chromium, servers, telegram.
chromium: | pango
	@# The one without a window is the smallest, and the quickest; a whole one does as well.
	@command -v chromium-headless-shell >/dev/null \
	|| { echo "Installing Chromium"; $(APT) chromium-headless-shell >/dev/null; } \
	|| command -v chromium >/dev/null || command -v chromium-browser >/dev/null \
	|| $(APT) chromium >/dev/null \
	|| echo "Chromium is missing: the browser's tests will fail." >&2

telegram: $(VENV)/.npm

# The tests' second fake Telegram. Its folder goes with the environment; no lock file is kept.
$(VENV)/.npm: requirements/npm.txt | $(BIN)/python servers
	@command -v npm >/dev/null \
	|| { echo "Installing Node.js"; $(APT) nodejs npm >/dev/null; } || true
	@npm install --prefix $(VENV)/npm --no-save --no-package-lock --no-audit --no-fund --silent \
		$$(grep -v '^#' $<) && touch $@ \
	|| echo "The second fake Telegram is missing: its tests will fail." >&2
