.DEFAULT_GOAL := help
.PHONY: help demo chat documents batch emulator bench peers check test test_lowest docs docs_serve lint format typing unit_test audit faults chaos fuzz fuzz_guided load \
	coverage mutation integration_test ecosystem_test example_test chat_picture clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CODE := langchain_kie pytest_langchain_kie.py benchmarks demo docs examples tests
PORT ?=
TEST_ARGS ?=
MINUTES ?= 5
SEEDS ?= 20
START ?= 0
CHAOS_ARGS ?=
ROOM ?=
SAMPLE ?= 0
SEED ?= 1
LOWEST := $(VENV)/lowest
BENCH := $(VENV)/bench
BENCH_ARGS ?=
DEMO := $(VENV)/demo
EXAMPLES := $(VENV)/examples
ARGS ?=
LOAD := $(VENV)/load
LOAD_ARGS ?=
FUZZ := $(VENV)/fuzz
DOCS := $(VENV)/docs
# The tests start hundreds of processes. Without bytecode, each of them would compile the package again.
unexport PYTHONDONTWRITEBYTECODE
ON_EMULATOR := env -u KIE_API_KEY -u KIE_BASE_URL -u KIE_UPLOAD_URL
SUITES := lint unit_test integration_test ecosystem_test example_test
TESTED_VERSIONS := constraints.txt examples/constraints.txt benchmarks/constraints.txt
# One process more than cores, because tests wait for others. A process that has no test left takes half of
# those that wait for another one, from the end.
PROCESSES = $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
PARALLEL := -n $(PROCESSES) --dist worksteal
# Tests that need no server and no process.
CORE_TESTS := $(addprefix tests/unit_tests/,conversation json_schema tools test_catalog.py test_docs.py \
	test_error_bodies.py test_errors.py test_json.py test_requirements.py test_settings.py)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z_]+:.*## / { printf "%-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# A variable, because `call` splits its arguments at commas.
PACKAGE := ".[cli,emulator]"

# Installs into a virtual environment and shows progress. $(1): the folder; $(2): what to install.
define install
@echo "Setting up $(1) ..."
@rm -f $@
@if command -v uv >/dev/null 2>&1; then \
	uv venv --quiet --allow-existing --python $(PYTHON) $(1) && uv pip install --python $(1)/bin/python $(2) && touch $@; \
else \
	$(PYTHON) -m venv $(1) && { \
		export PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1; \
		$(1)/bin/python -m pip install -c constraints.txt --upgrade pip && \
		$(1)/bin/python -m pip install $(2) && touch $@; \
	} | { grep --line-buffered -oE '^(Collecting [A-Za-z0-9_.-]+|Installing collected packages)' || true; }; \
fi
@test -f $@
endef

$(READY): pyproject.toml constraints.txt
	$(call install,$(VENV),-c constraints.txt -e $(PACKAGE) --group dev)

# A separate environment, because it needs a third of the packages. It is the smallest one that has the emulator.
$(DEMO)/.ready: pyproject.toml constraints.txt
	$(call install,$(DEMO),-c constraints.txt -e ".[emulator]")

# Neither make nor the shell reads the values again, so that they may have quotes, `$$` and backticks.
demo: override export MODEL := $(value MODEL)
demo: override export API := $(value API)
demo: override export ASK := $(value ASK)
demo: override export IMAGE := $(value IMAGE)
demo: $(DEMO)/.ready ## Run an agent that thinks, calls tools and answers (MODEL=..., API=..., ASK="...", IMAGE=path)
	@$(DEMO)/bin/python -m demo $(if $(MODEL),--model="$$MODEL") $(if $(API),--api="$$API") $(if $(ASK),--ask="$$ASK") $(if $(IMAGE),--image="$$IMAGE")

# A separate environment: Ray and Playwright need 700 MB, which only the examples use.
$(EXAMPLES)/.ready: pyproject.toml examples/constraints.txt
	$(call install,$(EXAMPLES),-c examples/constraints.txt -e ".[emulator]" --group examples)

chat: $(EXAMPLES)/.ready ## Serve a chat for the browser (PORT=..., ARGS="--model ...")
	@$(EXAMPLES)/bin/python -m examples.chat $(if $(PORT),--port $(PORT)) $(ARGS)

documents: override export ASK := $(value ASK)
documents: $(EXAMPLES)/.ready ## Answer a question about documents, with checked quotes (ASK="...", ARGS="a.pdf b.md")
	@$(EXAMPLES)/bin/python -m examples.documents $(if $(ASK),--ask="$$ASK") $(ARGS)

