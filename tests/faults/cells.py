"""One cell of the matrix: the expected outcome of a fault at a point, and whether it happens.

Knows LangChain's call modes and what `KieError` documents.
"""

from __future__ import annotations

import threading
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import orjson
from call_modes import PARTIAL_CALL_MODES, STREAMING_CALL_MODES, call
from key_leaks import SECRET_KEY, check_error
from scripted_server import Scripted, ScriptedServer

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
    from collections.abc import Callable

    from langchain_core.messages import AIMessage

    from faults.answers import Answer, Point
    from faults.fault import Fault

MAX_RETRIES = 2
MAX_WAIT = 20.0
"""Seconds in which the server notices the end of a connection even on a busy machine."""


# --- the expected outcome --------------------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    """The outcome of a call.

    Attributes:
        classes: The possible classes of the error; none for the fault-free message.
        retries: How often the call is retried, `None` for as often as the model allows.
        partial: Whether the error is partial.
        is_exact: Whether the message equals the fault-free one in everything, usage included.
    """

    classes: tuple[type[KieError], ...] = ()
    retries: int | None = 0
    partial: bool = False
    is_exact: bool = True


_BEFORE_FIRST_ITEM: dict[str, tuple[tuple[type[KieError], ...], int | None]] = {
    "ends": ((KieStreamInterruptedError, KieEmptyResponseError), None),
    "breaks": ((KieConnectionError,), None),
    "stalls": ((KieTimeoutError,), 0),
}
"""Errors before the first item, and their retries."""

_AFTER_FIRST_ITEM: dict[str, type[KieError]] = {
    "ends": KieStreamInterruptedError,
    "breaks": KieStreamInterruptedError,
    "stalls": KieTimeoutError,
}
"""Errors after the first item, which are never retried."""


def expected_outcome(fault: Fault, point: Point, answer: Answer, call_mode: str) -> Expected:
    """Retry before the first item, raise until the answer is complete, then ignore the fault.

    The first item of a stream is its first piece that is not only a role; the one of a document
    is the document. A truncated document cannot be parsed.
    """
    effect = fault.effect
    labels = [label for label, _ in point.complete_pieces(answer)]
    if effect.kind == "legal" or answer.evidence in labels:
        return Expected(is_exact=effect.kind == "legal" or labels == answer.labels())
    if [label for label in labels if label != "role"] and not answer.is_document:
        cls = effect.cls if effect.kind == "reports" else _AFTER_FIRST_ITEM[effect.kind]
        return Expected((cls,), 0, partial=call_mode in PARTIAL_CALL_MODES)
    if effect.kind == "reports":
        return Expected((effect.cls,), effect.retries)
    kind = effect.kind
    if kind == "ends" and point.stage != "body":
        kind = "breaks"
    elif kind == "ends" and answer.is_document and point.prefix(answer):
        return Expected((KieProtocolError,), 0)
    return Expected(*_BEFORE_FIRST_ITEM[kind])


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


async def check(
    fault: Fault,
    point: Point,
    answer: Answer,
    call_mode: str,
    delays: list[float],
    seconds: float,
) -> None:
    """Check a call with a permanent fault, and if it is retried, one with a passing fault.

    A call that should time out does so after so many `seconds`.

    Raises:
        AssertionError: The outcome, or the waits in `delays`, are not the expected ones.
    """
    right = await fault_free(answer, call_mode)
    expected = expected_outcome(fault, point, answer, call_mode)
    retries = MAX_RETRIES if expected.retries is None else min(MAX_RETRIES, expected.retries)
    timeout = httpx.Timeout(30, **{fault.times_out: seconds} if fault.times_out else {})
    fields: dict[str, Any] = {"timeout": timeout}
    run = partial(_call, fault, answer, call_mode, right)
    async with AsyncExitStack() as stack:
        if fault.reach:
            fields |= await stack.enter_async_context(fault.reach(answer))
            delays.clear()
            await run(fields, expected)
            assert len(delays) == retries, f"{len(delays)} retries"
            return
        if fault.is_tls:
            fields |= await stack.enter_async_context(clients(verify=client_tls()))
        bad, good = fault.script(answer, point), Scripted([answer.body])
        before = [fault.before(answer, point)] if fault.before else []
        tls = server_tls() if fault.is_tls else None
        for failures, outcome in ((retries + 1, expected), (1, Expected()))[: 1 + bool(retries)]:
            with ScriptedServer(*before, *[bad] * failures, good, tls=tls) as server:
                fields["base_url"] = server.base_url
                for earlier in before:
                    await run(fields, Expected())
                    if earlier.ending == "hang-up":
                        _wait_until(lambda server=server: not server.open_connections)
                delays.clear()
                await run(fields, outcome)
                done = min(retries, failures)
                assert server.tries == len(before) + done + 1, f"{server.tries} requests"
                assert len(delays) == done, f"{len(delays)} retries"
                assert fault.delays is None or delays == fault.delays * done, f"waited {delays}"
                _check_connections(server)


async def _call(
    fault: Fault,
    answer: Answer,
    call_mode: str,
    right: AIMessage,
    fields: dict[str, Any],
    expected: Expected,
) -> None:
    """Make one call, and check that it ends as expected."""
    options = {"model": answer.model, "api_key": SECRET_KEY, "max_retries": MAX_RETRIES}
    model = ChatKieGemini(**options, **fields)
    chunks: list[Any] = []
    try:
        message = await call(call_mode, model, fault.prompt, chunks)
    except Exception as error:  # noqa: BLE001 - other errors fail the check
        _check_error(error, fault, expected)
    else:
        names = [cls.__name__ for cls in expected.classes]
        assert not names, f"expected {names}, got {_content(message)}"
        if fault.check:
            fault.check(message)
        elif expected.is_exact:
            assert _without_id(message) == _without_id(right)
        else:
            assert _content(message) == _content(right)
    if not fault.check:
        for delivered, complete in zip(_content_of_chunks(chunks), _content(right), strict=True):
            assert complete.startswith(delivered), f"delivered {delivered!r} of {complete!r}"
        if call_mode in STREAMING_CALL_MODES and expected.classes:
            assert bool(chunks) == expected.partial, f"{len(chunks)} chunks"


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
    of_loops = [pools for pools, _ in _pools._process.of_loops.values()]
    slots = [slot for pools in (_pools._process.of_threads, *of_loops) for slot in pools._slots]
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
