"""What objects with the same key share in a process: KIE's list of models, and the rate limit.

Knows time and threads. Knows nothing of requests.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from langchain_kie._shared_work import PerProcess, SharedWork
from langchain_kie._warnings import warn
from langchain_kie.rate_limiter import KieRateLimiter

if TYPE_CHECKING:
    from langchain_kie._account.answers import KieListedModel
    from langchain_kie.errors import KieError

logger = logging.getLogger(__name__)

_STALE_SECONDS = 60.0
"""How long an old list is used, before it is read again, if KIE could not send a new one."""

_MAX_ACCOUNTS = 64
"""How many accounts are remembered; the oldest are forgotten first."""


@dataclass(frozen=True, slots=True)
class ModelList:
    """A list of models.

    Attributes:
        models: The models.
        read_at: When it was read, by the monotonic clock.
        seconds: How long after that it is used without reading it again.
    """

    models: tuple[KieListedModel, ...]
    seconds: float
    read_at: float = field(default_factory=lambda: time.monotonic())  # noqa: PLW0108 - for tests


class ModelLists(SharedWork[str, ModelList]):
    """The list of models of each account."""

    def __init__(self) -> None:
        super().__init__()
        self._stored: dict[str, ModelList] = {}

    def find(self, key: str) -> ModelList | None:
        """The stored list, if it is not too old."""
        listing = self._stored.get(key)
        is_fresh = listing and time.monotonic() < listing.read_at + listing.seconds
        return listing if is_fresh else None

    def store(self, key: str, value: ModelList) -> None:
        """Remember a list."""
        self._stored.pop(key, None)
        self._stored[key] = value
        _forget_oldest(self._stored)

    def expire(self, key: str) -> None:
        """Make the next call read the list."""
        with self.lock:
            if listing := self._stored.get(key):
                self._stored[key] = replace(listing, seconds=0.0)

    def old(self, key: str, error: KieError) -> ModelList:
        """The list that was read before, with a warning; it is used for another minute.

        Raises:
            KieError: There is none.
        """
        with self.lock:
            listing = self._stored.get(key)
        if listing is None:
            raise error
        age = time.monotonic() - listing.read_at
        message = f"KIE's list of models is {age:.0f} s old, because reading it failed: {error}"
        logger.warning(message)
        warn(message)
        return replace(listing, seconds=age + _STALE_SECONDS)


class ProcessState:
    """What the accounts of this process share."""

    def __init__(self) -> None:
        self.listings = ModelLists()
        self._lock = threading.Lock()
        self._limiters: dict[str, KieRateLimiter] = {}

    def limiter_of(self, account: str) -> KieRateLimiter:
        """The limiter of an account."""
        with self._lock:
            limiter = self._limiters.setdefault(account, KieRateLimiter(1, 1.0, margin=0.1))
            _forget_oldest(self._limiters)
            return limiter


def _forget_oldest(stored: dict[str, Any]) -> None:
    if len(stored) > _MAX_ACCOUNTS:
        del stored[next(iter(stored))]


process = PerProcess(ProcessState)
