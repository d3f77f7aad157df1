"""Threads, event loops and processes: no answer reaches another call, nothing is left open."""

from __future__ import annotations

import asyncio
import resource
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from call_modes import fixture, model_at, server_sending
from scripted_server import Scripted, ScriptedServer

from langchain_kie._http import pools as _pools
from unit_tests.loopback import PRELUDE, TEXT_EVENTS, Echo, fork_script, run_script

STRICT = ("-W", "error::ResourceWarning")
"""Flags of a Python that reports every socket, file and event loop left open."""

COMPLETION = fixture("chat_completion.json")


# --- many calls at once -----------------------------------------------------------------------


def test_fifty_threads_share_a_model_and_leave_no_thread_or_call() -> None:
    def ask(prompt: str) -> tuple[str, str]:
        return model.invoke(prompt).text, "".join(chunk.text for chunk in model.stream(prompt))

    with Echo() as server:
        model = model_at(server)
        before = threading.active_count()
        with ThreadPoolExecutor(50) as pool:
            prompts = [f"prompt {i}" for i in range(300)]
            assert [*pool.map(ask, prompts)] == [(prompt, prompt) for prompt in prompts]
        left = [t for t in threading.enumerate() if "process_request_thread" not in t.name]
        assert len(left) <= before
    assert not any(slot.calls for slot in _pools._process.value.of_threads._slots)


@pytest.fixture
def many_files():
    """Let this process and its children open a socket for each of a thousand calls."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thousand_calls_at_once_end_and_leave_nothing_open() -> None:
    script = PRELUDE + textwrap.dedent("""
        from langchain_kie._http import pools as _pools
        model.max_retries = 5
        async def ask():
            await model.ainvoke("warm")
            files = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
            answers = await asyncio.gather(*(model.ainvoke(f"p{i}") for i in range(1000)))
            assert [a.text for a in answers] == [f"p{i}" for i in range(1000)]
            assert len(asyncio.all_tasks()) == 1
            ((pools, _),) = _pools._process.value.of_loops.values()
            kept = [len(s.pool._pool.connections) for s in pools._slots]
            assert max(kept) <= _pools.CALLS_PER_POOL and len(kept) <= _pools.MAX_POOLS
            assert not any(s.calls for s in pools._slots)
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
        assert fork_script(script, base_url=server.base_url, strict=True) == "done\n"


def test_a_thousand_streams_are_open_at_once_in_one_loop(many_files) -> None:
    script = PRELUDE + textwrap.dedent("""
        async def ask():
            all_started = asyncio.Barrier(1000)
            async def read(prompt):
                texts = []
                async for chunk in model.astream(prompt):
                    if not texts:
                        await all_started.wait()
                    texts.append(chunk.text)
                return "".join(texts)
            texts = await asyncio.gather(*(read(f"p{i}") for i in range(1000)))
            assert texts == [f"p{i}" for i in range(1000)]
        asyncio.run(ask())
        print("done")
    """)
    with Echo() as server:
        assert run_script(script, base_url=server.base_url, flags=STRICT) == "done\n"


def test_more_calls_than_files_are_connection_errors_and_later_calls_succeed() -> None:
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
        assert fork_script(script, base_url=server.base_url) == "done\n"


# --- event loops ------------------------------------------------------------------------------


async def ask_often(model: Any, name: str) -> list[bool]:
    prompts = [f"{name} {i}" for i in range(40)]
    answers = await asyncio.gather(*map(model.ainvoke, prompts))
    return [answer.text == prompt for answer, prompt in zip(answers, prompts, strict=True)]


def test_a_model_works_in_event_loops_one_after_another_and_at_once() -> None:
    with Echo() as server, ThreadPoolExecutor(2) as pool:
        model = model_at(server)
        for name in "abc":
            assert all(asyncio.run(ask_often(model, name)))
        both = pool.map(lambda name: asyncio.run(ask_often(model, name)), "de")
        assert all(map(all, both))
    assert not [loop for loop in _pools._process.value.of_loops if loop.is_closed()]


