"""What the findings lead to: the advice, the exit code, and the limit of credits."""

from __future__ import annotations

from typing import Any

import pytest

from langchain_kie import KieServerError, KieTimeoutError
from langchain_kie.cli.advice import advise
from langchain_kie.cli.doctor import UNKNOWN_COST, Budget, BudgetUsedUpError, Gate
from langchain_kie.cli.findings import Finding, error_finding
from langchain_kie.cli.questions import _effect_of

WORKS = Finding("works", "")
EFFORTS = Finding("works", "", facts={"accepted": {"none": 0, "low": 50, "high": None}})


def fails(error: str = "KieServerError") -> Finding:
    return Finding("fails", "", facts={"error": error})


@pytest.mark.parametrize(
    ("by_api", "settings", "note"),
    [
        ({"a": {"stream": WORKS, "no_stream": WORKS}}, {"api": "a"}, ""),
        (
            {"a": {"stream": WORKS, "no_stream": fails()}},
            {"api": "a", "stream_invoke": True},
            "stream_invoke=True streams in invoke too",
        ),
        (
            {"a": {"stream": fails(), "no_stream": WORKS}},
            {"api": "a", "stream_invoke": False},
            "call invoke, not stream",
        ),
        ({"a": {"stream": Finding("partly", "")}}, {"api": "a"}, "at their end only"),
        (
            {"a": {"stream": WORKS, "efforts": EFFORTS}},
            {"api": "a", "reasoning_effort": "none"},
            'reasoning_effort="none" thinks least',
        ),
        ({"a": {"efforts": Finding("ignored", "")}, "b": {"efforts": EFFORTS}}, {"api": "b"}, ""),
        ({"a": {"stream": WORKS}, "b": {"stream": WORKS}}, {"api": "a"}, ""),
        (
            {"a": {"stream": WORKS}, "b": {"stream": WORKS, "map": WORKS}},
            {"api": "b"},
            "",
        ),
        (
            {
                "a": {"stream": fails(), "no_stream": WORKS, "map": WORKS, "list": WORKS},
                "b": {"stream": WORKS, "no_stream": fails()},
            },
            {"api": "b", "stream_invoke": True},
            "",
        ),
        (
            {"a": {"image_inline": WORKS, "image_url": fails()}},
            {"api": "a"},
            'media_upload="never"',
        ),
        (
            {"a": {"image_inline": fails(), "image_url": WORKS}},
            {"api": "a"},
            'media_upload="always"',
        ),
        (
            {"a": {"stream": WORKS, "image_inline": fails(), "image_url": fails()}},
            {"api": "a"},
            "does not see images",
        ),
        ({"a": {"catalogue": WORKS, "stream": fails()}}, {}, "Nothing works"),
        (
            {"a": {"key": WORKS, "stream": fails("KieModelNotFoundError")}},
            {},
            "does not serve the model",
        ),
        (
            {"a": {"stream": WORKS, "no_stream": fails("KieRateLimitError")}},
            {"api": "a"},
            "KieRateLimiter()",
        ),
    ],
)
def test_advice(by_api: dict[str, Any], settings: dict[str, Any], note: str) -> None:
    advice = advise("m", by_api)
    assert {name: advice.settings.get(name) for name in settings} == settings
    assert bool(advice.settings) is bool(settings)
    assert note in " ".join(advice.notes)
    assert advice.code.startswith('ChatKieGemini(model="m", api=') is bool(settings)


@pytest.mark.parametrize("error", ["KieRateLimitError", "KieInsufficientCreditsError"])
def test_a_call_that_was_refused_for_its_rate_or_price_is_no_missing_feature(error: str) -> None:
    findings = {"stream": WORKS, "image_inline": WORKS, "image_url": fails(error)}
    (note,) = advise(
        "m", {"a": {**findings, "tool_call": fails(error), "search": fails(error)}}
    ).notes
    assert note.startswith(("KIE limited the rate", "There are no credits"))


def test_calls_of_unknown_cost_use_up_the_budget() -> None:
    budget = Budget(2 * UNKNOWN_COST)
    gate = Gate(budget, None)
    budget.on_llm_error(KieTimeoutError("late"))
    budget.on_llm_error(KieServerError("broken"))  # not charged
    assert budget.used == UNKNOWN_COST
    assert gate.acquire()
    budget.on_llm_error(KieServerError("broken", credits_consumed=UNKNOWN_COST))
    with pytest.raises(BudgetUsedUpError):
        gate.acquire()


async def test_the_rate_limit_counts_too() -> None:
    asked = []

    class Limiter:
        def acquire(self, *, blocking: bool) -> bool:
            asked.append(blocking)
            return False

    gate = Gate(Budget(1), Limiter())
    assert not gate.acquire(blocking=False)
    assert not await gate.aacquire()
    assert asked == [False, True]


@pytest.mark.parametrize(
    ("counts", "outcome"),
    [
        ([0, 90], "works"),
        ([50, 60, 90], "works"),
        ([60, 90], "ignored"),
        ([90, 60], "ignored"),
        ([0, 0], "ignored"),
        ([50], "partly"),
        ([None, 90], "partly"),
        ([50, None], "partly"),
    ],
)
def test_efforts_have_an_effect_only_if_the_counts_differ_clearly(
    counts: list[int | None], outcome: str
) -> None:
    assert _effect_of(counts) == outcome


def test_an_error_is_one_short_line() -> None:
    finding = error_finding(KieServerError("first\nsecond", code=500))
    assert finding.detail == "first"
    assert finding.facts == {"error": "KieServerError", "code": 500, "status": None}
    assert len(error_finding(ValueError("x" * 1000)).detail) == 160
    assert error_finding(ValueError()).detail == "ValueError"
