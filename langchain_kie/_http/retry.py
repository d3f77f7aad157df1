"""Decides whether a failed call is retried, and how long to wait before the retry.

Depends on this package's errors only; independent of HTTP clients. Never sleeps.
"""

from __future__ import annotations

import email.utils
import logging
import math
import random
import time

from langchain_kie.errors import KieError, KieRateLimitError

logger = logging.getLogger(__name__)

RATE_LIMIT_WINDOW = 10.0
"""Seconds over which KIE counts requests (docs/wire.md 8)."""

MAX_RETRY_AFTER = 120.0
"""Seconds; a call is not retried when the server asks for a longer wait."""

RETRY_BUDGET = 180.0
"""Seconds after the start of a call; no retry starts later."""

MAX_BACKOFF = 8.0
"""Seconds; the longest random wait."""


def parse_retry_after(value: str | None) -> float | None:
    """Return the seconds that a `Retry-After` header asks for, or `None`.

    Accepts seconds and HTTP dates. A wait that is not positive and finite, and a value that
    cannot be parsed, count as no header.
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


def retry_delay(error: KieError, attempt: int, elapsed: float, max_retries: int) -> float | None:
    """Return the seconds to wait before the next attempt, or `None` not to retry.

    A `Retry-After` of the server is followed exactly. Without one, the wait is random between
    0 and 1, 2, 4, then 8 seconds, with `RATE_LIMIT_WINDOW` added after a rate limit.

    Args:
        error: The failure of the last attempt.
        attempt: The number of the last attempt, from 1.
        elapsed: Seconds since the call started.
        max_retries: The most retries that the user allows.
    """
    if attempt > min(max_retries, error.max_retries):
        return None
    delay = error.retry_after
    if not delay:
        delay = random.uniform(0, min(2 ** (attempt - 1), MAX_BACKOFF))  # noqa: S311 - jitter
        delay += RATE_LIMIT_WINDOW if isinstance(error, KieRateLimitError) else 0
    elif delay > MAX_RETRY_AFTER:
        return None
    return delay if elapsed + delay < RETRY_BUDGET else None


def log_retry(error: KieError, attempt: int, delay: float) -> None:
    """Write one warning about a retry to the log.

    It has no message, because that may quote what a server sent: the prompt or the answer.
    """
    status = error.code or error.status_code or "no status"
    logger.warning("retry %d in %.1f s: %s, %s", attempt, delay, type(error).__name__, status)
