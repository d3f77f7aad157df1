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

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langchain_kie import ChatKieGemini, KieAccount

Outcome: TypeAlias = Literal["works", "partly", "ignored", "fails", "skipped"]
"""`ignored` means that KIE accepts the parameter, and does not do what it says."""

FATAL_ERRORS = (KieAuthenticationError, KieInsufficientCreditsError)
"""After these, no other call can succeed."""

REFUSALS = (KieModelNotFoundError, KiePermissionDeniedError)
"""After these, no other call of the model on this API can succeed, unless one did before."""

NO_CALLS = frozenset({"key", "catalogue"})
"""Findings that do not come from calls of a model."""


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


def error_finding(error: Exception) -> Finding:
    """The finding of a call that failed."""
    facts: dict[str, Any] = {"error": type(error).__name__}
    if isinstance(error, KieError):
        facts |= {"code": error.code, "status": error.status_code}
    lines = str(getattr(error, "message", None) or error).splitlines() or [type(error).__name__]
    return Finding("fails", lines[0][:160], facts=facts)
