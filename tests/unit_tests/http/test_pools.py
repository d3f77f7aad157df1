"""Connections and pools after a call was read, left, cancelled or failed: none stays in use."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from call_modes import BASIC_CALL_MODES, ainvoke, fixture, model_at, server_sending
from faults.network import client_tls
from langchain_core.callbacks import BaseCallbackHandler
from limits import MAX_WAIT
from scripted_server import Scripted, ScriptedServer, sse

from langchain_kie import ChatKieGemini, KieError
from langchain_kie._http import pools as _pools
from unit_tests.loopback import TEXT_EVENTS, all_closed, until

if TYPE_CHECKING:
    from collections.abc import Callable

COMPLETION = fixture("chat_completion.json")
STALLED_TEXT = Scripted(TEXT_EVENTS, ending="stall")


def slots() -> list[Any]:
    """Return the slots of the shared pools, of threads and of every event loop."""
    process = _pools._process.value
    of_loops = [pools for pools, _ in process.of_loops.values()]
    return [slot for pools in (process.of_threads, *of_loops) for slot in pools._slots]


def in_use() -> list[Any]:
    """Return the slots with calls and the connections with requests."""
    connections = [c for slot in slots() for c in slot.pool._pool.connections]
    return [*(s for s in slots() if s.calls), *(c for c in connections if not c.is_idle())]


# --- streams that are not read to the end -----------------------------------------------------


async def test_a_stream_that_is_left_early_is_closed() -> None:
    with ScriptedServer(STALLED_TEXT) as server:
        for _ in range(20):
            for chunk in model_at(server).stream("hi"):
                assert "abc".startswith(chunk.text)
                break
        await all_closed(server)


def test_a_child_that_ends_a_stream_of_its_parent_leaves_the_pools_alone(monkeypatch) -> None:
    parent, child = _pools._ProcessPools(), _pools._ProcessPools()
    with ScriptedServer(STALLED_TEXT) as server:
        monkeypatch.setattr(_pools._process, "value", parent)
        stream = model_at(server).stream("hi")
        next(stream)
        monkeypatch.setattr(_pools._process, "value", child)
        stream.close()
        assert [slot.calls for slot in parent.of_threads._slots] == [1]
        assert not slots()
    for pool in parent.of_threads.clear():
        pool.close()


def test_an_interrupted_call_leaves_its_pool_to_no_other_call(monkeypatch) -> None:
    monkeypatch.setattr(_pools._process, "value", _pools._ProcessPools())
    with pytest.raises(KeyboardInterrupt), _pools.pooled_transport():
        raise KeyboardInterrupt
    assert not slots()


async def test_an_async_stream_that_is_left_or_closed_early_is_closed() -> None:
    with ScriptedServer(STALLED_TEXT) as server:
        for _ in range(20):
            chunks = model_at(server).astream("hi")
            assert "abc".startswith((await anext(chunks)).text)
            await chunks.aclose()
        await all_closed(server)
        for _ in range(20):
            async for _chunk in model_at(server).astream("hi"):
                break
        await all_closed(server)


async def test_a_dropped_stream_is_closed_without_the_garbage_collector() -> None:
    gc.disable()
    try:
        with ScriptedServer(STALLED_TEXT) as server:
            chunks: Any = model_at(server).stream("hi")
            next(chunks)
            achunks: Any = model_at(server).astream("hi")
            await anext(achunks)
            del chunks, achunks
            await all_closed(server)
            assert in_use() == []
    finally:
        gc.enable()


class Failing(BaseCallbackHandler):
    """A callback whose method `name` raises `error`."""

    raise_error = True

    def __init__(self, name: str, error: BaseException) -> None:
        self._name = name
        self._error = error

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("on_") and name == super().__getattribute__("_name"):
            return super().__getattribute__("_fail")
        return super().__getattribute__(name)

    def _fail(self, *_: Any, **__: Any) -> None:
        raise self._error


@pytest.mark.parametrize("name", ["on_chat_model_start", "on_llm_new_token", "on_llm_end"])
@pytest.mark.parametrize("error", [ValueError("mine"), OSError("mine")], ids=repr)
async def test_an_exception_in_a_callback_ends_the_call(name: str, error: Exception) -> None:
    with ScriptedServer(Scripted([fixture("shape_a.sse")])) as server:
        for call_mode in BASIC_CALL_MODES:
            callbacks = [Failing(name, error)]
            model = model_at(server, callbacks=callbacks, streaming=True, max_retries=2)
            with pytest.raises(type(error)):
                await call_mode(model)
        await until(lambda: not in_use())
        assert len(server.requests) <= len(BASIC_CALL_MODES)


async def test_a_failed_call_closes_a_connection_that_cannot_be_reused() -> None:
    failures = [
        Scripted([sse("nonsense"), *TEXT_EVENTS], ending="stall"),
        Scripted([sse({"code": 500, "msg": "no"})], ending="stall"),
        Scripted([b"x"], status=307, ending="stall"),
    ]
    for failure in failures:
        with ScriptedServer(failure) as server:
            for call_mode in BASIC_CALL_MODES:
                with pytest.raises(KieError):
                    await call_mode(model_at(server, timeout=httpx.Timeout(30, read=0.5)))
            await all_closed(server)


# --- cancelled tasks --------------------------------------------------------------------------


async def consume(model: Any) -> None:
    async for _ in model.astream("hi"):
        pass


@pytest.mark.parametrize("pieces", [[], TEXT_EVENTS[:1], TEXT_EVENTS], ids=len)
async def test_a_cancelled_task_closes_its_connection_and_does_not_retry(pieces) -> None:
    with ScriptedServer(Scripted(pieces, ending="stall")) as server:
        model = model_at(server, max_retries=5)
        for job in (consume, ainvoke):
            tasks = [asyncio.ensure_future(job(model)) for _ in range(5)]
            await until(lambda: server.busy_connections == 5)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(r, asyncio.CancelledError) for r in results)
            await all_closed(server)
        assert len(server.requests) == 10


async def test_tasks_cancelled_at_any_moment_leave_nothing_in_use() -> None:
    """Also between two steps of httpcore, which then counts a connection as in use."""
    random.seed(3)
    script = Scripted([*TEXT_EVENTS, fixture("shape_a.sse")], pause=0.002)
    with ScriptedServer(script) as server:
        model = model_at(server)
        cancelled = 0
        for _ in range(12):
            jobs = [asyncio.ensure_future((consume, ainvoke)[i % 2](model)) for i in range(20)]
            for job in jobs:
                asyncio.get_running_loop().call_later(random.random() * 0.06, job.cancel)
            results = await asyncio.gather(*jobs, return_exceptions=True)
            errors = [r for r in results if isinstance(r, BaseException)]
            assert all(isinstance(e, asyncio.CancelledError) for e in errors)
            cancelled += len(errors)
        assert cancelled
        assert in_use() == []
        del job, jobs, results, errors
        pools, _ = _pools._process.value.of_loops[asyncio.get_running_loop()]
        for pool in pools.clear():
            await pool.aclose()
        await all_closed(server)


async def test_a_task_cancelled_in_a_tls_handshake_closes_its_connection() -> None:
    steps: asyncio.Queue[str] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        steps.put_nowait("handshake" if await reader.read(1) else "closed")
        with suppress(ConnectionError):
            await reader.read()
        steps.put_nowait("closed")
        writer.close()

    async with asyncio.timeout(MAX_WAIT), await asyncio.start_server(serve, "127.0.0.1") as server:
        base_url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for fields in ({}, {"http_async_client": httpx.AsyncClient(verify=client_tls())}):
            model = ChatKieGemini(
                model="gemini-3-flash", api_key="k", base_url=base_url, max_retries=0, **fields
            )
            task = asyncio.ensure_future(model.ainvoke("hi"))
            assert await steps.get() == "handshake"
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await steps.get() == "closed"
    assert in_use() == []


async def test_a_task_cancelled_while_it_waits_for_a_connection_takes_none() -> None:
    limits = httpx.Limits(max_connections=1)
    with ScriptedServer(STALLED_TEXT, Scripted([COMPLETION])) as server:
        async with httpx.AsyncClient(limits=limits) as client:
            model = model_at(server, http_async_client=client)
            first: Any = model.astream("hi")
            await anext(first)
            waiting = [asyncio.ensure_future(model.ainvoke("hi")) for _ in range(5)]
            transport: Any = client._transport
            await until(lambda: len(transport._pool._requests) == 6)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await first.aclose()
            assert (await model.ainvoke("hi")).text == "pong"
        assert len(server.requests) == 2


# --- the life of a pool -----------------------------------------------------------------------


@pytest.fixture
def closed_pools(monkeypatch) -> set[Any]:
    """The pools that are closed while the test runs."""
    closed: set[Any] = set()

    def recording(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def close(pool: Any) -> Any:
            closed.add(pool)
            return original(pool)

        return close

    for kind, name in ((httpx.HTTPTransport, "close"), (httpx.AsyncHTTPTransport, "aclose")):
        monkeypatch.setattr(kind, name, recording(getattr(kind, name)))
    return closed


async def test_the_pool_of_a_cancelled_call_is_not_used_again(closed_pools) -> None:
    with ScriptedServer(STALLED_TEXT, Scripted([COMPLETION])) as server:
        model = model_at(server)
        async with _pools.async_pooled_transport() as pool:
            task = asyncio.ensure_future(model.ainvoke("hi"))
            await until(lambda: server.requests)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await model.ainvoke("hi")
            assert pool not in closed_pools
            assert pool not in [slot.pool for slot in slots()]
        assert pool in closed_pools


class SyncLease:
    """`pooled_transport` as an async context, for one test of both."""

    def __init__(self) -> None:
        self._lease = _pools.pooled_transport()

    async def __aenter__(self) -> _pools.Pool:
        return self._lease.__enter__()

    async def __aexit__(self, *ending: object) -> None:
        self._lease.__exit__(*ending)


@pytest.mark.parametrize("open_lease", [SyncLease, _pools.async_pooled_transport])
async def test_the_pools_of_a_burst_are_closed_after_they_were_idle(
    open_lease: Any, closed_pools, monkeypatch
) -> None:
    now = [time.monotonic()]
    monkeypatch.setattr("langchain_kie._http.pools.time.monotonic", lambda: now[0])
    leases = [open_lease() for _ in range(3 * _pools.CALLS_PER_POOL + 1)]
    opened = [await lease.__aenter__() for lease in leases]
    assert len({*map(id, opened)}) == 4
    for lease in leases[1:]:
        await lease.__aexit__(None, None, None)
    assert closed_pools.isdisjoint(opened)
    now[0] += 2 * _pools.IDLE_SECONDS
    await leases[0].__aexit__(None, None, None)
    kept = [pool for pool in opened if pool not in closed_pools]
    assert len(kept) == _pools.CALLS_PER_POOL
    assert len({*map(id, kept)}) == 1


def test_with_all_pools_busy_a_call_shares_the_least_busy_one() -> None:
    pools = _pools._Pools[Any](object)
    slots = [pools.acquire() for _ in range(_pools.MAX_POOLS * _pools.CALLS_PER_POOL)]
    assert len({slot.pool for slot in slots}) == _pools.MAX_POOLS
    further = [pools.acquire() for _ in range(_pools.MAX_POOLS)]
    assert {slot.pool for slot in further} == {slot.pool for slot in slots}


def test_an_idle_pool_before_one_in_use_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("langchain_kie._http.pools.time.monotonic", lambda: now[0])
    pools = _pools._Pools[Any](object)
    slots = [pools.acquire() for _ in range(2 * _pools.CALLS_PER_POOL + 1)]
    for slot in slots[_pools.CALLS_PER_POOL : -1]:
        pools.release(slot, None)
    now[0] += 2 * _pools.IDLE_SECONDS
    assert pools.release(slots[0], None) == []
    now[0] += 2 * _pools.IDLE_SECONDS
    assert pools.release(slots[-1], None) == []
    now[0] += 2 * _pools.IDLE_SECONDS
    assert pools.release(slots[1], None) == [slots[-1].pool, slots[-2].pool]


def test_pools_in_use_are_cleared_only_if_asked_for() -> None:
    for arguments, count in (({}, 2), ({"in_use": False}, 1)):
        pools = _pools._Pools[Any](object)
        slots = [pools.acquire() for _ in range(_pools.CALLS_PER_POOL + 1)]
        pools.release(slots[-1], None)
        cleared = pools.clear(**arguments)
        assert cleared == [slots[0].pool, slots[-1].pool][-count:]
        assert pools.clear() == []


async def test_async_pools_keep_as_many_connections_as_those_of_threads() -> None:
    names = ("_max_connections", "_max_keepalive_connections", "_keepalive_expiry")
    limits_of = attrgetter(*names)
    assert limits_of(_pools._open_async_pool()._pool) == limits_of(_pools._open_pool()._pool)


def test_an_idle_connection_keeps_neither_its_last_request_nor_its_response() -> None:
    def alive() -> set[int]:
        gc.collect()
        kinds = (httpx.Request, httpx.Response)
        return {id(o) for o in gc.get_objects() if isinstance(o, kinds)}

    async def ask(model: Any) -> None:
        before = alive()
        for call_mode in BASIC_CALL_MODES:
            await call_mode(model)
        assert alive() <= before

    with server_sending(fixture("shape_a.sse")) as server:
        asyncio.run(ask(model_at(server)))
