"""What a question is, what it gets, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from langchain_kie import (
    KieAuthenticationError,
    KieError,
    KieInsufficientCreditsError,
    KieModelNotFoundError,
    KiePermissionDeniedError,
)
from langchain_kie.cli.output import without_account_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langchain_kie import ChatKieGemini, KieAccount

Outcome: TypeAlias = Literal["works", "partly", "ignored", "fails", "skipped", "unclear"]
"""`ignored` means that KIE accepts the parameter, and does not do what it says; `unclear`, that the
question has a mistake, which says nothing of KIE."""

FATAL_ERRORS = (KieAuthenticationError, KieInsufficientCreditsError)
"""After these, no other call can succeed."""

FATAL_NAMES = frozenset({error.__name__ for error in FATAL_ERRORS})

REFUSALS = (KieModelNotFoundError, KiePermissionDeniedError)
"""After these, no other call of the model on this API can succeed, unless one did before."""

NO_CALLS = frozenset({"key", "catalogue"})
"""Findings that do not come from calls of a model."""

ANSWERED = frozenset({"works", "partly", "ignored"})
"""Outcomes of questions that KIE answered."""

UNANSWERED = frozenset({"fails", "skipped"})


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to a question.

    Attributes:
        outcome: Whether it works.
        detail: What happened, in one line.
        seconds: How long the answer took, or its first piece; `None` if it is of no interest.
        facts: The values on which the advice depends, for JSON.
    """

    outcome: Outcome
    detail: str
    seconds: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """One model on one API.

    Attributes:
        model: The model; it counts what its calls cost, and keeps to the limits.
        api: The API.
        spelling: KIE's spelling of the model on this API.
        account: The account.
        wait: Seconds to wait for an answer that does not stream.
    """

    model: ChatKieGemini
    api: str
    spelling: str
    account: KieAccount
    wait: float

    def with_settings(self, **settings: Any) -> ChatKieGemini:
        """The model with other settings."""
        return self.model.model_copy(update=settings)

    def without_limiter(self, **settings: Any) -> ChatKieGemini:
        """The model without what delays its first call, so that the call can be timed."""
        if limiter := self.model.rate_limiter:
            limiter.acquire(blocking=True)
        model = self.with_settings(rate_limiter=None, **settings)
        model.warm_up()
        return model


@dataclass(frozen=True, slots=True)
class Question:
    """A row of the table.

    Attributes:
        name: The name in JSON, in the names of cassettes and in `--questions`.
        title: What the table shows.
        run: Asks, and returns the finding; errors are findings as well.
        needs: Questions of which at least one must have worked before.
    """

    name: str
    title: str
    run: Callable[[Target], Finding]
    needs: tuple[str, ...] = ("stream", "no_stream")


def is_unusable(findings: Mapping[str, Finding]) -> bool:
    """Whether the key or its credits were refused, or no call worked, of one model on one API."""
    outcomes = {finding.outcome for name, finding in findings.items() if name not in NO_CALLS}
    has_fatal = any(finding.facts.get("error") in FATAL_NAMES for finding in findings.values())
    return has_fatal or ("fails" in outcomes and outcomes <= UNANSWERED)


def error_finding(error: Exception) -> Finding:
    """The finding of a call that failed, or of a question that has a mistake."""
    name = type(error).__name__
    if not isinstance(error, KieError):
        line, *_ = f"{name}: {error}".splitlines()
        return Finding("unclear", line[:160], facts={"error": name})
    facts = {"error": name, "code": error.code, "status": error.status_code}
    line, *_ = without_account_numbers(error.message).splitlines() or [name]
    return Finding("fails", line[:160], facts=facts)
