# `make demo` plays the whole scenario on this machine; `make check` is what CI runs.
# Each installs into .venv what it needs and no more; nothing is installed elsewhere.

PYTHON ?= python3.13
BIN := .venv/bin
#: requirements-demo.txt, -test.txt and -dev.txt stand on one another. pip checks the hash of each file.
DEMO := .venv/.demo
TEST := .venv/.test
DEV := .venv/.dev
INSTALL := install --quiet --disable-pip-version-check --require-hashes

#: Folder of exported flows for the demo, and `all` to have the platform hold every one of them back.
FLOWS ?=
HOLD ?=
#: The platform of the demo: documented, or adversarial.
PROFILE ?= documented
#: Arguments for pytest: two processes that take work from one another, or such as ARGS="-k traffic".
ARGS ?= -n 2 --dist worksteal
#: Commit whose size is counted.
AT ?= HEAD

.DELETE_ON_ERROR:
.PHONY: demo up test check static format wheels size clean

demo: $(DEMO)
	$(BIN)/python -m local_cloud demo --profile $(PROFILE) $(if $(FLOWS),--flows "$(FLOWS)") $(if $(HOLD),--hold "$(HOLD)")

up: $(DEMO)
	$(BIN)/python -m local_cloud up --profile $(PROFILE) $(if $(FLOWS),--flows "$(FLOWS)") $(if $(HOLD),--hold "$(HOLD)")

test: $(TEST)
	$(BIN)/python -m pytest $(ARGS)

check: static test

static: $(DEV)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

#: Clients that judge the local tenant, none of which the app or its tests need. Of their 460 MB of
#: Python, only what is imported is compiled. WRITE=1 puts what works into docs/local-tenant.md.
THIRD_PARTY_CLIENTS := var/third-party-clients
AZURE_CLI := var/azure-cli
CLI_MICROSOFT365 := 11.11.0
WRITE ?=
.PHONY: third-party-clients
third-party-clients: $(TEST) $(THIRD_PARTY_CLIENTS)/.installed $(AZURE_CLI)/.installed
	THIRD_PARTY_CLIENTS=$(THIRD_PARTY_CLIENTS) AZURE_CLI=$(AZURE_CLI) $(if $(WRITE),THIRD_PARTY_CLIENTS_WRITE=1) $(BIN)/python -m pytest tests/third_party_clients

$(THIRD_PARTY_CLIENTS)/.installed: requirements-third-party-clients.txt Makefile $(THIRD_PARTY_CLIENTS)/.cli
	$(PYTHON) -m venv $(THIRD_PARTY_CLIENTS)
	$(THIRD_PARTY_CLIENTS)/bin/pip $(INSTALL) --no-compile -r $<
	touch $@

$(AZURE_CLI)/.installed: requirements-azure-cli.txt
	$(PYTHON) -m venv $(AZURE_CLI)
	$(AZURE_CLI)/bin/pip $(INSTALL) --no-compile -r $<
	touch $@

$(THIRD_PARTY_CLIENTS)/.cli: Makefile
	npm install --silent --no-audit --no-fund --no-package-lock --prefix $(THIRD_PARTY_CLIENTS) \
	  @pnp/cli-microsoft365@$(CLI_MICROSOFT365)
	touch $@

#: The dashboard in the system's Chromium, on what `make up` starts; axe-core judges whether its pages
#: are accessible. `make screenshots` takes pictures of every page and report at each stage of a
#: remediation, with 3, 30 and 2,000 flows, into TO (such as FLOWS="30" ONLY="plan|flow-blocked"), and
#: those of the documents into docs/images.
CHROMIUM ?= $(shell command -v chromium)
BROWSER := .venv/.browser
AXE_CORE := 4.14.1
#: Microsoft's renderer of Adaptive Cards draws the cards for Teams, mermaid the diagrams of the documents.
ADAPTIVECARDS := 3.0.6
MERMAID := 12.3.0
RENDERERS := var/browser/node_modules
AXE := $(RENDERERS)/axe-core/axe.min.js
.PHONY: browser screenshots
browser: $(BROWSER) $(AXE) site
	@[ -n "$(CHROMIUM)" ] || { echo "Missing. As root: apt-get install chromium" >&2; exit 1; }
	CHROMIUM=$(CHROMIUM) AXE=$(AXE) RENDERERS=$(RENDERERS) SITE=$(SITE)/html $(BIN)/python -m pytest tests/browser