batch: $(EXAMPLES)/.ready ## Ask about each of many documents once, on Ray Data (ARGS="--documents a.jsonl")
	@$(EXAMPLES)/bin/python -m examples.batch $(ARGS)

emulator: $(READY) ## Serve the KIE emulator on this machine (PORT=...)
	@$(BIN)/python -m langchain_kie.emulator $(if $(PORT),--port $(PORT))

# A separate environment, because the other packages conflict with the pinned test dependencies.
$(BENCH)/.ready: $(READY) benchmarks/constraints.txt
	@echo "Setting up $(BENCH) ..."
	@$(BIN)/python -m venv $(BENCH)
	@$(BENCH)/bin/python -m pip install --quiet -c benchmarks/constraints.txt --upgrade pip
	@$(BENCH)/bin/python -m pip install --quiet -c benchmarks/constraints.txt -e . --group bench
	@touch $@

bench: $(BENCH)/.ready ## Measure CPU and memory, compared with other packages (BENCH_ARGS="--quick --only stream --clients ours")
	@$(BENCH)/bin/python -m benchmarks $(BENCH_ARGS)

# A separate environment, because only this needs uvloop and gevent.
$(LOAD)/.ready: pyproject.toml constraints.txt
	$(call install,$(LOAD),-c constraints.txt -e . --group load)

load: $(LOAD)/.ready ## Send 100,000 calls through one process in each of four modes (LOAD_ARGS="--modes asyncio --calls 1000")
	@$(LOAD)/bin/python -m benchmarks.load $(LOAD_ARGS)

peers: $(BENCH)/.ready ## Compare what this package and others make of the same answers
	@PYTHONPATH=tests $(BENCH)/bin/python -m benchmarks.peers

check: lint typing ## Run the short check: lint, type checks and the unit tests of the core
	$(ON_EMULATOR) $(BIN)/pytest $(CORE_TESTS) -q $(PARALLEL) $(TEST_ARGS)

# Every suite runs, also after one that failed. mypy uses one core, so it runs at the same time as the tests.
test: $(READY) ## Run lint, type checks and all tests, on the emulator
	@$(MAKE) --no-print-directory typing >$(VENV)/typing.log 2>&1 & typing=$$!; failed=; \
	for suite in $(SUITES); do \
		$(ON_EMULATOR) $(MAKE) --no-print-directory $$suite || failed="$$failed $$suite"; \
	done; \
	wait $$typing || failed="$$failed typing"; cat $(VENV)/typing.log; \
	if [ -n "$$failed" ]; then echo "Failed:$$failed"; exit 1; else echo "All suites passed: typing $(SUITES)"; fi

# A separate environment: the site needs none of the packages of the tests.
$(DOCS)/.ready: pyproject.toml constraints.txt
	$(call install,$(DOCS),-c constraints.txt --group docs)

docs: $(DOCS)/.ready $(READY) ## Build the site in site/; dead links, missing docstrings and code that does not run are errors
	$(BIN)/ruff check langchain_kie pytest_langchain_kie.py
	@rm -rf .cache
	$(DOCS)/bin/zensical build --strict --clean
	$(ON_EMULATOR) $(BIN)/pytest tests/unit_tests/test_docs.py tests/integration_tests/test_readme.py -q -n auto $(TEST_ARGS)

docs_serve: $(DOCS)/.ready ## Serve the site on this machine, and rebuild it after each change
	$(DOCS)/bin/zensical serve

# A separate environment, with the lowest versions that pyproject.toml allows.
$(LOWEST)/.ready: pyproject.toml constraints-lowest.txt
	$(call install,$(LOWEST),-c constraints-lowest.txt -e $(PACKAGE) --group test)

# Without the tests that count calls inside libraries, and those that run type checkers.
test_lowest: $(LOWEST)/.ready ## Run the unit tests with the lowest allowed versions
	$(ON_EMULATOR) $(LOWEST)/bin/pytest tests/unit_tests -n auto --ignore tests/unit_tests/test_cost.py \
		--deselect tests/unit_tests/test_typing.py::test_type_checkers_reject_exactly_the_wrong_uses $(TEST_ARGS)

lint: $(READY) ## Check style and format
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/lint-imports

