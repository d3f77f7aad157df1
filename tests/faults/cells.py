"""One cell of the matrix: the expected outcome of a fault at a point, and whether it happens.

Depends on LangChain's call modes and on what `KieError` documents.
"""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import orjson
from call_modes import PARTIAL_CALL_MODES, STREAMING_CALL_MODES, call
from key_leaks import SECRET_KEY, check_error
from limits import MAX_WAIT
from scripted_server import Scripted, ScriptedServer

from faults.answers import TEXT
from faults.network import client_tls, clients, server_tls
from langchain_kie import (
    ChatKieGemini,
    KieConnectionError,
    KieEmptyResponseError,
    KieError,
    KieProtocolError,
    KieStreamInterruptedError,
    KieTimeoutError,
)
from langchain_kie._http import pools as _pools
from langchain_kie.errors import MAX_MESSAGE_CHARS

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from langchain_core.messages import AIMessage

    from faults.answers import Answer, Point
    from faults.fault import Effect, Fault

MAX_RETRIES = 2


# --- the expected outcome --------------------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    """The outcome of a call.

    Attributes:
        classes: The possible classes of the error; none for the fault-free message.
        retries: How often the call is retried, `None` for as often as the model allows.
        partial: Whether the error is partial.
        is_exact: Whether the message equals the fault-free one in everything, usage included.
        is_paused: Whether the message ends at an intermediate finish reason.
    """

    classes: tuple[type[KieError], ...] = ()
    retries: int | None = 0
    partial: bool = False
    is_exact: bool = True
    is_paused: bool = False


_BEFORE_FIRST_ITEM: dict[str, tuple[tuple[type[KieError], ...], int | None]] = {
    "ends": ((KieStreamInterruptedError, KieEmptyResponseError), None),
    "breaks": ((KieConnectionError,), None),
    "stalls": ((KieTimeoutError,), 0),
}
"""Errors before the first item, and their retries."""

_IN_FIRST_ITEM = {
    **_BEFORE_FIRST_ITEM,
    **dict.fromkeys(("ends", "breaks"), ((KieStreamInterruptedError,), 0)),
}
"""The same inside the first item, a part of which may have been billed."""

_AFTER_FIRST_ITEM: dict[str, type[KieError]] = {
    "ends": KieStreamInterruptedError,
    "breaks": KieStreamInterruptedError,
    "stalls": KieTimeoutError,
}
"""Errors after the first item, which are never retried."""


def expected_outcome(fault: Fault, point: Point, answer: Answer, call_mode: str) -> Expected:
    """Retry before the first item, raise until the answer is complete, then ignore the fault.

    The first item of a stream is its first piece that is not only a role; the one of a document
    is the document. A role, and a part of the first item, may have been billed, so that a response
    that ends after them is not retried. A truncated document cannot be parsed.
    """
    effect = fault.effect
    labels = [label for label, _ in point.complete_pieces(answer)]
    if point.unterminated and effect.kind == "ends":
        labels.append(answer.evidence)
    if labels[-1:] == ["pause"] and effect.kind in _AFTER_FIRST_ITEM:
        return Expected(is_paused=True)
    if effect.kind == "legal" or answer.evidence in labels:
        return Expected(is_exact=effect.kind == "legal" or labels == answer.labels())
    if [label for label in labels if label != "role"] and not answer.is_document:
        cls = effect.cls if effect.kind == "reports" else _AFTER_FIRST_ITEM[effect.kind]
        return Expected((cls,), 0, partial=call_mode in PARTIAL_CALL_MODES)
    return _before_first_item(effect, point, answer)


def _before_first_item(effect: Effect, point: Point, answer: Answer) -> Expected:
    if effect.kind == "reports":
        return Expected((effect.cls,), effect.retries)
    kind = effect.kind
    if kind == "ends" and point.stage != "body":
        kind = "breaks"
    elif kind == "ends" and answer.is_document and point.prefix(answer):
        return Expected((KieProtocolError,), 0)
    is_started = answer.is_document or point.inside or point.complete_pieces(answer)
    is_cut = point.stage == "body" and is_started and point.prefix(answer)
    return Expected(*(_IN_FIRST_ITEM if is_cut else _BEFORE_FIRST_ITEM)[kind])


# --- running a cell --------------------------------------------------------------------------


_fault_free: dict[tuple[str, str], AIMessage] = {}


async def fault_free(answer: Answer, call_mode: str) -> AIMessage:
    """Return the message of an answer without a fault."""
    message = _fault_free.get((answer.name, call_mode))
    if message is None:
        with ScriptedServer(Scripted([answer.body])) as server:
            settings = {"model": answer.model, "api_key": SECRET_KEY, "base_url": server.base_url}
            message = await call(call_mode, ChatKieGemini(**settings), "hi", [])
        _fault_free[answer.name, call_mode] = message
        assert message.tool_calls
    return message


@dataclass(frozen=True)
class Cell:
    """One call that a fault strikes.

    Attributes:
        fault: The fault.
        point: Where it strikes.
        answer: The answer that it strikes.
        call_mode: How the model is called.
        right: The fault-free message.
        delays: The recorded waits before retries.
        seconds: Seconds after which a call that should time out does so.
    """

    fault: Fault
    point: Point
    answer: Answer
    call_mode: str
    right: AIMessage
    delays: list[float]
    seconds: float

    async def check(self) -> None:
        """Check a call with a permanent fault, and if it is retried, one with a passing fault.

        Raises:
            AssertionError: The outcome is not the expected one.
        """
        fault, answer = self.fault, self.answer
        expected = expected_outcome(fault, self.point, answer, self.call_mode)
        retries = MAX_RETRIES if expected.retries is None else min(MAX_RETRIES, expected.retries)
        if fault.reach:
            async with fault.reach(answer) as fields:
                await self._call(fields, expected)
            assert len(self.delays) == retries, f"{len(self.delays)} retries"
            return
        bad, good = fault.script(answer, self.point), Scripted([answer.body])
        tls = server_tls() if fault.is_tls else None
        async with clients(verify=client_tls()) if tls else nullcontext({}) as fields:
            script = [*[bad] * (retries + 1), good]
            await self._check_server(script, tls, fields, expected, retries)
            if retries:
                await self._check_server([bad, good], tls, fields, Expected(), 1)

    async def _check_server(
        self,
        script: list[Scripted],
        tls: ssl.SSLContext | None,
        fields: dict[str, Any],
        expected: Expected,
        retries: int,
    ) -> None:
        """Check a call to a server with a script, after an earlier call if the fault has one."""
        before = [self.fault.before(self.answer, self.point)] if self.fault.before else []
        with ScriptedServer(*before, *script, tls=tls) as server:
            fields = {"base_url": server.base_url, **fields}
            for earlier in before:
                await self._call(fields, Expected())
                if earlier.ending == "hang-up":
                    _wait_until(lambda: not server.open_connections)
            await self._call(fields, expected)
            assert server.tries == len(before) + retries + 1, f"{server.tries} requests"
            assert len(self.delays) == retries, f"{len(self.delays)} retries"
            if self.fault.delays is not None:
                assert self.delays == self.fault.delays * retries, f"waited {self.delays}"
            _check_connections(server)

    async def _call(self, fields: dict[str, Any], expected: Expected) -> None:
        """Make one call, and check that it ends as expected."""
        timeout: dict[str, float] = {}
        if self.fault.times_out:
            timeout[self.fault.times_out] = self.seconds
        options = {"model": self.answer.model, "api_key": SECRET_KEY, "max_retries": MAX_RETRIES}
        model = ChatKieGemini(**{**options, "timeout": httpx.Timeout(30, **timeout), **fields})
        chunks: list[Any] = []
        self.delays.clear()
        try:
            message = await call(self.call_mode, model, self.fault.prompt, chunks)
        except Exception as error:  # noqa: BLE001 - other errors fail the check
            _check_error(error, self.fault, expected)
        else:
            self._check_message(message, expected)
        if not self.fault.check:
            delivered = zip(_content_of_chunks(chunks), _content(self.right), strict=True)
            for part, complete in delivered:
                assert complete.startswith(part), f"delivered {part!r} of {complete!r}"
            if self.call_mode in STREAMING_CALL_MODES and expected.classes:
                assert bool(chunks) == expected.partial, f"{len(chunks)} chunks"

    def _check_message(self, message: AIMessage, expected: Expected) -> None:
        names = [cls.__name__ for cls in expected.classes]
        assert not names, f"expected {names}, got {_content(message)}"
        if self.fault.check:
            self.fault.check(message)
        elif expected.is_paused:
            (thoughts, text, calls), right = _content(message), _content(self.right)
            assert (thoughts, calls) == (right[0], "[]")
            assert text == "".join(TEXT)
        elif expected.is_exact:
            assert _without_id(message) == _without_id(self.right)
        else:
            assert _content(message) == _content(self.right)


def _check_error(error: Exception, fault: Fault, expected: Expected) -> None:
    assert expected.classes, f"{error!r}"
    assert isinstance(error, KieError), f"not a KieError: {error!r}"
    assert type(error) in expected.classes, f"{error!r}"
    assert error.partial == expected.partial, f"partial is {error.partial}"
    assert len(error.message) <= MAX_MESSAGE_CHARS
    if fault.effect.kind == "reports":
        assert (error.code, error.status_code) == (fault.effect.code, fault.effect.status)
    check_error(error)


def _check_connections(server: ScriptedServer) -> None:
    """Check that no connection is left in use, on the server and in the shared pools."""
    _wait_until(lambda: not server.busy_connections)
    assert server.busy_connections == 0, "a connection is left open"
    process = _pools._process.value
    of_loops = [pools for pools, _ in process.of_loops.values()]
    slots = [slot for pools in (process.of_threads, *of_loops) for slot in pools._slots]
    transports: list[Any] = [slot.pool for slot in slots]
    busy = [c for pool in transports for c in pool._pool.connections if not c.is_idle()]
    assert not busy, f"in use: {busy}"


def _wait_until(condition: Callable[[], bool]) -> None:
    """Block until a thread of the server makes the condition true, at most `MAX_WAIT`."""
    deadline = time.monotonic() + MAX_WAIT
    while not condition() and time.monotonic() < deadline:
        threading.Event().wait(0.002)


def _content(message: AIMessage) -> tuple[str, str, str]:
    """Return the thoughts, the text and the tool calls of a message."""
    calls = [(call["name"], call["args"], call["id"]) for call in message.tool_calls]
    thoughts = [b["reasoning"] for b in message.content_blocks if b["type"] == "reasoning"]
    return "".join(thoughts), message.text, orjson.dumps(calls).decode()


def _content_of_chunks(chunks: list[Any]) -> tuple[str, str, str]:
    """Return the thoughts and the text of chunks, without their incomplete tool calls."""
    thoughts = [chunk.additional_kwargs.get("reasoning_content", "") for chunk in chunks]
    return "".join(thoughts), "".join(chunk.text for chunk in chunks), ""


def _without_id(message: AIMessage) -> dict[str, Any]:
    """Return the fields of a message without the id, which each run generates."""
    return {**message.model_dump(), "id": None}
