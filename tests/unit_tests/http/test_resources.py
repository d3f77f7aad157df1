"""Threads, event loops, processes, and what every ending of a call leaves behind: nothing."""

from __future__ import annotations

import asyncio
import gc
import random
import resource
import textwrap
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from call_modes import BASIC_CALL_MODES, ainvoke, fixture, model_at, server_sending
from faults.network import client_tls, server_tls
from langchain_core.callbacks import BaseCallbackHandler
from scripted_server import Scripted, ScriptedServer, sse

from langchain_kie import KieError
from langchain_kie._http import pools as _pools
from unit_tests.loopback import PRELUDE, SLOW, Echo, nothing_open, run_script

if TYPE_CHECKING:
    from collections.abc import Callable

STRICT = ("-W", "error::ResourceWarning")
"""A Python that complains of every socket, file and loop that was forgotten."""

WHOLE = fixture("chat_whole.json")


def test_sixteen_threads_share_a_model_and_no_answer_goes_astray() -> None:
    with Echo() as server, ThreadPoolExecutor(16) as pool:
        model = model_at(server)
        prompts = [f"prompt {i}" for i in range(320)]
        answers = pool.map(lambda p: (model.invoke(p).text, _streamed(model, p)), prompts)
        assert [*answers] == [(prompt, prompt) for prompt in prompts]


def _streamed(model: Any, prompt: str) -> str:
    return "".join(chunk.text for chunk in model.stream(prompt))


def test_a_model_works_in_one_event_loop_after_another() -> None:
    with Echo() as server:
        model = model_at(server)
        for i in range(3):

            async def ask(i: int = i) -> list[str]:
                answers = await asyncio.gather(*(model.ainvoke(f"{i} {k}") for k in range(5)))
                return [answer.text for answer in answers]

            assert asyncio.run(ask()) == [f"{i} {k}" for k in range(5)]


def test_event_loops_that_ended_are_forgotten() -> None:
    with server_sending(WHOLE) as server:
        model = model_at(server)
        for _ in range(5):
            asyncio.run(model.ainvoke("hi"))
    assert not [loop for loop in _pools._shared.async_pools if loop.is_closed()]


def test_a_model_works_in_two_event_loops_at_once() -> None:
    def run(name: str) -> list[str]:
        async def ask() -> list[str]:
            return [(await model.ainvoke(f"{name} {k}")).text for k in range(40)]

        return asyncio.run(ask())

    with Echo() as server, ThreadPoolExecutor(2) as pool:
        model = model_at(server)
        assert [*pool.map(run, ("a", "b"))] == [[f"{n} {k}" for k in range(40)] for n in "ab"]


def test_after_a_fork_parent_and_child_read_their_own_answers() -> None:
    script = PRELUDE + textwrap.dedent("""
        assert model.invoke("before").text == "before"
        child = os.fork()
        name = "parent" if child else "child"
        wrong = [i for i in range(50) if model.invoke(f"{name} {i}").text != f"{name} {i}"]
        async def ask():
            return [(await model.ainvoke(f"{name} {i}")).text for i in range(10)]
        wrong += [t for i, t in enumerate(asyncio.run(ask())) if t != f"{name} {i}"]
        if not child:
            os._exit(len(wrong))
        _, status = os.waitpid(child, 0)
        print(len(wrong), os.waitstatus_to_exitcode(status))
    """)
    with Echo() as server:
        assert run_script(script, base_url=server.base_url).split() == ["0", "0"]


def test_no_socket_or_loop_is_forgotten_at_the_end() -> None:
    script = PRELUDE + textwrap.dedent("""
        def leave():
            for chunk in model.stream("hi"):
                break
        async def ask():
            await model.ainvoke("hi")
            async for chunk in model.astream("hi"):
                break
            [chunk async for chunk in model.astream("hi")]
        model.invoke("hi"); [*model.stream("hi")]; leave()
        asyncio.run(ask()); asyncio.run(ask())
        del model
        gc.collect()
        print("done")
    """)
    with server_sending(fixture("shape_a.sse")) as server:
        assert run_script(script, base_url=server.base_url, flags=STRICT) == "done\n"


async def test_leaving_a_stream_early_leaves_no_connection_open() -> None:
    with ScriptedServer(Scripted(SLOW, ending="stall")) as server:
        for _ in range(20):
            for chunk in model_at(server).stream("hi"):
                assert chunk.text == "a"
                break
        await nothing_open(server)


