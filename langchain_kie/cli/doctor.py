"""Asks the questions, within a limit of credits, until an error makes all calls impossible."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.rate_limiters import BaseRateLimiter

from langchain_kie import KieCreditsCallback, KieTimeoutError
from langchain_kie.cli.findings import (
    ANSWERED,
    FATAL_NAMES,
    NO_CALLS,
    REFUSALS,
    UNANSWERED,
    Finding,
    Question,
    Target,
    error_finding,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    Recording = Callable[[str], AbstractContextManager[None]]
    """Records the requests of a question, by its name."""

UNKNOWN_COST = 0.1
"""Credits that are assumed for a call whose cost KIE does not report, such as a timed-out one."""

_REFUSALS = frozenset({error.__name__ for error in REFUSALS})


class BudgetUsedUpError(Exception):
    """The limit of credits is reached; the call was not sent."""


class Budget(KieCreditsCallback):
    """Adds up what the calls cost.

    Args:
        limit: The limit in credits.
    """

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit
        self._timeouts = 0

    @property
    def used(self) -> float:
        """The credits of all calls, with an assumption for those of unknown cost."""
        return self.total.credits_consumed + UNKNOWN_COST * self.calls_of_unknown_cost

    @property
    def calls_of_unknown_cost(self) -> int:
        """How many calls KIE may have charged without reporting the cost."""
        return self.total.calls_without_credits + self._timeouts

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        """Count a failed call; LangChain calls this."""
        super().on_llm_error(error, **kwargs)
        if isinstance(error, KieTimeoutError) and error.credits_consumed is None:
            self._timeouts += 1


class Gate(BaseRateLimiter):
    """Lets a call start if the budget allows it, when the rate limit allows it.

    Args:
        budget: The budget. The call that reaches its limit is completed.
        limiter: The rate limit, `None` for none.
    """

    def __init__(self, budget: Budget, limiter: BaseRateLimiter | None) -> None:
        self._budget = budget
        self._limiter = limiter

    def acquire(self, *, blocking: bool = True) -> bool:
        """Wait until a call may start.

        Raises:
            BudgetUsedUpError: The limit of credits is reached.
        """
        if self._budget.used >= self._budget.limit:
            raise BudgetUsedUpError
        return self._limiter is None or self._limiter.acquire(blocking=blocking)

    async def aacquire(self, *, blocking: bool = True) -> bool:
        """As `acquire`; no question runs in an event loop."""
        return self.acquire(blocking=blocking)


@dataclass(frozen=True, slots=True)
class Row:
    """One question and its finding."""

    target: Target
    question: Question
    finding: Finding


def examine(
    targets: Sequence[Target],
    questions: Sequence[Question],
    recording: Recording,
    stop_all: str = "",
) -> Iterator[Row]:
    """Ask each target each question.

    Args:
        targets: The models and APIs.
        questions: The rows of the table.
        recording: Records what a question sends.
        stop_all: Why all is skipped, empty if nothing is.

    Yields:
        One row for each of them, also for those that are skipped.
    """
    for target in targets:
        findings: dict[str, Finding] = {}
        for question in questions:
            reason = stop_all or _refusal_in(findings) or _unmet_need(question, findings)
            if reason:
                finding = Finding("skipped", reason)
            else:
                with recording(f"{target.model.model} {target.api} {question.name}"):
                    finding = _ask(question, target)
                stop_all = _reason_to_stop(finding)
            findings[question.name] = finding
            yield Row(target, question, finding)


def _ask(question: Question, target: Target) -> Finding:
    try:
        with warnings.catch_warnings(action="ignore"):  # the finding says it
            return question.run(target)
    except BudgetUsedUpError:
        return Finding("skipped", "the limit of credits is reached")
    except Exception as error:  # noqa: BLE001 - the other findings were paid for
        return error_finding(error)


def _reason_to_stop(finding: Finding) -> str:
    """Why no other call is possible, empty if one is."""
    if finding.outcome == "skipped":
        return finding.detail
    error = finding.facts.get("error")
    return f"after {error}" if error in FATAL_NAMES else ""


def _refusal_in(findings: Mapping[str, Finding]) -> str:
    """Why the model cannot be used on the API, empty if it answered something."""
    calls = [finding for name, finding in findings.items() if name not in NO_CALLS]
    if any(finding.outcome in ANSWERED for finding in calls):
        return ""
    errors = (finding.facts.get("error") for finding in calls)
    return next((f"after {error}" for error in errors if error in _REFUSALS), "")


def _unmet_need(question: Question, findings: Mapping[str, Finding]) -> str:
    """Why a question is skipped; empty if what it needs was not chosen."""
    needed = [findings[name] for name in question.needs if name in findings]
    is_unknown = len(needed) < len(question.needs)
    is_hopeless = all(finding.outcome in UNANSWERED for finding in needed)
    if not needed or is_unknown or not is_hopeless:
        return ""
    return "neither a stream nor a call without one works"