screenshots: TO ?= var/screenshots
screenshots: ONLY ?=
screenshots: $(BROWSER)
	$(BIN)/python -m tests.browser.screenshots --chromium "$(CHROMIUM)" --documents docs/images --to "$(TO)" \
	  --only "$(ONLY)" $(if $(FLOWS),--flows $(FLOWS))

$(AXE): Makefile
	npm install --silent --no-audit --no-fund --no-package-lock --prefix var/browser axe-core@$(AXE_CORE) \
	  adaptivecards@$(ADAPTIVECARDS) mermaid@$(MERMAID)
	touch $@

#: The documents as a site, in var/site/html. A link, an anchor or a picture that does not exist fails it.
SITE := var/site
.PHONY: site
site: $(TEST) $(SITE)/.installed $(AXE)
	$(BIN)/python -m tests.site_source $(SITE)/source
	cp $(RENDERERS)/mermaid/dist/mermaid.min.js $(SITE)/source/docs
	NO_MKDOCS_2_WARNING=1 $(SITE)/venv/bin/mkdocs build --quiet

$(SITE)/.installed: requirements-site.txt
	$(PYTHON) -m venv $(SITE)/venv
	$(SITE)/venv/bin/pip $(INSTALL) -r $<
	touch $@

#: What is delivered: its packages and licences (an SBOM), no secret, a workflow that GitHub reads.
SUPPLY_CHAIN := var/supply-chain
TOOLS := $(SUPPLY_CHAIN)/tools/bin
.PHONY: supply-chain sbom secrets audit
supply-chain: sbom secrets
	SUPPLY_CHAIN=$(SUPPLY_CHAIN) $(BIN)/python -m pytest tests/supply_chain

#: CycloneDX, of what requirements.txt installs; and the list of licences, which fails for one that is not allowed.
sbom: $(TEST) $(SUPPLY_CHAIN)/.installed
	rm -rf $(SUPPLY_CHAIN)/app
	$(PYTHON) -m venv --without-pip $(SUPPLY_CHAIN)/app
	$(BIN)/pip --python $(SUPPLY_CHAIN)/app/bin/python $(INSTALL) --no-compile -r requirements.txt
	$(TOOLS)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible -o $(SUPPLY_CHAIN)/sbom.json \
	  $(SUPPLY_CHAIN)/app/bin/python
	$(BIN)/python -m tests.supply_chain.licences $(SUPPLY_CHAIN)/sbom.json >$(SUPPLY_CHAIN)/licences.md

#: WRITE=1 adds what is found to the texts that are no secrets.
secrets: $(TEST) $(SUPPLY_CHAIN)/.installed
	$(BIN)/python -m tests.supply_chain.secret_scan $(TOOLS)/detect-secrets $(if $(WRITE),--write)

#: Known vulnerabilities of the pinned packages. It asks an online database, and so is no part of `make check`.
audit: $(SUPPLY_CHAIN)/.installed
	for file in requirements*.txt; do $(TOOLS)/pip-audit --strict --require-hashes --disable-pip -r $$file || exit 1; done

$(SUPPLY_CHAIN)/.installed: requirements-supply-chain.txt
	$(PYTHON) -m venv $(SUPPLY_CHAIN)/tools
	$(SUPPLY_CHAIN)/tools/bin/pip $(INSTALL) -r $<
	touch $@

