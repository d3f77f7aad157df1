"""Whether and when a failed call is made again.

Pure policy on tenacity's terms; knows the errors, nothing of HTTP clients.
"""

from __future__ import annotations

import email.utils
import logging
import math
import time
from typing import TYPE_CHECKING, Any

from tenacity import stop_before_delay, wait_random_exponential

from langchain_kie.errors import KieError, KieRateLimitError

if TYPE_CHECKING:
    from tenacity import RetryCallState

logger = logging.getLogger(__name__)

RATE_LIMIT_WINDOW = 10.0
"""Seconds of KIE's rate-limit window (docs/wire.md 8)."""

MAX_RETRY_AFTER = 120.0
"""A server that asks for more seconds than this is not waited for."""

RETRY_BUDGET = 180.0
"""Seconds after a call's beginning, later than which it is not made again."""

_backoff = wait_random_exponential(multiplier=1, max=8)


def parse_retry_after(value: str | None) -> float | None:
    """The seconds that a `Retry-After` header asks for, `None` if it asks for nothing.

    Takes seconds and HTTP dates; what is not finite, negative or unreadable asks for nothing.
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def options(max_retries: int, spent: float = 0.0) -> dict[str, Any]:
    """The keywords of `tenacity.Retrying` and `AsyncRetrying`.

    Args:
        max_retries: How often a call may be made again.
        spent: The seconds that it took until now.
    """

    def again(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        return (
            isinstance(error, KieError)
            and state.attempt_number <= min(max_retries, error.max_retries)
            and (error.retry_after or 0) <= MAX_RETRY_AFTER
        )

    return {
        "retry": again,
        "stop": stop_before_delay(RETRY_BUDGET - spent),
        "wait": _wait,
        "before_sleep": _log,
        "reraise": True,
    }


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    delay = _backoff(state)
    if isinstance(error, KieRateLimitError):
        delay += RATE_LIMIT_WINDOW
    return getattr(error, "retry_after", None) or delay


def _log(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    sleep = state.next_action.sleep if state.next_action else 0.0
    logger.warning("retry %d in %.1f s: %s", state.attempt_number, sleep, error)
