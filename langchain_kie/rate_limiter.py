"""KIE's limit of requests, as a LangChain rate limiter for one process.

Depends on time, threads and asyncio; independent of HTTP.
"""

from __future__ import annotations

import asyncio
import threading
import time
from bisect import bisect_left, bisect_right, insort
from functools import partial
from typing import Any

from langchain_core.rate_limiters import BaseRateLimiter

from langchain_kie.errors import KieConfigurationError


class KieRateLimiter(BaseRateLimiter):
    """Lets at most 20 requests start in any 10 seconds, as KIE does for an account.

    Up to `max_requests` start at once; each later one waits, in the order of arrival, until the
    one that came `max_requests` before it is `period` old. A waiting call wakes once in a period,
    not more often. If it is cancelled, later ones move forward.

    Share one limiter between all models that use the same account. It works in one process, in
    threads and event loops together; docs/rate-limits.md has one for several processes. Copies of
    a model share its limiter; a pickled model gets a new one with the same limits.

    Example:
        ```python
        from langchain_kie import ChatKieGemini, KieRateLimiter

        model = ChatKieGemini(model="gemini-3.5-flash", rate_limiter=KieRateLimiter())
        model.batch(["One.", "Two.", "Three."])
        ```

    Args:
        max_requests: How many requests may start in a period, 1 or more. Default: 20.
        period: The period, in seconds above 0. Default: 10 s.
        margin: Seconds, 0 or more, that are added to the period, because some requests need
            longer than others to arrive at KIE. Default: 0.25 s.

    Raises:
        KieConfigurationError: A value is out of range.
    """

    def __init__(
        self, max_requests: int = 20, period: float = 10.0, *, margin: float = 0.25
    ) -> None:
        if isinstance(max_requests, bool) or not isinstance(max_requests, int) or max_requests < 1:
            raise KieConfigurationError(f"max_requests must be 1 or more; got {max_requests!r}")
        if not period > 0 or not margin >= 0:
            raise KieConfigurationError(
                f"period must be above 0 and margin at least 0; got {period!r} and {margin!r}"
            )
        self.max_requests = max_requests
        self.period = period
        self.margin = margin
        self._window = period + margin
        self._lock = threading.Lock()
        self._starts: list[float] = []
        """When the last requests started or will start, in ascending order."""

    def __repr__(self) -> str:
        """Show the limits."""
        return f"KieRateLimiter({self.max_requests}, {self.period}, margin={self.margin})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the limits only."""
        return partial(type(self), margin=self.margin), (self.max_requests, self.period)

    def __copy__(self) -> KieRateLimiter:
        """Share the limiter: the limit is that of the account."""
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> KieRateLimiter:
        """Share the limiter, as `__copy__`."""
        return self

    def acquire(self, *, blocking: bool = True) -> bool:
        """Wait until a request may start.

        Args:
            blocking: Whether to wait. `False` returns at once.

        Returns:
            Whether a request may start now; always `True` if `blocking`.
        """
        start = self._reserve(blocking=blocking)
        if start is None:
            return False
        try:
            while (delay := start - time.monotonic()) > 0:
                time.sleep(min(delay, self._window))
                start = self._move(start)
        except BaseException:
            self._cancel(start)
            raise
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        """Wait until a request may start, without blocking the event loop.

        Args:
            blocking: As in `acquire`.

        Returns:
            As `acquire`.
        """
        start = self._reserve(blocking=blocking)
        if start is None:
            return False
        try:
            while (delay := start - time.monotonic()) > 0:
                await asyncio.sleep(min(delay, self._window))
                start = self._move(start)
        except BaseException:
            self._cancel(start)
            raise
        return True

    def _reserve(self, *, blocking: bool) -> float | None:
        """The time at which the caller may start; `None` if it must not wait and would have to."""
        with self._lock:
            now = self._forget_old()
            start = self._earliest(len(self._starts), now)
            if start > now and not blocking:
                return None
            self._starts.append(start)
            return start

    def _move(self, start: float) -> float:
        """Compute a start again: other requests may have been cancelled, or started late."""
        with self._lock:
            self._remove(start)
            now = self._forget_old()
            behind = bisect_right(self._starts, now) if start <= now else 0
            start = self._earliest(behind or bisect_left(self._starts, start), now)
            insort(self._starts, start)
            return start

    def _cancel(self, start: float) -> None:
        with self._lock:
            self._remove(start)

    def _earliest(self, position: int, now: float) -> float:
        """The earliest start of the request at a position, after those before it."""
        before = self._starts[position - 1] if position else now
        if position >= self.max_requests:
            return max(now, before, self._starts[position - self.max_requests] + self._window)
        return max(now, before)

    def _remove(self, start: float) -> None:
        """Remove a start, unless it was removed as old because its caller waited too long."""
        position = bisect_left(self._starts, start)
        if self._starts[position : position + 1] == [start]:
            del self._starts[position]

    def _forget_old(self) -> float:
        """Remove the starts that no longer matter; return the time."""
        now = time.monotonic()
        del self._starts[: bisect_right(self._starts, now - self._window)]
        return now
