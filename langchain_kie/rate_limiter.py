"""KIE's limit of requests, as a LangChain rate limiter for one process.

Knows time, threads and asyncio. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from langchain_core.rate_limiters import BaseRateLimiter

from langchain_kie.errors import KieConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator


class KieRateLimiter(BaseRateLimiter):
    """Lets at most 20 requests start in any 10 seconds, as KIE does for an account.

    Up to `max_requests` start at once; each later one waits, in the order of arrival, until the
    one that came `max_requests` before it is `period` old. It waits with one sleep. A waiting
    call that is cancelled gives its turn back.

    Share one limiter between all models that use the same account. It works in one process, in
    threads and event loops together; docs/failures.md has one for several processes. Copies of
    a model share its limiter; a pickled model gets a new one with the same limits.

    Example:
        ```python
        from langchain_kie import ChatKieGemini, KieRateLimiter

        model = ChatKieGemini(model="gemini-3.5-flash", rate_limiter=KieRateLimiter())
        model.batch(["One.", "Two.", "Three."])
        ```

    Args:
        max_requests: How many requests may start in a period, 1 or more.
        period: The period, in seconds above 0.
        margin: Seconds, 0 or more, that are added to the period, because some requests need
            longer than others to arrive at KIE.

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
        self._lock = threading.Lock()
        self._starts: deque[float] = deque()
        """When the last requests started or will start, in ascending order."""

    def __repr__(self) -> str:
        """Show the limits."""
        return f"KieRateLimiter({self.max_requests}, {self.period}, margin={self.margin})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the limits only."""
        return _new, (self.max_requests, self.period, self.margin)

    def __copy__(self) -> KieRateLimiter:
        """Share the limiter: the limit is that of the account."""
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> KieRateLimiter:
        """Share the limiter, likewise."""
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
        with self._returning_unused(start):
            while (delay := start - time.monotonic()) > 0:
                time.sleep(delay)
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
        with self._returning_unused(start):
            while (delay := start - time.monotonic()) > 0:  # noqa: ASYNC110 - no event, a time
                await asyncio.sleep(delay)
        return True

    def _reserve(self, *, blocking: bool) -> float | None:
        """The time at which the caller may start; `None` if it must not wait and would have to."""
        with self._lock:
            now = time.monotonic()
            starts, window = self._starts, self.period + self.margin
            while starts and starts[0] <= now - window:
                starts.popleft()
            start = now
            if len(starts) >= self.max_requests:
                start = max(starts[-self.max_requests] + window, starts[-1])
            elif starts:
                start = max(now, starts[-1])
            if start > now and not blocking:
                return None
            starts.append(start)
            return start

    @contextmanager
    def _returning_unused(self, start: float) -> Iterator[None]:
        """Give the turn back if the wait is interrupted."""
        try:
            yield
        except BaseException:
            with self._lock:
                if start in self._starts:
                    self._starts.remove(start)
            raise


def _new(max_requests: int, period: float, margin: float) -> KieRateLimiter:
    return KieRateLimiter(max_requests, period, margin=margin)
