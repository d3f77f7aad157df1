"""Memory: flat over calls and long streams, and a few times the size of a large event."""

from __future__ import annotations

import textwrap
from pathlib import Path

from call_modes import fixture, server_sending
from scripted_server import Scripted, ScriptedServer, sse

from langchain_kie._http.sse import MAX_BODY_BYTES, MAX_EVENT_BYTES
from unit_tests.loopback import PRELUDE, fork_script

MEASURE = PRELUDE + textwrap.dedent("""
    import tracemalloc
    from langchain_core.messages import HumanMessage
    def resident(name):
        with open("/proc/self/status") as status:
            return int(status.read().split(name + ":")[1].split()[0]) * 1024
""")
"""The start of a script that measures its memory, on Linux."""


def test_memory_stays_flat_over_calls_that_succeed_and_fail() -> None:
    script = MEASURE + textwrap.dedent("""
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
        assert int(fork_script(script, base_url=server.base_url)) < 150_000


def test_the_transport_keeps_nothing_of_a_long_stream() -> None:
    """LangChain itself keeps the chunks of a stream for the end of its trace."""
    script = MEASURE + textwrap.dedent("""
        from langchain_kie._chat_model.call import prepare, transport_of
        request = prepare(model, [HumanMessage("hi")], None, {})
        call, _ = request.build(stream=True)
        before = resident("VmRSS")
        for _ in transport_of(model).stream(call):
            pass
        print(resident("VmHWM") - before)
    """)
    event = sse({"choices": [{"index": 0, "delta": {"content": "x" * 16_000}}]})
    with ScriptedServer(Scripted([event * 60] * 30 + [fixture("shape_a.sse")])) as server:
        assert int(fork_script(script, base_url=server.base_url)) < 15_000_000


def test_a_large_event_takes_a_few_times_its_size() -> None:
    script = MEASURE + textwrap.dedent("""
        model.invoke("small")
        before = resident("VmRSS")
        model.invoke("hi")
        print(resident("VmHWM") - before)
    """)
    choice = {"index": 0, "delta": {"content": "x" * 20_000_000}, "finish_reason": "stop"}
    body = sse({"choices": [choice]}, "[DONE]")
    with server_sending(fixture("shape_a.sse"), body) as server:
        assert int(fork_script(script, base_url=server.base_url)) < 6 * len(body)


def test_the_limits_of_a_response_are_those_of_the_documentation() -> None:
    """The other tests of the limits replace them with small ones."""
    assert (MAX_EVENT_BYTES, MAX_BODY_BYTES) == (64 * 2**20, 256 * 2**20)
    row = "At most 256 MiB of an answer and 64 MiB of an event are read."
    assert row in (Path(__file__).parents[3] / "SECURITY.md").read_text()
