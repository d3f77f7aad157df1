"""One cell of the matrix: what must come of a fault at a point, and whether it does.

Knows LangChain's ways to ask, and what a KieError promises.
"""

from __future__ import annotations

import threading
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from call_modes import PARTIAL_CALL_MODES, STREAMING_CALL_MODES, call
from scripted_server import Scripted, ScriptedServer
from unit_tests.test_security import KEY, check_error

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
    from langchain_core.messages import AIMessage

    from faults.answers import Answer, Point
    from faults.fault import Fault

RETRIES = 2


# --- what must come of a fault ---------------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    """The outcome of a call.

    Attributes:
        classes: The error's, none where the message is that of the fault-free call.
        retries: How often the call is made again, `None` for as often as the model may.
        is_exact: Whether the message is the same in everything, usage and all.
    """

    classes: tuple[type[KieError], ...] = ()
    retries: int | None = 0
    partial: bool = False
    is_exact: bool = True


_BEFORE: dict[str, tuple[tuple[type[KieError], ...], int | None]] = {
    "ends": ((KieStreamInterruptedError, KieEmptyResponseError), None),
    "breaks": ((KieConnectionError,), None),
    "stalls": ((KieTimeoutError,), 0),
}
"""Errors of a call whose answer had not begun, and how often it is made again."""

_AFTER: dict[str, type[KieError]] = {
    "ends": KieStreamInterruptedError,
    "breaks": KieStreamInterruptedError,
    "stalls": KieTimeoutError,
}
"""Errors of a call whose answer had begun; it is never made again."""


def oracle(fault: Fault, point: Point, answer: Answer, call_mode: str) -> Expected:
    """The rule: retry before the answer began, raise until it is complete, then ignore.

    An answer has begun with its first piece that is not merely a role; a document only at its
    end. A document that ends too soon is one that cannot be read.
    """
    effect = fault.effect
    labels = [label for label, _ in point.whole(answer)]
    if effect.kind == "legal" or answer.evidence in labels:
        return Expected(is_exact=effect.kind == "legal" or labels == answer.labels())
    if [label for label in labels if label != "role"] and not answer.is_document:
        cls = effect.cls if effect.kind == "reports" else _AFTER[effect.kind]
        return Expected((cls,), 0, partial=call_mode in PARTIAL_CALL_MODES)
    if effect.kind == "reports":
        return Expected((effect.cls,), effect.again)
    kind = effect.kind
    if kind == "ends" and point.stage != "body":
        kind = "breaks"
    elif kind == "ends" and answer.is_document and point.prefix(answer):
        return Expected((KieProtocolError,), 0)
    return Expected(*_BEFORE[kind])


# --- running a cell --------------------------------------------------------------------------


_fault_free: dict[tuple[str, str], AIMessage] = {}


async def fault_free(answer: Answer, call_mode: str) -> AIMessage:
    """The message of an answer without a fault."""
    known = _fault_free.get((answer.name, call_mode))
    if known is None:
        with ScriptedServer(Scripted([answer.body])) as server:
            model = ChatKieGemini(model=answer.model, api_key=KEY, base_url=server.base_url)
            known = _fault_free[answer.name, call_mode] = await call(call_mode, model, "hi", [])
        assert known.tool_calls
    return known


async def check(
    fault: Fault, point: Point, answer: Answer, call_mode: str, slept: list[float]
) -> None:
    """Let a call meet a fault that stays, and if that is tried again, one that passes.

    Raises:
        AssertionError: Something is not as it must be.
    """
    right = await fault_free(answer, call_mode)
    expected = oracle(fault, point, answer, call_mode)
    async with AsyncExitStack() as stack:
        if fault.reach:
            fields = await stack.enter_async_context(fault.reach(answer))
            slept.clear()
            await _call(fault, answer, call_mode, fields, expected, right)
            assert len(slept) == _times(expected), f"{len(slept)} retries"
            return
        own: dict[str, Any] = {}
        if fault.is_tls:
            own = await stack.enter_async_context(clients(verify=client_tls()))
        bad, good = fault.script(answer, point), Scripted([answer.body])
        runs = [([bad] * (_times(expected) + 1), expected)]
        if _times(expected):
            runs.append(([bad], Expected()))
        for faulty, outcome in runs:
            before = [fault.before(answer, point)] if fault.before else []
            tls = server_tls() if fault.is_tls else None
            with ScriptedServer(*before, *faulty, good, tls=tls) as server:
                fields = {"base_url": server.base_url, **own}
                for _ in before:
                    await _call(fault, answer, call_mode, fields, Expected(), right)
                    threading.Event().wait(0.05)  # the server may hang up now
                slept.clear()
                await _call(fault, answer, call_mode, fields, outcome, right)
                retries = min(_times(expected), len(faulty))
                assert server.tries == len(before) + retries + 1, f"{server.tries} requests"
                assert len(slept) == retries, f"{len(slept)} retries"
                assert fault.slept is None or slept == fault.slept * retries, f"slept {slept}"
                _check_connections(server)


def _times(expected: Expected) -> int:
    """How often a call is made again that goes on to fail."""
    return RETRIES if expected.retries is None else min(RETRIES, expected.retries)


async def _call(
    fault: Fault,
    answer: Answer,
    call_mode: str,
    fields: dict[str, Any],
    expected: Expected,
    right: AIMessage,
) -> None:
    """Make one call, and see that it ends as expected."""
    options = {"model": answer.model, "api_key": KEY, "max_retries": RETRIES, "timeout": 30}
    model = ChatKieGemini(**{**options, **fault.fields, **fields})
    chunks: list[Any] = []
    try:
        message = await call(call_mode, model, fault.prompt, chunks)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at
        _check_error(error, fault, expected)
    else:
        names = [cls.__name__ for cls in expected.classes]
        assert not names, f"no error, where {names} was expected: {_told(message)}"
        if fault.check:
            fault.check(message)
        elif expected.is_exact:
            assert _whole(message) == _whole(right)
        else:
            assert _told(message) == _told(right)
    if not fault.check:
        for piece, all_of_it in zip(_told_by(chunks), _told(right), strict=True):
            assert all_of_it.startswith(piece), f"delivered {piece!r} of {all_of_it!r}"
        if call_mode in STREAMING_CALL_MODES and expected.classes:
            assert bool(chunks) == expected.partial, f"{len(chunks)} chunks"


def _check_error(error: Exception, fault: Fault, expected: Expected) -> None:
    assert expected.classes, f"{error!r}"
    assert isinstance(error, KieError), f"foreign: {error!r}"
    assert type(error) in expected.classes, f"{error!r}"
    assert error.partial == expected.partial, f"partial is {error.partial}"
    assert len(error.message) <= MAX_MESSAGE_CHARS
    if fault.effect.kind == "reports":
        assert (error.code, error.status_code) == (fault.effect.code, fault.effect.status)
    check_error(error)


def _check_connections(server: ScriptedServer) -> None:
    """No connection is left in use, neither as the server nor as the shared clients see it."""
    until = time.monotonic() + 2
    while server.busy_connections and time.monotonic() < until:
        threading.Event().wait(0.002)
    assert server.busy_connections == 0, "a connection is left open"
    shared = [_pools._shared.pools, *(c for c, _ in _pools._shared.async_pools.values())]
    pools: list[Any] = [seat.pool for pools in shared for seat in pools._seats]
    busy = [c for pool in pools for c in pool._pool.connections if not c.is_idle()]
    assert not busy, f"in use: {busy}"


def _told(message: AIMessage) -> tuple[str, str, str]:
    """The thoughts, the text and the calls of a message."""
    calls = [(call["name"], call["args"], call["id"]) for call in message.tool_calls]
    thoughts = [b["reasoning"] for b in message.content_blocks if b["type"] == "reasoning"]
    return "".join(thoughts), message.text, orjson.dumps(calls).decode()


def _told_by(chunks: list[Any]) -> tuple[str, str, str]:
    """The thoughts and the text of chunks; their calls are only begun."""
    thoughts = [chunk.additional_kwargs.get("reasoning_content", "") for chunk in chunks]
    return "".join(thoughts), "".join(chunk.text for chunk in chunks), ""


def _whole(message: AIMessage) -> dict[str, Any]:
    """All of a message but the id of its run."""
    return {**message.model_dump(), "id": None}