async def test_closing_an_async_stream_early_leaves_no_connection_open() -> None:
    with ScriptedServer(Scripted(SLOW, ending="stall")) as server:
        for _ in range(20):
            running = model_at(server).astream("hi")
            assert (await anext(running)).text == "a"
            await running.aclose()
        await nothing_open(server)
        for _ in range(20):
            async for _chunk in model_at(server).astream("hi"):
                break
        await nothing_open(server)


async def test_cancelling_a_task_in_any_phase_leaves_no_connection_open() -> None:
    for pieces in ([], SLOW[:1], SLOW):
        with ScriptedServer(Scripted(pieces, ending="stall")) as server:
            model = model_at(server)

            async def consume(model: Any = model) -> None:
                async for _ in model.astream("hi"):
                    pass

            for job in (consume, lambda model=model: model.ainvoke("hi")):
                asked = len(server.requests) + 5
                tasks = [asyncio.ensure_future(job()) for _ in range(5)]
                while len(server.requests) < asked:  # noqa: ASYNC110 - of a thread
                    await asyncio.sleep(0.01)
                for task in tasks:
                    task.cancel()
                results = await asyncio.gather(*tasks, return_exceptions=True)
                assert all(isinstance(r, asyncio.CancelledError) for r in results)
            await nothing_open(server)


async def test_a_time_limit_of_the_caller_s_ends_the_call_and_its_connection() -> None:
    with ScriptedServer(Scripted([], ending="stall")) as server:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await model_at(server, max_retries=5).ainvoke("hi")
        await nothing_open(server)
        assert len(server.requests) == 1


async def test_a_failed_call_leaves_no_connection_open_that_cannot_be_used_again() -> None:
    failures = [
        Scripted(SLOW, ending="fin-mid-chunk"),
        Scripted([sse("nonsense"), *SLOW], ending="stall"),
        Scripted([sse({"code": 500, "msg": "no"})], ending="stall"),
        Scripted([b"x"], status=307, ending="stall"),
    ]
    for failure in failures:
        with ScriptedServer(failure) as server:
            for ask in BASIC_CALL_MODES:
                with pytest.raises(KieError):
                    await ask(model_at(server, timeout=0.3))
            await nothing_open(server)


async def test_a_dropped_stream_is_closed_at_once_without_the_garbage_collector() -> None:
    gc.disable()
    try:
        with ScriptedServer(Scripted(SLOW, ending="stall")) as server:
            running: Any = model_at(server).stream("hi")
            next(running)
            del running
            await nothing_open(server, 0.5)
    finally:
        gc.enable()


# --- leases -----------------------------------------------------------------------------------


