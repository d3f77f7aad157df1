.DEFAULT_GOAL := help
.PHONY: help demo emulator test lint format typing unit_test integration_test clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CODE := langchain_kie demo tests
MODEL ?= gemini-3.5-flash
PORT ?= 8787
TEST_ARGS ?=

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z_]+:.*## / { printf "%-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) ..."
	@if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
		uv pip install --quiet --python $(BIN)/python -c constraints.txt -e ".[emulator]" --group dev; \
	else \
		$(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install --quiet -c constraints.txt --upgrade pip && \
		$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[emulator]" --group dev; \
	fi
	@touch $@

demo: $(READY) ## Watch an agent think, call tools and answer (MODEL=..., API=..., ASK="...")
	@$(BIN)/python -m demo --model "$(MODEL)" $(if $(API),--api "$(API)") $(if $(ASK),--ask "$(ASK)")

emulator: $(READY) ## Serve the KIE emulator on this machine (PORT=...)
	@$(BIN)/python -m langchain_kie.emulator --port $(PORT)

test: lint typing unit_test $(READY) ## Lint, type check, and all tests, on the emulator
	env -u KIE_API_KEY -u KIE_BASE_URL $(BIN)/pytest tests/integration_tests -n auto $(TEST_ARGS)

lint: $(READY) ## Check style and format
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)

format: $(READY) ## Format, and fix what can be fixed
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

typing: $(READY) ## Check types, strictly
	$(BIN)/mypy

unit_test: $(READY) ## Run the unit tests
	env -u KIE_API_KEY -u KIE_BASE_URL $(BIN)/pytest tests/unit_tests -n auto $(TEST_ARGS)

integration_test: $(READY) ## Run the integration tests: on KIE with KIE_API_KEY, else on the emulator
	$(BIN)/pytest tests/integration_tests $(TEST_ARGS)

clean: ## Remove what the other targets made
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
