"""What the workers of a run share: the answers on disk, the rate limit, and whether to stop.

Depends on SQLite and asyncio; independent of Ray.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from langchain_kie import KieRateLimiter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LOCK_SECONDS = 60.0
"""How long a run waits until the workers of one that was killed have ended."""
_TABLE = """
CREATE TABLE IF NOT EXISTS calls (
    document TEXT NOT NULL,
    answer TEXT,   -- NULL if the call failed
    error TEXT,    -- both are NULL if the call started, and its end is unknown
    credits TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS answers ON calls (document) WHERE answer IS NOT NULL;
"""
_WRITE_END = """
INSERT INTO calls (rowid, document, answer, error, credits) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (rowid) DO UPDATE
SET answer = excluded.answer, error = excluded.error, credits = excluded.credits
"""


@dataclass(frozen=True)
class Progress:
    """The state of a run.

    Attributes:
        answered: How many documents were answered in this run.
        failed: How many documents could not be answered.
        skipped: How many documents had been answered by earlier runs.
        stop_reason: Why the run ends before all documents were sent; `None` if it does not.
        total_answers: The answers on disk, of all runs.
        total_credits: What KIE charged in all runs, without the lost calls.
        total_lost: The calls of all runs that started and whose end is unknown: the run was
            killed. KIE may have charged them.
    """

    answered: int
    failed: int
    skipped: int
    stop_reason: str | None
    total_answers: int
    total_credits: float
    total_lost: int

    @property
    def processed(self) -> int:
        """How many documents need nothing more in this run."""
        return self.answered + self.failed + self.skipped


class StoppedError(Exception):
    """The run stops, and none of its calls are in flight."""


class SharedRun:
    """The state of a run; Ray makes an actor of it.

    Args:
        path: The SQLite file. Only one run at a time can use it.
        max_requests: How many requests may start in a period.
        period: The period, in seconds.
        margin: Seconds that are added to the period, because a busy worker starts late.

    Raises:
        sqlite3.OperationalError: Another run uses the file.
    """

    def __init__(
        self, path: Path, max_requests: int = 20, period: float = 10.0, *, margin: float = 1.0
    ) -> None:
        self._limiter = KieRateLimiter(max_requests, period, margin=margin)
        self._waiting: set[asyncio.Future[bool]] = set()
        self._answered: set[str] = set()
        self._failed: set[str] = set()
        self._skipped: set[str] = set()
        self._stop_reason: str | None = None
        self._running: dict[str, int | None] = {}
        """The rows of the documents that are in flight."""
        self._nothing_runs = asyncio.Event()
        # Ray calls an actor's constructor in another thread than its methods.
        self._database = sqlite3.connect(path, timeout=_LOCK_SECONDS, check_same_thread=False)
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("BEGIN EXCLUSIVE")
        for statement in _TABLE.split(";\n"):
            self._database.execute(statement)
        self._database.commit()
        query = "SELECT answer, answer IS NULL AND error IS NULL, credits FROM calls"
        with closing(self._database.execute(query)) as rows:
            calls = rows.fetchall()
        self._total_answers = sum(answer is not None for answer, _, _ in calls)
        self._total_lost = sum(is_lost for _, is_lost, _ in calls)
        self._total_credits = sum((Decimal(amount) for _, _, amount in calls), Decimal(0))

    async def missing(self, documents: Sequence[str]) -> list[str]:
        """Select the documents that have no answer; the others count as skipped.

        Args:
            documents: The ids of documents: a batch, which one worker has at a time.

        Raises:
            StoppedError: The run stops; raised when the calls of all workers have ended, because
                Ray then kills them.
        """
        for name in documents:
            self._total_lost += name in self._running  # its worker was killed
            self._end(name)
        if self._stop_reason:
            await self._nothing_runs.wait()
            raise StoppedError(self._stop_reason)
        query = "SELECT 1 FROM calls WHERE document = ? AND answer IS NOT NULL"
        done = {name for name in documents if self._database.execute(query, [name]).fetchone()}
        # Ray repeats the batch of a worker that was killed, so some may be answers of this run.
        self._skipped |= done - self._answered
        return [name for name in documents if name not in done]

    async def may_start(self, document: str) -> bool:
        """Wait until a request may start, and write to disk that it does.

        Args:
            document: The id of its document.

        Returns:
            Whether it may; `False` once the run stops.
        """
        if self._stop_reason:
            return False
        turn = asyncio.ensure_future(self._limiter.aacquire())
        self._waiting.add(turn)
        try:
            await asyncio.wait([turn])
        finally:
            self._waiting.discard(turn)
            turn.cancel()
        if self._stop_reason:
            return False
        with self._database:
            row = (document, None, None, "0")
            cursor = self._database.execute("INSERT INTO calls VALUES (?, ?, ?, ?)", row)
        self._running[document] = cursor.lastrowid
        return True

    async def stop(self, reason: str) -> None:
        """Let no further request start; those that run are completed and stored.

        Args:
            reason: Why. The first one counts.
        """
        self._stop_reason = self._stop_reason or reason
        for turn in self._waiting:
            turn.cancel()
        self._check_end()

    async def add_answer(self, document: str, answer: str, credits_consumed: float) -> None:
        """Write an answer to disk; it is there when this returns.

        Args:
            document: The id of the document.
            answer: The answer.
            credits_consumed: What KIE charged.
        """
        self._write(document, answer, None, credits_consumed)
        self._answered.add(document)
        self._failed.discard(document)

    async def add_error(
        self, document: str, error: str, credits_consumed: float, *, stop: bool
    ) -> None:
        """Write a failure to disk; the next run asks again.

        Args:
            document: The id of the document.
            error: The text of the error.
            credits_consumed: What KIE charged.
            stop: Whether every other call would fail, too: then no further request starts.
        """
        self._write(document, None, error, credits_consumed)
        self._failed.add(document)
        if stop:
            await self.stop(error)

    async def progress(self) -> Progress:
        """Read the state, with the totals of all runs."""
        return Progress(
            answered=len(self._answered),
            failed=len(self._failed),
            skipped=len(self._skipped),
            stop_reason=self._stop_reason,
            total_answers=self._total_answers,
            total_credits=float(self._total_credits),
            total_lost=self._total_lost,
        )

    def _write(
        self, document: str, answer: str | None, error: str | None, credits_consumed: float
    ) -> None:
        row = (self._running.get(document), document, answer, error, str(credits_consumed))
        with self._database:
            self._database.execute(_WRITE_END, row)
        self._end(document)
        self._total_answers += answer is not None
        self._total_credits += Decimal(str(credits_consumed))

    def _end(self, document: str) -> None:
        self._running.pop(document, None)
        self._check_end()

    def _check_end(self) -> None:
        if self._stop_reason and not self._running:
            self._nothing_runs.set()