@pytest.fixture
def closed_pools(monkeypatch) -> set[Any]:
    """The pools that are closed while the test runs."""
    closed: set[Any] = set()

    def noting(own: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def close(pool: Any) -> Any:
            closed.add(pool)
            return own(pool)

        return close

    for kind, name in ((httpx.HTTPTransport, "close"), (httpx.AsyncHTTPTransport, "aclose")):
        monkeypatch.setattr(kind, name, noting(getattr(kind, name)))
    return closed


def seats() -> list[Any]:
    """The shared pools, of threads and of every loop."""
    shared = _pools._shared
    all_ = [shared.pools, *(pools for pools, _ in shared.async_pools.values())]
    return [seat for pools in all_ for seat in pools._seats]


async def close_idle() -> None:
    """Close what the pools of this loop keep for later calls."""
    pools, _ = _pools._shared.async_pools[asyncio.get_running_loop()]
    for pool in pools.clear():
        await pool.aclose()


def nothing_leased() -> None:
    """Every pool was given back, and holds no connection that is in use."""
    assert [seat.calls for seat in seats() if seat.calls] == []
    pools = [seat.pool._pool for seat in seats()]
    assert [c for pool in pools for c in pool.connections if not c.is_idle()] == []


class Failing(BaseCallbackHandler):
    """A callback that fails where it is told to, and so ends the call."""

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
async def test_an_exception_in_a_callback_ends_the_call_and_its_lease(name, error) -> None:
    with ScriptedServer(Scripted([fixture("shape_a.sse")], pause=0.01)) as server:
        for ask in BASIC_CALL_MODES:
            model = model_at(
                server, callbacks=[Failing(name, error)], streaming=True, max_retries=2
            )
            with pytest.raises(type(error)):
                await ask(model)
            await asyncio.sleep(0)
        assert len(server.requests) <= len(BASIC_CALL_MODES)
        await asyncio.sleep(0.05)
        nothing_leased()


async def test_a_dropped_async_stream_is_closed_without_the_garbage_collector() -> None:
    gc.disable()
    try:
        with ScriptedServer(Scripted(SLOW, ending="stall")) as server:
            running: Any = model_at(server).astream("hi")
            await anext(running)
            del running
            await nothing_open(server, 0.5)
            nothing_leased()
    finally:
        gc.enable()


async def test_tasks_cancelled_at_any_moment_leave_nothing_in_use() -> None:
    """Also between two steps of httpcore's, which then takes a connection for one in use."""
    random.seed(3)
    script = Scripted([*SLOW, fixture("shape_a.sse")], pause=0.002)

    async def consume(model: Any) -> None:
        async for _ in model.astream("hi"):
            pass

    with ScriptedServer(script) as server, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # anyio drops what connects meanwhile
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
        assert cancelled > 50
        nothing_leased()
        del jobs, results, errors
        gc.collect()
        await close_idle()
        await nothing_open(server)


async def test_a_task_cancelled_in_a_tls_handshake_leaves_no_connection_open() -> None:
    silent = Scripted([], reads="nothing", framing="raw", ending="stall")
    with ScriptedServer(silent, tls=server_tls()) as server:
        for fields in ({}, {"http_async_client": httpx.AsyncClient(verify=client_tls())}):
            asking = asyncio.ensure_future(model_at(server, **fields).ainvoke("hi"))
            while not server.open_connections:  # noqa: ASYNC110 - of a thread
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await nothing_open(server)
    nothing_leased()


async def test_a_task_cancelled_while_it_waits_for_a_connection_takes_none() -> None:
    limits = httpx.Limits(max_connections=1)
    with ScriptedServer(Scripted(SLOW, ending="stall"), Scripted([WHOLE])) as server:
        async with httpx.AsyncClient(limits=limits) as client:
            model = model_at(server, http_async_client=client)
            first: Any = model.astream("hi")
            await anext(first)
            waiting = [asyncio.ensure_future(model.ainvoke("hi")) for _ in range(5)]
            await asyncio.sleep(0.05)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await first.aclose()
            assert (await model.ainvoke("hi")).text == "pong"
        assert len(server.requests) == 2


async def test_a_pool_on_which_a_call_was_cancelled_is_not_used_again(closed_pools) -> None:
    with ScriptedServer(Scripted(SLOW, ending="stall"), Scripted([WHOLE])) as server:
        model = model_at(server)
        async with _pools.AsyncPoolLease() as before:
            asking = asyncio.ensure_future(model.ainvoke("hi"))
            while not server.requests:  # noqa: ASYNC110 - of a thread
                await asyncio.sleep(0.01)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await model.ainvoke("hi")
            assert before not in closed_pools
            assert before not in [seat.pool for seat in seats()]
        assert before in closed_pools


async def test_the_pools_of_a_burst_are_closed_once_they_were_idle(
    closed_pools, monkeypatch
) -> None:
    for lease in (_pools.PoolLease, _pools.AsyncPoolLease):
        clock = [time.monotonic()]
        monkeypatch.setattr(
            "langchain_kie._http.pools.time.monotonic", lambda clock=clock: clock[0]
        )
        burst = [lease() for _ in range(3 * _pools.CALLS_PER_POOL + 1)]
        opened = [
            await b.__aenter__() if hasattr(b, "__aenter__") else b.__enter__() for b in burst
        ]
        assert len({*map(id, opened)}) == 4

        async def end(lease: Any) -> None:
            if hasattr(lease, "__aexit__"):
                await lease.__aexit__(None, None, None)
            else:
                lease.__exit__(None, None, None)

        for used in burst[1:]:
            await end(used)
        assert closed_pools.isdisjoint(opened)
        clock[0] += 2 * _pools.IDLE_SECONDS
        await end(burst[0])
        assert [pool in closed_pools for pool in opened].count(False) == _pools.CALLS_PER_POOL
        assert len({id(pool) for pool in opened if pool not in closed_pools}) == 1


def test_an_idle_connection_keeps_neither_its_last_request_nor_its_answer() -> None:
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


# --- many -------------------------------------------------------------------------------------


@pytest.fixture
def many_files():
    """Let this process, and those that it starts, open a socket for each of a thousand calls."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thousand_calls_at_once_all_end_and_leave_nothing() -> None:
    script = PRELUDE + textwrap.dedent("""
        from langchain_kie._http import pools as _pools
        model.max_retries = 5
        async def ask():
            await model.ainvoke("warm")
            files = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
            answers = await asyncio.gather(*(model.ainvoke(f"p{i}") for i in range(1000)))
            assert [a.text for a in answers] == [f"p{i}" for i in range(1000)]
            assert len(asyncio.all_tasks()) == 1
            ((pools, _),) = _pools._shared.async_pools.values()
            kept = [len(s.pool._pool.connections) for s in pools._seats]
            assert max(kept) <= _pools.CALLS_PER_POOL and len(kept) <= _pools.MAX_POOLS
            assert not any(s.calls for s in pools._seats)
            if files:
                assert len(os.listdir("/proc/self/fd")) <= files + sum(kept)
            return files
        before = asyncio.run(ask())
        gc.collect()
        if before:
            assert len(os.listdir("/proc/self/fd")) < before
        print("done")
    """)
    with Echo() as server:
        assert run_script(script, base_url=server.base_url, flags=STRICT) == "done\n"


def test_a_thousand_streams_are_open_at_once_in_one_loop(many_files) -> None:
    script = PRELUDE + textwrap.dedent("""
        async def ask():
            all_begun = asyncio.Barrier(1000)
            async def read(prompt):
                texts = []
                async for chunk in model.astream(prompt):
                    if not texts:
                        await all_begun.wait()
                    texts.append(chunk.text)
                return "".join(texts)
            texts = await asyncio.gather(*(read(f"p{i}") for i in range(1000)))
            assert texts == [f"p{i}" for i in range(1000)]
        asyncio.run(ask())
        print("done")
    """)
    with Echo() as server:
        assert run_script(script, base_url=server.base_url, flags=STRICT) == "done\n"


def test_fifty_threads_share_a_model_and_leave_no_thread_or_lease() -> None:
    with Echo() as server:
        model = model_at(server)
        before = threading.active_count()
        with ThreadPoolExecutor(50) as pool:
            prompts = [f"prompt {i}" for i in range(200)]
            assert [*pool.map(lambda prompt: model.invoke(prompt).text, prompts)] == prompts
        own = [t for t in threading.enumerate() if "process_request_thread" not in t.name]
        assert len(own) <= before
    nothing_leased()


def test_more_calls_than_files_are_errors_of_ours_and_the_model_works_on() -> None:
    script = PRELUDE + textwrap.dedent("""
        import resource
        from langchain_kie import KieConnectionError
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (60, hard))
        async def ask():
            jobs = (model.ainvoke(f"p{i}") for i in range(150))
            answers = await asyncio.gather(*jobs, return_exceptions=True)
            errors = [a for a in answers if isinstance(a, BaseException)]
            assert errors and all(type(e) is KieConnectionError for e in errors)
            assert any("Too many open files" in str(e) for e in errors), str(errors[0])
            assert (await model.ainvoke("again")).text == "again"
        asyncio.run(ask())
        print("done")
    """)
    with Echo() as server:
        assert run_script(script, base_url=server.base_url) == "done\n"


# --- loops and processes ----------------------------------------------------------------------


def test_a_fork_while_calls_are_running_crosses_no_answers() -> None:
    script = PRELUDE + textwrap.dedent("""
        import threading, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # of os.fork, from Python 3.12 on
        def ask(name, n):
            return [i for i in range(n) if model.invoke(f"{name} {i}").text != f"{name} {i}"]
        wrong = ask("warm", 1)  # pydantic's validators are built on first use, under a lock
        def work(k):
            wrong.extend(ask(f"thread {k}", 40))
        running = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        open_stream = model.stream("begun")
        next(open_stream)
        for thread in running: thread.start()
        children = []
        for k in range(3):
            child = os.fork()
            if not child:
                os._exit(len(ask(f"child {k}", 20)))
            children.append(child)
        wrong += ask("parent", 40)
        for thread in running: thread.join()
        [*open_stream]
        print(len(wrong), *(os.waitstatus_to_exitcode(os.waitpid(c, 0)[1]) for c in children))
    """)
    with Echo() as server:
        assert run_script(script, base_url=server.base_url).split() == ["0"] * 4


def test_a_pickled_model_works_in_other_processes() -> None:
    script = """
        import multiprocessing, pickle, sys
        from concurrent.futures import ProcessPoolExecutor
        from langchain_kie import ChatKieGemini

        def main():
            model = ChatKieGemini(model="gemini-3-flash", api_key="k", base_url=sys.argv[1])
            model.invoke("warm")
            for method in ("spawn", "fork"):
                context = multiprocessing.get_context(method)
                with ProcessPoolExecutor(2, context) as pool:
                    answers = list(pool.map(model.invoke, ["a", "b", "c"]))
                print(*(answer.text for answer in answers))

        if __name__ == "__main__":
            main()
    """
    with Echo() as server:
        assert run_script(script, base_url=server.base_url) == "a b c\n" * 2


@pytest.mark.parametrize("how", ["sync", "async", "thread", "exit", "hand"])
def test_an_interpreter_that_ends_with_an_open_stream_does_not_complain(how: str) -> None:
    script = PRELUDE + textwrap.dedent("""
        import threading, time
        how = sys.argv[2]
        async def begin():
            global running
            running = model.astream("hi")
            await anext(running)
        if how == "sync":
            running = model.stream("hi"); next(running)
        elif how == "async":
            asyncio.run(begin())
        elif how == "hand":
            loop = asyncio.new_event_loop()
            loop.run_until_complete(begin())
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
        elif how == "thread":
            threading.Thread(target=lambda: [*model.stream("hi")], daemon=True).start()
            time.sleep(0.3)
        else:
            for _ in model.stream("hi"):
                sys.exit()
    """)
    with ScriptedServer(Scripted(SLOW, ending="stall")) as server:
        assert run_script(script, how, base_url=server.base_url, flags=STRICT) == ""


def test_loops_closed_by_hand_hold_no_more_than_one_loop_s_connections() -> None:
    """Without `shutdown_asyncgens` their connections live until the next loop asks."""
    script = PRELUDE + textwrap.dedent("""
        from langchain_kie._http import pools as _pools
        for _ in range(4):
            loop = asyncio.new_event_loop()
            loop.run_until_complete(model.ainvoke("hi"))
            loop.close()
            assert len(_pools._shared.async_pools) == 1
        asyncio.run(model.ainvoke("hi"))
        assert not _pools._shared.async_pools
        print("done")
    """)
    with server_sending(WHOLE) as server:
        assert run_script(script, base_url=server.base_url) == "done\n"


# --- memory -----------------------------------------------------------------------------------

MEMORY = PRELUDE + textwrap.dedent("""
    import tracemalloc
    from langchain_core.messages import HumanMessage
    def resident(name):
        with open("/proc/self/status") as status:
            return int(status.read().split(name + ":")[1].split()[0]) * 1024
