"""What the threads and event loops of a process share: values, and work that is done once.

Depends on threads and asyncio; independent of what the work is.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


class PerProcess(Generic[ValueT]):
    """A value that a forked process does not share with its parent, but creates again.

    It may hold connections, which two processes must not use at once, and locks or work of
    threads that do not exist in the new process.

    Args:
        create: Creates the value.

    Attributes:
        value: The value of this process.
    """

    def __init__(self, create: Callable[[], ValueT]) -> None:
        self._create = create
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self.value = self._create()


class _AbandonedError(Exception):
    """The task that did the work was cancelled; one of the waiting callers must do it."""


@dataclass(slots=True, eq=False)
class _Pending(Generic[ValueT]):
    """Work in progress.

    Attributes:
        loop: The event loop of the working task, `None` for a thread.
        future: Set when the work ends.
    """

    loop: asyncio.AbstractEventLoop | None
    future: Future[ValueT] = field(default_factory=Future)

    def can_be_awaited_from(self, loop: asyncio.AbstractEventLoop | None) -> bool:
        """Whether the work goes on while the caller waits: its event loop must not be blocked."""
        if self.loop is None or self.loop is loop:
            return True
        # The public `get_running_loop` raises where no loop runs (Python 3.11 to 3.14). The private
        # function can be replaced when there is a public one that returns `None`.
        return self.loop.is_running() and self.loop is not asyncio._get_running_loop()  # noqa: SLF001


class SharedWork(Generic[KeyT, ValueT]):
    """Does the work for each key once; callers that come meanwhile wait for its result.

    Args:
        is_current: Whether a stored result can still be used.
        max_results: How many results are stored; the oldest are evicted first.

    Attributes:
        lock: Guards the results and the work.
        results: The stored results, the oldest first.
    """

    def __init__(self, is_current: Callable[[ValueT], bool], max_results: int) -> None:
        self.lock = threading.Lock()
        self.results: dict[KeyT, ValueT] = {}
        self.pending: dict[KeyT, _Pending[ValueT]] = {}
        self._is_current = is_current
        self._max_results = max_results

    def run(self, key: KeyT, work: Callable[[], ValueT]) -> ValueT:
        """Return the stored result, or the one of `work`, of this call or another."""
        while True:
            pending, is_mine = self.get_or_start(key, None)
            with suppress(_AbandonedError):
                if is_mine:
                    with self.performing(key, pending) as done:
                        done.append(work())
                return pending.future.result()

    async def arun(self, key: KeyT, work: Callable[[], Awaitable[ValueT]]) -> ValueT:
        """As `run`, without blocking the event loop."""
        while True:
            pending, is_mine = self.get_or_start(key, asyncio.get_running_loop())
            with suppress(_AbandonedError):
                if is_mine:
                    with self.performing(key, pending) as done:
                        done.append(await work())
                return await asyncio.shield(asyncio.wrap_future(pending.future))

    def get_or_start(
        self, key: KeyT, loop: asyncio.AbstractEventLoop | None
    ) -> tuple[_Pending[ValueT], bool]:
        """The work for a key, and whether the caller has to do it.

        Args:
            key: What the work is for.
            loop: The caller's running event loop, `None` if the caller blocks its thread.
        """
        with self.lock:
            pending = self.pending.get(key)
            if pending and pending.can_be_awaited_from(loop):
                return pending, False
            pending = _Pending(loop)
            value = self.results.get(key)
            if value is not None and self._is_current(value):
                pending.future.set_result(value)
                return pending, False
            self.pending[key] = pending
            return pending, True

    @contextmanager
    def performing(self, key: KeyT, pending: _Pending[ValueT]) -> Iterator[list[ValueT]]:
        """Wrap the work: the caller appends the result; those that wait get it, or the error."""
        done: list[ValueT] = []
        error: Exception = _AbandonedError()
        try:
            yield done
        except Exception as failure:
            error = failure
            raise
        finally:
            with self.lock:
                if self.pending.get(key) is pending:
                    del self.pending[key]
                if done:
                    self.results.pop(key, None)
                    self.results[key] = done[0]
                    if len(self.results) > self._max_results:
                        del self.results[next(iter(self.results))]
            if done:
                pending.future.set_result(done[0])
            else:
                pending.future.set_exception(error)
