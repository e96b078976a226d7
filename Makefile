# Every target makes the environment it needs in .venv, and installs again only after pyproject.toml changed.
#
#   make demo    score the example photos against the sandbox: no account, nothing billed
#   make test    run the tests
#   make lint    ruff and mypy
#   make bench   measure this client beside its peers, in about 5 minutes; writes benchmarks/results
#   make clean   remove what the other targets made

PYTHON ?= python3

VENV := .venv
EXTRAS := cli,sandbox,faces
MORE_EXTRAS := fast,parquet,cos,report
INSTALL := scripts/install $(VENV) $(PYTHON)

.DEFAULT_GOAL := demo
.PHONY: demo test lint bench clean
.NOTPARALLEL:

# Exit code 4 says that some photos failed, and the folder holds six that have to.
demo: $(VENV)/.demo
	@$(VENV)/bin/tencent-liveness score examples/photos --sandbox; code=$$?; \
	if [ $$code -ne 0 ] && [ $$code -ne 4 ]; then exit $$code; fi

test: $(VENV)/.test
	@$(VENV)/bin/pytest

lint: $(VENV)/.lint
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy

bench: $(VENV)/.bench
	@$(VENV)/bin/python -m benchmarks all

clean:
	@rm -rf $(VENV) .ci/work build dist htmlcov .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.demo: pyproject.toml scripts/install
	@$(INSTALL) --editable '.[$(EXTRAS)]'
	@touch $@

$(VENV)/.test: pyproject.toml scripts/install
	@$(INSTALL) --editable '.[$(EXTRAS),$(MORE_EXTRAS)]' --group test
	@touch $@

$(VENV)/.lint: pyproject.toml scripts/install
	@$(INSTALL) --editable '.[$(EXTRAS),$(MORE_EXTRAS)]' --group test --group lint
	@touch $@

$(VENV)/.bench: pyproject.toml scripts/install
	@$(INSTALL) --editable '.[$(EXTRAS)]' --group bench
	@touch $@
