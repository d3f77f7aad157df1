"""The documented batch ends with the credits, and a second run pays only for what is missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from langchain_kie import (
    ChatKieGemini,
    KieError,
    KieInsufficientCreditsError,
    get_kie_credits_callback,
)
from langchain_kie.emulator import Emulator

PAGE = Path(__file__).parents[2] / "docs" / "usage-and-credits.md"
COUNT = 60


def documented_batch() -> dict[str, Any]:
    """The names of the program in the documentation, up to its calls."""
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (snippet,) = (text for text in snippets if "max_concurrency" in text)
    names: dict[str, Any] = {}
    exec(snippet.partition("\nwith get_kie")[0], names)
    return names


@pytest.mark.parametrize("setting", ["credits", "unauthorized_models", "unsupported_models"])
def test_a_batch_ends_at_an_error_that_all_calls_meet(setting: str) -> None:
    names = documented_batch()
    with Emulator(**{setting: 0 if setting == "credits" else ["gemini-3-5-flash"]}) as emulator:
        names["model"] = ChatKieGemini(
            model="gemini-3.5-flash", base_url=emulator.base_url, api_key=emulator.api_key
        )
        names["questions"] |= {str(number): f"What is {number}?" for number in range(COUNT)}
        with pytest.raises(KieError):
            names["run"]()
        assert len(emulator.requests) <= 4, "no more than those that had started"


def test_a_batch_ends_with_the_credits_and_is_continued() -> None:
    names = documented_batch()
    with Emulator(credits=0.2) as emulator:
        names["model"] = ChatKieGemini(
            model="gemini-3.5-flash", base_url=emulator.base_url, api_key=emulator.api_key
        )
        names["questions"] |= {str(number): f"What is {number}?" for number in range(COUNT)}
        with get_kie_credits_callback() as cost, pytest.raises(KieInsufficientCreditsError):
            names["run"]()
        paid = len(names["answers"])
        assert paid == cost.total.calls
        assert 20 <= paid < 20 + 4, "calls that started with the last credits are answered, too"
        assert len(emulator.requests) <= paid + 4, "no more than those that had started"
        emulator.credits = 100.0
        emulator.clear()
        names["run"]()
        assert len(names["answers"]) == len(names["questions"])
        assert len(emulator.requests) == len(names["questions"]) - paid
