"""What the findings lead to: the advice, the exit code, and the limit of credits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessageChunk

from langchain_kie import KieServerError, KieTimeoutError
from langchain_kie.cli.advice import advise
from langchain_kie.cli.doctor import UNKNOWN_COST, Budget, BudgetUsedUpError, Gate
from langchain_kie.cli.findings import Finding, error_finding
from langchain_kie.cli.questions import _ask_stream, _effect_of

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKS = Finding("works", "")
EFFORTS = Finding("works", "", facts={"accepted": {"none": 0, "low": 50, "high": None}})


def with_efforts(*unsent: str) -> Finding:
    """Efforts of which some are sent only by `model_kwargs`."""
    bodies = {effort: {"effort": effort} for effort in unsent}
    return replace(EFFORTS, facts={**EFFORTS.facts, "by_model_kwargs": bodies})


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
        ({"a": {"stream": Finding("partly", "")}}, {"api": "a"}, "came at their end only"),
        ({"a": {"max_tokens": Finding("ignored", "")}}, {"api": "a"}, "max_tokens is ignored"),
        (
            {"a": {"stream": WORKS, "efforts": EFFORTS}},
            {"api": "a", "reasoning_effort": "none"},
            'reasoning_effort="none" thinks least',
        ),
        (
            {"a": {"stream": WORKS, "efforts": with_efforts("none")}},
            {"api": "a", "reasoning_effort": "low"},
            'model_kwargs={"effort": "none"} thinks least',
        ),
        (
            {"a": {"stream": WORKS, "efforts": with_efforts("none", "low", "high")}},
            {"api": "a", "reasoning_effort": None},
            'model_kwargs={"effort": "none"} thinks least',
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


UNCLEAR = error_finding(KeyError("city"))


@pytest.mark.parametrize(
    "by_api",
    [
        {"a": {"key": WORKS, "catalogue": WORKS}},
        {"a": {"key": WORKS, "catalogue": UNCLEAR}},
        {"a": {"catalogue": fails()}},
        {"a": {"stream": UNCLEAR, "no_stream": fails()}},
        {"a": {"stream": Finding("skipped", "")}},
        {"a": {"stream": fails()}, "b": {"stream": UNCLEAR}},
    ],
)
def test_there_is_no_advice_about_calls_without_an_error_of_kie(by_api: dict[str, Any]) -> None:
    advice = advise("m", by_api)
    assert advice.settings == {}
    assert "Nothing works" not in " ".join(advice.notes)
    has_mistake = any(UNCLEAR in findings.values() for findings in by_api.values())
    assert ("report it" in " ".join(advice.notes)) is has_mistake


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
    assert len(error_finding(KieServerError("x" * 1000)).detail) == 160


def test_a_mistake_of_a_question_is_no_error_of_kie() -> None:
    assert error_finding(KeyError("city")).detail == "KeyError: 'city'"
    assert error_finding(ValueError("first\nsecond")).outcome == "unclear"


class Streams:
    """A target whose streams have pieces at these times, by its own clock."""

    def __init__(self, *streams: tuple[float, ...]) -> None:
        self.streams = list(streams)
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def without_limiter(self) -> Streams:
        return self

    def stream(self, _prompt: str) -> Iterator[AIMessageChunk]:
        start = self.now
        for seconds in self.streams.pop(0):
            self.now = start + seconds
            yield AIMessageChunk("text")


@pytest.mark.parametrize(
    ("streams", "outcome"),
    [
        ([(1, 9)], "works"),
        ([(2.9, 3)], "works"),
        ([(9.5, 9.7, 10), (1, 2)], "works"),
        ([(9.5, 9.7, 10), (8, 8.1)], "partly"),
        ([(9.5, 9.7, 10), ()], "fails"),
    ],
)
def test_a_stream_is_held_back_only_if_two_are(
    streams: list[tuple[float, ...]], outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target: Any = Streams(*streams)
    monkeypatch.setattr("langchain_kie.cli.questions.time", target)
    assert _ask_stream(target).outcome == outcome
    assert target.streams == []