# One run for each file, because they may have different versions of a package.
audit: $(READY) ## Check the pinned packages for known vulnerabilities (needs the network)
	@failed=0; for file in $(TESTED_VERSIONS); do \
		rm -f $(VENV)/audit.json; \
		$(BIN)/pip-audit --requirement $$file --no-deps --disable-pip --progress-spinner off \
			--format json --output $(VENV)/audit.json 2>$(VENV)/audit.log; status=$$?; \
		if [ -s $(VENV)/audit.json ]; then \
			tail -n 20 $(VENV)/audit.log; \
			echo "$$file: not checked: $$(grep -o skip_reason $(VENV)/audit.json | wc -l)."; \
			[ $$status -eq 0 ] || failed=$$status; \
		else echo "$$file: the list of vulnerabilities is not available; no package was checked."; fi; \
	done; exit $$failed

format: $(READY) ## Format, and apply the automatic fixes
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

typing: $(READY) ## Check types, strictly
	$(BIN)/mypy

# The last are the shortest, so that no core waits long for another at the end.
unit_test: $(READY) ## Run the unit tests
	$(ON_EMULATOR) $(BIN)/pytest tests/unit_tests tests/chaos tests/fuzz tests/faults $(PARALLEL) $(TEST_ARGS)

faults: $(READY) ## Run the complete fault matrix, and print it
	FAULTS=full $(BIN)/pytest tests/faults -q -n 4 $(TEST_ARGS)

chaos: $(READY) ## Run agents with faults and kills (SEEDS=1000, START=0, CHAOS_ARGS="--agents 64 --steps 200")
	$(ON_EMULATOR) PYTHONPATH=tests $(BIN)/python -m chaos.run --seeds $(SEEDS) --start $(START) $(CHAOS_ARGS)

fuzz: $(READY) ## Run the fuzz tests (MINUTES=...); failing examples are stored and run first
	$(ON_EMULATOR) PYTHONPATH=tests $(BIN)/python -m fuzz.run --minutes $(MINUTES)

# A separate environment: Atheris has no wheels for some systems and versions of Python.
$(FUZZ)/.ready: pyproject.toml constraints.txt
	$(call install,$(FUZZ),-c constraints.txt -e ".[emulator]" --group fuzz)

fuzz_guided: $(FUZZ)/.ready ## Fuzz the parsers, guided by their coverage (MINUTES=...); needs Atheris
	$(ON_EMULATOR) PYTHONPATH=tests $(FUZZ)/bin/python -m fuzz.guided --minutes $(MINUTES)

# Without the tests that count calls, time or bytes, and those of other programs.
coverage: $(READY) ## Measure which lines and branches of the core the tests reach
	$(ON_EMULATOR) $(BIN)/pytest tests/unit_tests tests/integration_tests tests/faults tests/fuzz -q -n auto --cov --cov-report=term \
		$(addprefix --ignore tests/unit_tests/,cli emulator test_cost.py test_docs.py test_makefile.py test_typing.py) $(TEST_ARGS)

# Takes hours without SAMPLE, so CI does not run it.
mutation: $(READY) ## Check that the tests notice changes of the code (ROOM=_wire, SAMPLE=200 mutants, SEED=1)
	@for room in $(or $(ROOM),_answer _conversation _http _json_schema _wire); do \
		$(ON_EMULATOR) $(BIN)/python tests/mutation.py $$room --sample $(SAMPLE) --seed $(SEED) || failed=1; \
	done; test -z "$$failed"

integration_test: $(READY) ## Run the integration tests: on KIE with KIE_API_KEY, else on the emulator
	$(BIN)/pytest tests/integration_tests $(if $(KIE_API_KEY),,$(PARALLEL)) $(TEST_ARGS)

ecosystem_test: $(READY) ## Run the tests with other libraries, on the emulator
	$(ON_EMULATOR) $(BIN)/pytest tests/ecosystem_tests $(PARALLEL) $(TEST_ARGS)

# One test at a time to each worker, so that the long ones, with Ray, run on all cores.
example_test: $(EXAMPLES)/.ready ## Run the tests of the examples, on the emulator
	$(ON_EMULATOR) $(EXAMPLES)/bin/pytest tests/examples_tests -rs -n auto --maxschedchunk 1 $(TEST_ARGS)

chat_picture: $(EXAMPLES)/.ready ## Write docs/images/chat.png again (needs Chromium)
	$(ON_EMULATOR) CHAT_PICTURE=1 $(EXAMPLES)/bin/pytest tests/examples_tests/test_chat_page.py -k conversation

clean: ## Remove the files that the other targets create
	rm -rf $(VENV) .cache mutants dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
