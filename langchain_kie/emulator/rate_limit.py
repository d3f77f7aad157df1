"""The limit of requests in a period of time."""

from __future__ import annotations

from collections import deque


class RateLimit:
    """Accepts at most `requests` requests in any `seconds`; rejected ones do not count."""

    def __init__(self, requests: int, seconds: float) -> None:
        self._seconds = seconds
        self._accepted: deque[float] = deque(maxlen=requests)

    def accepts(self, now: float) -> bool:
        """Count a request at the time `now`, unless it is one too many."""
        is_full = len(self._accepted) == self._accepted.maxlen
        if is_full and now - self._accepted[0] < self._seconds:
            return False
        self._accepted.append(now)
        return True
