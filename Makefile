.DEFAULT_GOAL := help
.PHONY: help demo chat documents batch example_test chat_picture emulator bench peers test test_lowest lint format typing unit_test audit faults fuzz integration_test clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CODE := langchain_kie pytest_langchain_kie.py benchmarks demo examples tests
MODEL ?= gemini-3.5-flash
PORT ?=
TEST_ARGS ?=
MINUTES ?= 5
LOWEST := $(VENV)/lowest
BENCH := $(VENV)/bench
BENCH_ARGS ?=
EXAMPLES := $(VENV)/examples
ARGS ?=

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z_]+:.*## / { printf "%-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) ..."
	@if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
		uv pip install --quiet --python $(BIN)/python -c constraints.txt -e ".[cli,emulator]" --group dev; \
	else \
		$(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install --quiet -c constraints.txt --upgrade pip && \
		$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[cli,emulator]" --group dev; \
	fi
	@touch $@

demo: $(READY) ## Run an agent that thinks, calls tools and answers (MODEL=..., API=..., ASK="...", IMAGE=path)
	@$(BIN)/python -m demo --model "$(MODEL)" $(if $(API),--api "$(API)") $(if $(ASK),--ask "$(ASK)") $(if $(IMAGE),--image "$(IMAGE)")

emulator: $(READY) ## Serve the KIE emulator on this machine (PORT=...)
	@$(BIN)/python -m langchain_kie.emulator $(if $(PORT),--port $(PORT))

# A separate environment: Ray and Playwright need 700 MB, which only the examples use.
$(EXAMPLES)/.ready: pyproject.toml examples/constraints.txt
	@echo "Setting up $(EXAMPLES) ..."
	@$(PYTHON) -m venv $(EXAMPLES)
	@$(EXAMPLES)/bin/python -m pip install --quiet -c examples/constraints.txt --upgrade pip
	@$(EXAMPLES)/bin/python -m pip install --quiet -c examples/constraints.txt -e ".[emulator]" --group examples
	@touch $@

chat: $(EXAMPLES)/.ready ## Serve a chat for the browser (PORT=..., ARGS="--model ...")
	@$(EXAMPLES)/bin/python -m examples.chat $(if $(PORT),--port $(PORT)) $(ARGS)

documents: $(EXAMPLES)/.ready ## Answer a question about documents, with checked quotes (ASK="...", ARGS="a.pdf b.md")
	@$(EXAMPLES)/bin/python -m examples.documents $(if $(ASK),--ask "$(ASK)") $(ARGS)

batch: $(EXAMPLES)/.ready ## Ask about each of many documents once, on Ray Data (ARGS="--documents a.jsonl")
	@$(EXAMPLES)/bin/python -m examples.batch $(ARGS)

example_test: $(EXAMPLES)/.ready ## Run the tests of the examples, on the emulator
	env -u KIE_API_KEY -u KIE_BASE_URL $(EXAMPLES)/bin/pytest tests/examples_tests -rs $(TEST_ARGS)

chat_picture: $(EXAMPLES)/.ready ## Write docs/images/chat.png again (needs Chromium)
	CHAT_PICTURE=1 $(EXAMPLES)/bin/pytest tests/examples_tests/test_chat_page.py -k conversation $(TEST_ARGS)

# A separate environment, because the other packages conflict with the pinned test dependencies.
$(BENCH)/.ready: $(READY) benchmarks/constraints.txt
	@echo "Setting up $(BENCH) ..."
	@$(BIN)/python -m venv $(BENCH)
	@$(BENCH)/bin/python -m pip install --quiet -c benchmarks/constraints.txt --upgrade pip
	@$(BENCH)/bin/python -m pip install --quiet -c benchmarks/constraints.txt -e . --group bench
	@touch $@

bench: $(BENCH)/.ready ## Measure CPU and memory, compared with other packages (BENCH_ARGS="--quick --only stream --clients ours")
	@$(BENCH)/bin/python -m benchmarks $(BENCH_ARGS)

peers: $(BENCH)/.ready ## Compare what this package and others make of the same answers
	@PYTHONPATH=tests $(BENCH)/bin/python -m benchmarks.peers

test: lint typing unit_test $(READY) ## Run lint, type checks and all tests, on the emulator
	env -u KIE_API_KEY -u KIE_BASE_URL $(BIN)/pytest tests/integration_tests -n auto $(TEST_ARGS)
	env -u KIE_API_KEY -u KIE_BASE_URL $(BIN)/pytest tests/ecosystem_tests -n auto $(TEST_ARGS)
	$(MAKE) example_test

# A separate environment, with the lowest versions that pyproject.toml allows.
$(LOWEST)/.ready: pyproject.toml constraints-lowest.txt
	@echo "Setting up $(LOWEST) ..."
	@$(PYTHON) -m venv $(LOWEST)
	@$(LOWEST)/bin/python -m pip install --quiet -c constraints.txt --upgrade pip
	@$(LOWEST)/bin/python -m pip install --quiet -c constraints-lowest.txt -e ".[cli,emulator]" --group test
	@touch $@

# Without the tests that count calls inside libraries, and those that run type checkers.
test_lowest: $(LOWEST)/.ready ## Run the unit tests with the lowest allowed versions
	env -u KIE_API_KEY -u KIE_BASE_URL $(LOWEST)/bin/pytest tests/unit_tests -n auto --ignore tests/unit_tests/test_cost.py \
		--deselect tests/unit_tests/test_typing.py::test_type_checkers_reject_exactly_the_wrong_uses $(TEST_ARGS)

lint: $(READY) ## Check style and format
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/lint-imports

audit: $(READY) ## Check the pinned packages for known vulnerabilities (needs the network)
	@rm -f $(VENV)/audit.json
	@$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip --progress-spinner off \
		--format json --output $(VENV)/audit.json 2>$(VENV)/audit.log; status=$$?; \
	if [ -s $(VENV)/audit.json ]; then \
		tail -n 20 $(VENV)/audit.log; \
		echo "Not checked: $$(grep -o skip_reason $(VENV)/audit.json | wc -l)."; \
		exit $$status; \
	else echo "The list of vulnerabilities is not available; no package was checked."; fi

format: $(READY) ## Format, and apply the automatic fixes
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

typing: $(READY) ## Check types, strictly
	$(BIN)/mypy

unit_test: $(READY) ## Run the unit tests
	env -u KIE_API_KEY -u KIE_BASE_URL $(BIN)/pytest tests/unit_tests tests/faults tests/fuzz -n auto $(TEST_ARGS)

faults: $(READY) ## Run the complete fault matrix, and print it
	FAULTS=full $(BIN)/pytest tests/faults -q -n 4 $(TEST_ARGS)

fuzz: $(READY) ## Run the fuzz tests (MINUTES=...); failing examples are stored and run first
	env -u KIE_API_KEY -u KIE_BASE_URL PYTHONPATH=tests $(BIN)/python -m fuzz.run --minutes $(MINUTES)

integration_test: $(READY) ## Run the integration tests: on KIE with KIE_API_KEY, else on the emulator
	$(BIN)/pytest tests/integration_tests $(TEST_ARGS)

clean: ## Remove the files that the other targets create
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
