"""What every test runs under: a clean environment, and warnings that are errors."""

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
    """Nothing that happens to be set on this machine can change a result."""
    for name in list(os.environ):
        if name.upper().startswith(_PREFIXES) or name.lower() in _PROXIES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("LANGSMITH_TRACING", "false")


@pytest.fixture(autouse=True, scope="module")
def garbage_is_told_of_where_it_was_made():
    """A socket or loop that a module forgot is found at the module's end, not in another's."""
    yield
    gc.collect()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Warnings are errors in unit tests, save LangChain's of itself; a module has one loop."""
    own = [
        item
        for item in items
        if "unit_tests" in item.path.parts and "emulator" not in item.path.parts
    ]
    for item in own:
        if item.path.name == "test_standard.py":
            continue
        if is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)
        for line in (
            "error",
            "ignore::langchain_core._api.LangChainBetaWarning",
            "ignore::DeprecationWarning:langgraph",
        ):
            item.add_marker(pytest.mark.filterwarnings(line))


@pytest.fixture
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Retries do not wait; the list holds the seconds that they would have waited."""
    slept: list[float] = []
    really_sleep, really_asleep = time.sleep, asyncio.sleep
    own_thread = threading.get_ident()

    def sleep(delay: float) -> None:
        if threading.get_ident() != own_thread:
            return really_sleep(delay)
        return slept.append(delay)

    async def asleep(delay: float, *args: object) -> None:
        if threading.get_ident() != own_thread:
            return await really_asleep(delay, *args)
        if delay:
            slept.append(delay)
        return await really_asleep(0)

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr("asyncio.sleep", asleep)
    return slept