def test_loops_closed_by_hand_keep_at_most_the_connections_of_one_loop() -> None:
    """Without `shutdown_asyncgens` their connections stay open until another loop makes a call."""
    script = PRELUDE + textwrap.dedent("""
        from langchain_kie._http import pools as _pools
        for _ in range(4):
            loop = asyncio.new_event_loop()
            loop.run_until_complete(model.ainvoke("hi"))
            loop.close()
            assert len(_pools._process.value.of_loops) == 1
        asyncio.run(model.ainvoke("hi"))
        assert not _pools._process.value.of_loops
        print("done")
    """)
    with server_sending(COMPLETION) as server:
        assert fork_script(script, base_url=server.base_url) == "done\n"


# --- processes --------------------------------------------------------------------------------


def test_parent_and_child_of_a_fork_get_their_own_answers() -> None:
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
        assert fork_script(script, base_url=server.base_url).split() == ["0", "0"]


def test_forks_during_calls_mix_up_no_answers() -> None:
    script = PRELUDE + textwrap.dedent("""
        import threading, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # os.fork, since Python 3.12
        def ask(name, n):
            return [i for i in range(n) if model.invoke(f"{name} {i}").text != f"{name} {i}"]
        wrong = ask("warm", 1)  # pydantic builds validators at the first use, under a lock
        def work(k):
            wrong.extend(ask(f"thread {k}", 40))
        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        open_stream = model.stream("open")
        next(open_stream)
        for thread in threads: thread.start()
        children = []
        for k in range(3):
            child = os.fork()
            if not child:
                os._exit(len(ask(f"child {k}", 20)))
            children.append(child)
        wrong += ask("parent", 40)
        for thread in threads: thread.join()
        [*open_stream]
        print(len(wrong), *(os.waitstatus_to_exitcode(os.waitpid(c, 0)[1]) for c in children))
    """)
    with Echo() as server:
        assert fork_script(script, base_url=server.base_url).split() == ["0"] * 4


def test_a_pickled_model_works_in_other_processes() -> None:
    script = """
        import multiprocessing, pickle, sys
        from concurrent.futures import ProcessPoolExecutor
        from langchain_kie import ChatKieGemini

        def main():
            model = ChatKieGemini(model="gemini-3-flash", api_key="k", base_url=sys.argv[1])
            model.invoke("warm")
            for method, processes in (("spawn", 1), ("fork", 2)):
                context = multiprocessing.get_context(method)
                with ProcessPoolExecutor(processes, context) as pool:
                    answers = list(pool.map(model.invoke, ["a", "b", "c"]))
                print(*(answer.text for answer in answers))

        if __name__ == "__main__":
            main()
    """
    with Echo() as server:
        assert run_script(script, base_url=server.base_url) == "a b c\n" * 2


def test_an_interpreter_that_ends_reports_no_open_socket_or_loop() -> None:
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
        assert fork_script(script, base_url=server.base_url, strict=True) == "done\n"


@pytest.mark.parametrize("case", ["sync", "async", "own loop", "thread", "exit"])
def test_an_interpreter_that_ends_during_a_stream_reports_nothing(case: str) -> None:
    script = PRELUDE + textwrap.dedent("""
        import atexit, threading
        case, started = sys.argv[2], threading.Event()
        async def start():
            global chunks
            chunks = model.astream("hi")
            await anext(chunks)
        if case == "sync":
            chunks = model.stream("hi"); next(chunks)
        elif case == "async":
            asyncio.run(start())
        elif case == "own loop":
            loop = asyncio.new_event_loop()
            loop.run_until_complete(start())
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
        elif case == "thread":
            read = lambda: [started.set() for _ in model.stream("hi")]
            thread = threading.Thread(target=read, daemon=True)
            atexit.register(thread.join, 1)  # runs last: the thread reads on until then
            thread.start()
            started.wait()
        else:
            for _ in model.stream("hi"):
                sys.exit()
    """)
    with ScriptedServer(Scripted(TEXT_EVENTS, ending="comments")) as server:
        assert fork_script(script, case, base_url=server.base_url, strict=True) == ""
