"""pytest fixtures on KIE's emulator: `kie_emulator` and `kie_model`.

pytest loads this module in every project of an environment with langchain-kie, so it is outside of
the package and imports it only where a fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from langchain_kie import ChatKieGemini
    from langchain_kie.emulator import Emulator
else:  # so that the hints resolve without an import of the package
    ChatKieGemini = Emulator = Any


@pytest.fixture(scope="session")
def _running_kie_emulator() -> Iterator[Emulator]:
    from langchain_kie.emulator import Emulator  # noqa: PLC0415 - see above

    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def kie_emulator(
    _running_kie_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Emulator]:
    """An emulator of KIE without requests, answers, files or changed settings of other tests.

    During the test, `KIE_BASE_URL` and `KIE_API_KEY` are those of the emulator, so every model
    and every `KieFiles` without a `base_url` uses it.
    """
    emulator = _running_kie_emulator
    emulator.reset()
    monkeypatch.setenv("KIE_BASE_URL", emulator.base_url)
    monkeypatch.setenv("KIE_API_KEY", emulator.api_key)
    monkeypatch.delenv("KIE_UPLOAD_URL", raising=False)
    yield emulator
    emulator.reset()


@pytest.fixture
def kie_model(kie_emulator: Emulator) -> ChatKieGemini:
    """A `gemini-3.5-flash` on the emulator, which does not retry."""
    from langchain_kie import ChatKieGemini  # noqa: PLC0415 - see above

    return ChatKieGemini(
        model="gemini-3.5-flash",
        base_url=kie_emulator.base_url,
        api_key=kie_emulator.api_key,
        max_retries=0,
    )
