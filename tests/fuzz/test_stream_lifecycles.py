"""Streams that are read, closed, cancelled and truncated in any order.

No stream delivers chunks of another, and none leaves a connection open.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, rule
from limits import MAX_WAIT
from scripted_server import Scripted, ScriptedServer, sse

from fuzz.laws import COUNTS, KEY, sized
from langchain_kie import ChatKieGemini, KieConnectionError

if TYPE_CHECKING:
    from langchain_core.messages import AIMessageChunk


@dataclass(eq=False)
class Stream:
    """An answer that is being read."""

    chunks: Any
    text: str
    is_complete: bool
    is_stalled: bool
    received: str = ""
    is_finished: bool = False


class StreamLifecycles(RuleBasedStateMachine):
    """One server, one sync client, and several event loops one after the other."""

    streams: Bundle[Stream] = Bundle("streams")

    def __init__(self) -> None:
        super().__init__()
        COUNTS["TestStreamLifecycles"] += 1
        self.server = ScriptedServer().__enter__()
        self.client = httpx.Client(verify=False)
        self.model = ChatKieGemini(
            model="gemini-3-flash",
            api_key=KEY,
            base_url=self.server.base_url,
            http_client=self.client,
            max_retries=0,
        )
        self.loop = asyncio.Runner()
        self.open: list[Stream] = []

    @rule(
        target=streams,
        is_async=st.booleans(),
        count=st.integers(1, 4),
        ending=st.sampled_from(
            ["chunk-end", "chunk-end", "fin-unframed", "fin-mid-chunk", "stall"]
        ),
        is_complete=st.booleans(),
    )
    def start(self, is_async: bool, count: int, ending: Any, is_complete: bool) -> Stream:
        number = len(self.server.script)
        words = [f"{number}.{n} " for n in range(count)]
        events: list[Any] = [{"choices": [{"index": 0, "delta": {"content": w}}]} for w in words]
        end = ["[DONE]"] if is_complete else []
        pieces = [sse(event) for event in [*events, *end]]
        self.server.script.append(Scripted(pieces, ending=ending))
        start = self.model.astream if is_async else self.model.stream
        is_stalled = ending == "stall" and not is_complete
        stream = Stream(start(str(number)), "".join(words), is_complete, is_stalled)
        self.open.append(stream)
        self.read(stream)
        return stream

    @rule(stream=streams)
    def read(self, stream: Stream) -> None:
        if stream.is_finished or (stream.is_stalled and stream.received == stream.text):
            return
        try:
            chunk: AIMessageChunk = self.step(stream)
            stream.received += chunk.text
            assert stream.text.startswith(stream.received), "a chunk of another answer"
        except (StopIteration, StopAsyncIteration):
            assert stream.is_complete
            assert stream.received == stream.text
            stream.is_finished = True
        except KieConnectionError:
            assert not stream.is_complete
            stream.is_finished = True

    def step(self, stream: Stream) -> AIMessageChunk:
        if isinstance(stream.chunks, AsyncIterator):
            return self.loop.run(anext_of(stream.chunks))
        return next(stream.chunks)

    @rule(stream=consumes(streams))
    def close(self, stream: Stream) -> None:
        if isinstance(stream.chunks, AsyncIterator):
            self.loop.run(stream.chunks.aclose())
        else:
            stream.chunks.close()
        self.discard(stream)

    @rule(stream=consumes(streams))
    def abandon(self, stream: Stream) -> None:
        """Stop reading without closing, as `break` does."""
        self.discard(stream)

    @rule(stream=consumes(streams), turns=st.integers(0, 5))
    def cancel(self, stream: Stream, turns: int) -> None:
        if isinstance(stream.chunks, AsyncIterator):
            self.loop.run(cancelled(stream.chunks, turns))
        self.discard(stream)

    @rule()
    def replace_loop(self) -> None:
        for stream in self.open:
            if isinstance(stream.chunks, AsyncIterator):
                stream.is_finished = True
        self.loop.close()
        self.loop = asyncio.Runner()

    def discard(self, stream: Stream) -> None:
        stream.is_finished, stream.chunks = True, iter(())
        self.open.remove(stream)

    def teardown(self) -> None:
        """Without streams, no connection is busy; without clients, none is open."""
        for stream in [*self.open]:
            self.discard(stream)
        self.loop.close()
        assert all(c.is_idle() for c in self.client._transport._pool.connections)
        self.client.close()
        end = time.monotonic() + MAX_WAIT
        # Once is enough: the server may yet accept a connection that the client has closed.
        while self.server.open_connections:
            assert time.monotonic() < end, "a connection is open"
            time.sleep(0.002)
        self.server.__exit__()


async def anext_of(chunks: AsyncIterator[AIMessageChunk]) -> AIMessageChunk:
    return await anext(chunks)


async def cancelled(chunks: AsyncIterator[AIMessageChunk], turns: int) -> None:
    """Cancel the next step after some iterations of the event loop."""
    task = asyncio.create_task(anext_of(chunks))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError, StopAsyncIteration, KieConnectionError):
        await task


StreamLifecycles.TestCase.settings = sized(20, stateful_step_count=15)
TestStreamLifecycles = StreamLifecycles.TestCase
