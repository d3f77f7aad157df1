"""Batches, caches, retries, fallbacks and chains of LangChain, and messages in other processes."""

from __future__ import annotations

import subprocess
import sys

import orjson
import pytest
from call_modes import (
    blocks_of,
    events_of,
    fixture,
    model_at,
    model_reading,
    server_sending,
)
from langchain_core.caches import InMemoryCache
from langchain_core.load import dumps
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import RunnableLambda
from limits import MAX_RUN
from scripted_server import Scripted, ScriptedServer

from langchain_kie import (
    KieAuthenticationError,
    KieRateLimitError,
    KieServerError,
)

COMPLETION = fixture("chat_completion.json")


async def test_batch_returns_answers_in_order_and_can_return_errors() -> None:
    bad = Scripted([b'{"code":401,"msg":"Unauthorized"}'])
    with server_sending(COMPLETION) as server:
        assert [m.text for m in model_at(server).batch(["a", "b", "c"])] == ["pong"] * 3
        assert [m.text for m in await model_at(server).abatch(["a", "b"])] == ["pong"] * 2
        assert len(server.requests) == 5
    with ScriptedServer(Scripted([COMPLETION]), bad) as server:
        config = {"max_concurrency": 1}
        results = model_at(server).batch(["a", "b"], config, return_exceptions=True)
        assert results[0].text == "pong"
        assert type(results[1]) is KieAuthenticationError


@pytest.mark.parametrize("name", ["shape_a.sse", "native_call.sse", "chat_call.sse"])
async def test_a_cached_answer_equals_the_first_and_sends_no_request(name: str) -> None:
    with server_sending(fixture(name)) as server:
        cached = model_at(server, cache=InMemoryCache())
        first = cached.invoke("hi")
        for again in (cached.invoke("hi"), await cached.ainvoke("hi")):
            assert again.text == first.text
            assert again.tool_calls == first.tool_calls
            assert blocks_of(again) == blocks_of(first)
            assert again.additional_kwargs == first.additional_kwargs
            assert again.response_metadata == first.response_metadata
        assert len(server.requests) == 1
        cached.invoke("hi", temperature=0.3)
        cached.invoke("other")
        assert len(server.requests) == 3


def test_cache_entries_depend_on_model_and_options_but_not_on_the_key() -> None:
    cache = InMemoryCache()
    with server_sending(COMPLETION) as server:
        model_at(server, cache=cache).invoke("hi")
        model_at(server, cache=cache, model="gemini-3.1-pro").invoke("hi")
        model_at(server, cache=cache, reasoning_effort="low").invoke("hi")
        assert len(server.requests) == 3
        model_at(server, cache=cache, api_key="another").invoke("hi")
        assert len(server.requests) == 3


async def test_with_retry_and_with_fallbacks_handle_kie_errors() -> None:
    busy = Scripted([b'{"code":429,"msg":"Too many requests"}'])
    with ScriptedServer(busy, Scripted([COMPLETION])) as server:
        again = model_at(server).with_retry(
            retry_if_exception_type=(KieRateLimitError,),
            wait_exponential_jitter=False,
            exponential_jitter_params={"initial": 0.01},
        )
        assert again.invoke("hi").text == "pong"
        assert len(server.requests) == 2
    with ScriptedServer(busy) as server, server_sending(COMPLETION) as other:
        safe = model_at(server).with_fallbacks(
            [model_at(other)], exceptions_to_handle=(KieRateLimitError,)
        )
        assert safe.invoke("hi").text == "pong"
        assert (await safe.ainvoke("hi")).text == "pong"
        assert "".join(chunk.text for chunk in safe.stream("hi")) == "pong"
        refused = model_at(server).with_fallbacks(
            [model_at(other)], exceptions_to_handle=(KieServerError,)
        )
        with pytest.raises(KieRateLimitError):
            refused.invoke("hi")


def test_a_rate_limiter_is_acquired_before_each_call() -> None:
    class Counting(InMemoryRateLimiter):
        acquired = 0

        def acquire(self, *, blocking: bool = True) -> bool:
            self.acquired += 1
            return True

    limiter = Counting()
    with server_sending(COMPLETION) as server:
        limited = model_at(server, rate_limiter=limiter)
        limited.invoke("hi")
        [*limited.stream("hi")]
    assert limiter.acquired == 2


def test_a_chain_and_a_stream_return_the_text() -> None:
    with server_sending(fixture("shape_a.sse")) as server:
        chain = model_at(server) | RunnableLambda(lambda message: message)
        assert chain.invoke("hi").text == "The sky is blue, né 🌤."
    model = model_reading(*events_of(fixture("shape_a.sse")))
    pieces = [chunk.text for chunk in model.stream("hi") if chunk.text]
    assert pieces == ["The sky", " is ", "blue, né 🌤."]


def test_disable_streaming_makes_a_stream_one_chunk() -> None:
    with server_sending(COMPLETION) as server:
        chunks = [*model_at(server, disable_streaming=True).stream("hi")]
        assert server.requests[0].json["stream"] is False
    assert len(chunks) == 1
    assert chunks[0].usage_metadata["total_tokens"] == 115


@pytest.mark.parametrize("name", ["shape_a.sse", "native_call.sse", "chat_call.sse"])
def test_a_message_can_be_loaded_without_this_package(name: str) -> None:
    with server_sending(fixture(name)) as server:
        message = model_at(server).invoke("hi")
    script = (
        "import json, sys; from langchain_core.load import loads\n"
        "m = loads(sys.argv[1], allowed_objects='messages')\n"
        "print(json.dumps([m.text, m.content_blocks, m.tool_calls, m.usage_metadata]))\n"
        "assert 'langchain_kie' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, dumps(message)],
        capture_output=True,
        check=True,
        timeout=MAX_RUN,
    )
    text, blocks, calls, usage = orjson.loads(done.stdout)
    assert text == message.text
    assert calls == message.tool_calls
    assert usage == orjson.loads(orjson.dumps(message.usage_metadata))
    kinds = [block["type"] for block in message.content_blocks]
    assert sorted(block["type"] for block in blocks) == sorted(kinds)
    shown = {b["reasoning"] for b in blocks if b["type"] == "reasoning"}
    assert shown == {message.additional_kwargs["reasoning_content"]}