#: Times the app beside a script, and puts tables and charts into docs/performance.md: at most half
#: an hour on a machine that does nothing else; BENCH=quick leaves out what takes longest.
BENCH ?=
.PHONY: bench
bench: $(TEST) $(if $(shell command -v npm),$(THIRD_PARTY_CLIENTS)/.cli)
	$(BIN)/python -m tests.performance.bench $(if $(filter quick,$(BENCH)),--quick)

#: What third-party clients and the browser's tests need beside .venv: it can be brought while others use that.
.PHONY: installed
installed: $(THIRD_PARTY_CLIENTS)/.installed $(AZURE_CLI)/.installed $(AXE)

# An installation needs no compiler: all of it is pure Python or has a wheel for these.
wheels: $(BIN)/pip
	for machine in x86_64 aarch64; do \
	  $(BIN)/pip $(INSTALL) --dry-run --only-binary :all: --python-version 3.13 \
	    --platform manylinux_2_28_$$machine --platform manylinux_2_17_$$machine \
	    --platform manylinux2014_$$machine --target var/wheels \
	    -r requirements-dev.txt || exit 1; \
	done

$(DEMO): requirements.txt
$(TEST): $(DEMO)
$(DEV): $(TEST)
$(BROWSER): $(TEST)
.venv/.%: requirements-%.txt pyproject.toml | $(BIN)/pip
	$(BIN)/pip $(INSTALL) -r $<
	# A checkout has no hash. hatchling, which builds it, comes from the line above.
	$(BIN)/pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation -e .
	touch $@

#: Writes the versions and hashes of all that the requirements files install. UPGRADE=1 takes newer
#: versions of what the direct packages bring.
UPGRADE ?=
.PHONY: pins
pins: $(TEST)
	$(BIN)/python -m tests.pins $(if $(UPGRADE),--upgrade)

# The first thing that runs: it says the one line that brings what is missing.
$(BIN)/pip:
	@missing=; \
	command -v $(PYTHON) >/dev/null || missing="$$missing python3.13"; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3.13-venv"; \
	command -v git >/dev/null || missing="$$missing git"; \
	[ -z "$$missing" ] || { echo "Missing. As root: apt-get install$$missing" >&2; exit 1; }
	$(PYTHON) -m venv .venv

# Python files that are not empty, and their lines; words of the documents.
size:
	@set -f; for part in "shared functions cmkflow" local_cloud tests; do \
	  git grep -c '' $(AT) -- $$(printf '%s/*.py ' $$part) | \
	    awk -F: -v part="$$part" '{ lines += $$3 } END { print part ": " NR " files, " lines " lines" }'; \
	done
	@git grep -h '' $(AT) -- README.md 'docs/*.md' ':!docs/command-reference.md' | \
	  awk '/^<!-- .*(python -m|made by|lines of)/ { generated = 1 } \
	    { for (i = 1; i <= NF; i++) if (!generated && $$i ~ /[0-9A-Za-z]/) words++ } \
	    /^<!-- (end|until here) -->/ { generated = 0 } \
	    END { print "README.md docs: " words " words without generated tables" }'

clean:
	rm -rf var .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

#: Microsoft's compiler: BICEP names it, or it is on PATH. Who asks for this check and has none must not
#: take it for passed: it fails. `make snapshots` writes what the template deploys into infra/snapshots.
.PHONY: infra snapshots
infra: $(TEST)
	$(FIND_BICEP)
	$(BIN)/python -m pytest tests/unit/test_infra_compiled.py

snapshots: $(TEST)
	$(FIND_BICEP)
	$(BIN)/python -m tests.bicep_compiler

define FIND_BICEP
@[ -n "$$BICEP" ] || command -v bicep >/dev/null || { echo "NOT CHECKED: infra/ needs Microsoft's Bicep compiler." \
  "BICEP names none, and none is on PATH ($$PATH): github.com/Azure/bicep/releases has it." >&2; exit 1; }
endef