""")
"""Tells what memory is used, on Linux."""


def test_memory_stays_flat_over_calls_that_succeed_and_fail() -> None:
    script = MEMORY + textwrap.dedent("""
        async def aask(n):
            for _ in range(n):
                await model.ainvoke("hi")
                [c async for c in model.astream("hi")]
        def ask(n):
            for _ in range(n):
                model.invoke("hi")
                [*model.stream("hi")]
                try:
                    failing.invoke("hi")
                except Exception:
                    pass
            asyncio.run(aask(n))
        failing = model.model_copy(update={"base_url": "http://127.0.0.1:9"})
        ask(20)
        gc.collect()
        tracemalloc.start()
        ask(80)
        gc.collect()
        print(tracemalloc.get_traced_memory()[0])
    """)
    with server_sending(fixture("shape_a.sse")) as server:
        assert int(run_script(script, base_url=server.base_url)) < 150_000


def test_memory_stays_flat_over_a_stream_of_any_length() -> None:
    """So the transport; LangChain keeps the chunks of a stream for the end of its trace."""
    script = MEMORY + textwrap.dedent("""
        request = model._request([HumanMessage("hi")], None, {})
        call, _ = request.build(stream=True)
        before = resident("VmRSS")
        for _ in model._transport().stream(call):
            pass
        print(resident("VmHWM") - before)
    """)
    event = sse({"choices": [{"index": 0, "delta": {"content": "x" * 16_000}}]})
    with ScriptedServer(Scripted([event * 60] * 30 + [fixture("shape_a.sse")])) as server:
        assert int(run_script(script, base_url=server.base_url)) < 15_000_000


def test_a_large_event_takes_a_few_times_its_size() -> None:
    script = MEMORY + textwrap.dedent("""
        model.invoke("small")
        before = resident("VmRSS")
        model.invoke("hi")
        print(resident("VmHWM") - before)
    """)
    choice = {"index": 0, "delta": {"content": "x" * 20_000_000}, "finish_reason": "stop"}
    body = sse({"choices": [choice]}, "[DONE]")
    with server_sending(fixture("shape_a.sse"), body) as server:
        assert int(run_script(script, base_url=server.base_url)) < 6 * len(body)


async def test_an_answer_without_end_is_given_up() -> None:
    """An event, an answer and the text of an error each have a bound."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("langchain_kie._http.sse.MAX_EVENT_CHARS", 100_000)
        patch.setattr("langchain_kie._http.sse.MAX_BODY_BYTES", 500_000)
        for pieces in ([b"data: " + b"x" * 200_000], SLOW * 5000, [b"[" + b" " * 600_000]):
            with ScriptedServer(Scripted([*pieces], ending="stall")) as server:
                for ask in BASIC_CALL_MODES:
                    with pytest.raises(KieError, match="larger than"):
                        await ask(model_at(server))
                await nothing_open(server)
