"""The fixture `kie_emulator`, for `pytest_plugins = ["langchain_kie.emulator.pytest_plugin"]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from langchain_kie.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def kie_emulator() -> Iterator[Emulator]:
    """Serve one emulator for the test session."""
    with Emulator() as emulator:
        yield emulator
