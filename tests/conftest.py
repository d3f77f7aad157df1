"""For every test: a clean environment, and warnings that are errors."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time

import pytest
from pytest_asyncio import is_async_test

_PREFIXES = ("KIE_", "LANGSMITH", "LANGCHAIN")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the environment variables that could change a result."""
    for name in list(os.environ):
        if name.upper().startswith(_PREFIXES) or name.lower() in _PROXIES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("LANGSMITH_TRACING", "false")


@pytest.fixture(autouse=True, scope="module")
def collect_garbage_after_module():
    """Report sockets and event loops that a module left open in that module, not in a later one."""
    yield
    gc.collect()


def pytest_collection_finish() -> None:
    """Let the garbage collector skip what was imported and collected: a sixth of the CPU time."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Make warnings errors in unit tests, except LangChain's; give each module one event loop."""
    unit_tests = [
        item
        for item in items
        if "unit_tests" in item.path.parts and "emulator" not in item.path.parts
    ]
    for item in unit_tests:
        if item.path.name == "test_standard.py":
            continue
        if is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)
        for line in (
            "error",
            "ignore::langchain_core._api.LangChainBetaWarning",
            "ignore::DeprecationWarning:langgraph",
            # starlette before 1.7 leaves the file of an aborted upload to the garbage collector.
            "ignore:.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning",
        ):
            item.add_marker(pytest.mark.filterwarnings(line))


@pytest.fixture
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Make retries not wait; the list has the seconds that they would have waited."""
    slept: list[float] = []
    original_sleep, original_asleep = time.sleep, asyncio.sleep
    test_thread = threading.get_ident()

    def sleep(delay: float) -> None:
        if threading.get_ident() != test_thread:
            return original_sleep(delay)
        return slept.append(delay)

    async def asleep(delay: float, *args: object) -> None:
        if threading.get_ident() != test_thread:
            return await original_asleep(delay, *args)
        if delay:
            slept.append(delay)
        return await original_asleep(0)

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr("asyncio.sleep", asleep)
    return slept
