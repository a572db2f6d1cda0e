# `make demo` plays the whole story on this machine; `make check` is what CI runs.
# Needs python3.13 with venv, make and git; nothing is installed outside .venv.

PYTHON ?= python3.13
BIN := .venv/bin
STAMP := .venv/.installed

#: Folder of exported flows for the demo, and `all` to have the platform hold every one of them back.
FLOWS ?=
HOLD ?=
#: Arguments for pytest: two processes, or such as ARGS="-k traffic".
ARGS ?= -n 2

.DELETE_ON_ERROR:
.PHONY: demo up test check format clean

demo: $(STAMP)
	$(BIN)/python -m local_cloud demo $(if $(FLOWS),--flows "$(FLOWS)") $(if $(HOLD),--hold "$(HOLD)")

up: $(STAMP)
	$(BIN)/python -m local_cloud up $(if $(FLOWS),--flows "$(FLOWS)") $(if $(HOLD),--hold "$(HOLD)")

test: $(STAMP)
	$(BIN)/python -m pytest $(ARGS)

check: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest $(ARGS)

format: $(STAMP)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

$(STAMP): requirements.txt requirements-dev.txt constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	touch $(STAMP)

clean:
	rm -rf var .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

#: Whoever asks for this check and has no compiler must not take it for passed: it fails.
.PHONY: infra
infra:
	@command -v bicep >/dev/null || { echo "NOT CHECKED: infra/ was neither built nor linted nor compared with" \
	  "'bicep format', for want of bicep on PATH: github.com/Azure/bicep/releases has it." >&2; exit 1; }
	@warnings=$$(bicep build infra/main.bicep --stdout 2>&1 >/dev/null; bicep lint infra/main.bicep 2>&1); \
	  [ -z "$$warnings" ] || { echo "$$warnings" >&2; exit 1; }
	@formatted=$$(mktemp) && trap 'rm -f "$$formatted"' EXIT && \
	  for file in infra/*.bicep infra/modules/*.bicep; do \
	    bicep format "$$file" --outfile "$$formatted" && diff -u "$$file" "$$formatted" || exit 1; \
	  done
