"""What objects with the same key share in a process: KIE's list of models, and the rate limit.

Depends on time and threads; independent of requests.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from langchain_kie._shared_work import PerProcess, SharedWork
from langchain_kie._warnings import warn
from langchain_kie.rate_limiter import KieRateLimiter

if TYPE_CHECKING:
    from langchain_kie._account.answers import KieListedModel
    from langchain_kie.errors import KieError

logger = logging.getLogger(__name__)

_STALE_SECONDS = 60.0
"""If reading the list fails, the old one is used for this long before the next attempt."""

_MAX_ACCOUNTS = 64
"""How many accounts are stored; the oldest are evicted first."""


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
        super().__init__(
            lambda listing: time.monotonic() < listing.read_at + listing.seconds, _MAX_ACCOUNTS
        )

    def expire(self, key: str) -> None:
        """Make the next call read the list."""
        with self.lock:
            if listing := self.results.get(key):
                self.results[key] = replace(listing, seconds=0.0)

    def old(self, key: str, error: KieError) -> ModelList:
        """The list that was read before, with a warning; it is used for another minute.

        Raises:
            KieError: No list was read before; it is `error`.
        """
        with self.lock:
            listing = self.results.get(key)
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
        self._limiters: SharedWork[str, KieRateLimiter] = SharedWork(lambda _: True, _MAX_ACCOUNTS)

    def limiter_of(self, account: str) -> KieRateLimiter:
        """The limiter of an account."""
        return self._limiters.run(account, lambda: KieRateLimiter(1, 1.0, margin=0.1))


process = PerProcess(ProcessState)
