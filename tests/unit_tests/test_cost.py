"""What a chunk, a call, a model, a message, a tool or arguments cost, in function calls.

Time is different on every run, the number of calls is not. Counted are the calls of this
package, LangChain and pydantic, and what these call of C, while a model talks to a real server.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import sys
import threading
import tracemalloc
from functools import cache, partial
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest
from call_modes import fixture, model_at, model_reading, server_sending, with_fields
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tracers import context

from langchain_kie import ChatKieGemini
from langchain_kie._chat_model.call import prepare, transport_of
from langchain_kie._conversation import media

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

    from langchain_core.messages import BaseMessage

PACKAGES = ("langchain_kie", "langchain_core", "pydantic")
CHAT, NATIVE = "chat_completions", "generate_content"
RESPONSES = {CHAT: fixture("chat_completion.json"), NATIVE: fixture("native_response.json")}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(1000)).decode()
PARAMETERS = {"type": "object", "properties": {"a": {"type": "array"}, "b": {"type": "string"}}}


@pytest.fixture(autouse=True)
def no_hooks_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """LangChain keeps a hook of each usage callback for ever (langchain-core 1.8.3)."""
    monkeypatch.setattr(context, "_configure_hooks", [])


@cache
def is_counted(code: CodeType) -> bool:
    return any(f"/{package}/" in code.co_filename for package in PACKAGES)


def calls_of(run: Callable[[], Any]) -> int:
    """How many calls a third run makes, when caches are full."""
    calls = 0

    def count(frame: FrameType, event: str, _: Any) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"} and is_counted(frame.f_code)

    run()
    run()
    gc.collect()
    gc.disable()
    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(None)
        gc.enable()
    return calls


def event(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: " + orjson.dumps({"id": "1", "model": "m", "choices": [choice]}) + b"\n\n"


def native_event(part: dict[str, Any], **members: Any) -> bytes:
    candidate = {"content": {"role": "model", "parts": [part]}, "index": 0, **members}
    body = {"candidates": [candidate], "modelVersion": "m", "responseId": "1"}
    return b"data: " + orjson.dumps(body) + b"\n\n"


def arguments(count: int, piece: str) -> list[bytes]:
    """A call whose arguments come in pieces."""
    texts = ['{"a": [0', *[piece] * count, "]}"]
    calls = [{"index": 0, "function": {"arguments": text}} for text in texts]
    calls[0] = {"index": 0, "id": "call_1", "function": {"name": "f", "arguments": texts[0]}}
    return [event({"tool_calls": [call]}) for call in calls]


def stream(model: Any) -> None:
    [*model.stream("hi")]


def astream(model: Any) -> None:
    async def read() -> None:
        [chunk async for chunk in model.astream("hi")]

    asyncio.run(read())


def stream_with_handler(model: Any) -> None:
    class Handler(BaseCallbackHandler):
        def on_llm_new_token(self, token: str, **_: Any) -> None: ...

    [*model.stream("hi", {"callbacks": [Handler()]})]


def streaming(model: Any) -> None:
    with_fields(model, streaming=True).invoke("hi")


def streamed(
    events: list[bytes], api: str, read: Callable[[Any], None] = stream, **bound: Any
) -> int:
    """The calls to read a stream, an event in each read."""
    end = (
        event({"content": "."}, "stop")
        if api == CHAT
        else native_event({"text": "."}, finishReason="STOP")
    )
    model = model_reading(*events, end, b"data: [DONE]\n\n", api=api).bind(**bound)
    return calls_of(lambda: read(model))


def chunks(api: str, read: Callable[[Any], None]) -> Callable[[int], int]:
    """The calls to read as many chunks with another method than `stream()`."""
    one = event({"content": "word "}) if api == CHAT else native_event({"text": "word "})
    return lambda n: streamed([one] * n, api, read)


def together(events: list[bytes], api: str) -> int:
    """The calls to read a stream, all events in one read."""
    return streamed([b"".join(events)], api)


def invoked(messages: list[BaseMessage], api: str, **bound: Any) -> int:
    """The calls to ask for an answer that is not streamed."""
    with server_sending(RESPONSES[api]) as server:
        model = model_at(server, api=api).bind(**bound)
        return calls_of(lambda: model.invoke(messages))


def invoked_with_new(make: Callable[[], list[BaseMessage]], api: str) -> int:
    """The calls to ask with messages that were never sent before."""
    with server_sending(RESPONSES[api]) as server:
        model = model_at(server, api=api)
        conversations = [make() for _ in range(3)]
        return calls_of(lambda: model.invoke(conversations.pop()))


def invoked_by_agent(messages: list[BaseMessage], api: str) -> int:
    """The calls of an agent's step, which adds a tool call and its result to a conversation."""
    steps = count()

    def step() -> None:
        call = {"name": "search", "args": {}, "id": f"step_{next(steps)}"}
        messages.extend(
            [AIMessage("", tool_calls=[call]), ToolMessage("", tool_call_id=call["id"])]
        )
        model.invoke(messages)

    with server_sending(RESPONSES[api]) as server:
        model = model_at(server, api=api)
        return calls_of(step)


def history(count: int) -> list[BaseMessage]:
    """As many messages, half of them a tool's call and its result, and a last one."""
    messages: list[BaseMessage] = []
    for n in range(count // 4):
        call = {"name": "search", "args": {"query": "word", "limit": n}, "id": f"call_{n}"}
        messages += [
            HumanMessage("What do you know?"),
            AIMessage("", tool_calls=[call]),
            ToolMessage("A line or two.", tool_call_id=f"call_{n}"),
            AIMessage("That is all."),
        ]
    return [*messages, HumanMessage("And now?")]


def pictures(count: int) -> list[BaseMessage]:
    """As many pictures, half of them in tool results."""
    calls = [{"name": "look", "args": {"n": n}, "id": f"call_{n}"} for n in range(count // 2)]
    url = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    block = {"type": "image", "base64": PNG, "mime_type": "image/png"}
    return [
        HumanMessage([{"type": "text", "text": "?"}, *[url.copy() for _ in calls]]),
        AIMessage("", tool_calls=calls),
        *(ToolMessage([block.copy()], tool_call_id=call["id"]) for call in calls),
    ]


def results(count: int) -> list[BaseMessage]:
    """As many tool results that are JSON."""
    calls = [{"name": "look", "args": {"n": n}, "id": f"call_{n}"} for n in range(count)]
    texts = [ToolMessage('{"rows": [1, 2, 3]}', tool_call_id=call["id"]) for call in calls]
    return [HumanMessage("?"), AIMessage("", tool_calls=calls), *texts]


def function(number: int) -> dict[str, Any]:
    return {"type": "function", "function": {"name": f"f{number}", "parameters": PARAMETERS}}


def supports(count: int) -> list[bytes]:
    """Two events with as many supports of citations, each of another segment."""
    return [
        native_event(
            {"text": "ab "},
            groundingMetadata={
                "groundingSupports": [
                    {"segment": {"startIndex": n, "endIndex": n + 1}, "groundingChunkIndices": [0]}
                    for n in range(start, start + count)
                ]
            },
        )
        for start in (0, count)
    ]


HELD = {"tools": [{"type": "function", "function": {"name": "f", "parameters": PARAMETERS}}]}

WORKS: dict[str, tuple[Callable[[int], int], float]] = {
    "a chunk": (lambda n: streamed([event({"content": "word "})] * n, CHAT), 95),
    "a native chunk": (lambda n: streamed([native_event({"text": "word "})] * n, NATIVE), 99),
    "a chunk of astream": (chunks(CHAT, astream), 95),
    "a native chunk of astream": (chunks(NATIVE, astream), 99),
    "a chunk with streaming=True": (chunks(CHAT, streaming), 94),
    "a native chunk with streaming=True": (chunks(NATIVE, streaming), 97),
    "a chunk with a handler": (chunks(CHAT, stream_with_handler), 99),
    "a native chunk with a handler": (chunks(NATIVE, stream_with_handler), 103),
    "a thought": (lambda n: streamed([event({"reasoning_content": "word "})] * n, CHAT), 98),
    "a native thought": (
        lambda n: streamed([native_event({"text": "word ", "thought": True})] * n, NATIVE),
        97,
    ),
    "an event among others": (lambda n: together([event({"content": "word "})] * n, CHAT), 7.5),
    "a native event among others": (
        lambda n: together([native_event({"text": "word "})] * n, NATIVE),
        7.5,
    ),
    "a thought among others": (
        lambda n: together([event({"reasoning_content": "word "})] * n, CHAT),
        7.5,
    ),
    "a piece of arguments": (lambda n: streamed(arguments(n, ', "word"'), CHAT), 148),
    "a piece that is held": (lambda n: streamed(arguments(n, ', "word"'), CHAT, **HELD), 153),
    "a piece that ends an object": (
        lambda n: streamed(arguments(n, ', {"b": {}}'), CHAT, **HELD),
        162.1,  # 162, and four calls in all to check the depth of many brackets
    ),
    "a support of a citation": (lambda n: streamed(supports(n), NATIVE), 94),
    "a message": (lambda n: invoked(history(n), CHAT), 8.7),
    "a native message": (lambda n: invoked(history(n), NATIVE), 8.7),
    "a message before a new step": (lambda n: invoked_by_agent(history(n), CHAT), 8.7),
    "a native message before a new step": (lambda n: invoked_by_agent(history(n), NATIVE), 8.7),
    "a new message": (lambda n: invoked_with_new(lambda: history(n), CHAT), 34),
    "a new native message": (lambda n: invoked_with_new(lambda: history(n), NATIVE), 35),
    "a picture": (lambda n: invoked(pictures(n), CHAT), 112),
    "a native picture": (lambda n: invoked(pictures(n), NATIVE), 108),
    "a JSON result": (lambda n: invoked(results(n), CHAT), 7.4),
    "a native JSON result": (lambda n: invoked(results(n), NATIVE), 7.4),
    "a tool": (lambda n: invoked(history(0), CHAT, tools=[function(i) for i in range(n)]), 0.1),
    "a native tool": (
        lambda n: invoked(history(0), NATIVE, tools=[function(i) for i in range(n)]),
        0.1,
    ),
}
"""What is counted, and the most calls that one more may take."""


@pytest.mark.parametrize(("count", "limit"), WORKS.values(), ids=WORKS)
def test_one_more_costs_the_same_among_few_and_among_many(
    count: Callable[[int], int], limit: float
) -> None:
    sizes = (20, 60, 300)
    calls = [count(size) for size in sizes]
    few, many = (
        (calls[i] - calls[j]) / (sizes[i] - sizes[j]) for j, i in pairwise(range(len(sizes)))
    )
    assert many <= limit
    assert many <= few * 1.1 + 0.2


def ainvoked(api: str, base_url: str, client: httpx.AsyncClient | None = None) -> int:
    async def close() -> None:
        if client:
            await client.aclose()

    with asyncio.Runner() as runner:
        model = new_model(api, base_url, http_async_client=client)
        calls = calls_of(lambda: runner.run(model.ainvoke("hi")))
        runner.run(close())
    return calls


def invoked_with_client(api: str, base_url: str) -> int:
    with httpx.Client() as client:
        model = new_model(api, base_url, http_client=client)
        return calls_of(lambda: model.invoke("hi"))


def new_model(api: str, base_url: str, **fields: Any) -> ChatKieGemini:
    return ChatKieGemini(
        model="gemini-3-flash", api=api, api_key="k", base_url=base_url, max_retries=0, **fields
    )


CALLS: dict[str, tuple[Callable[[str, str], int], int, int]] = {
    "invoke": (lambda api, url: calls_of(partial(new_model(api, url).invoke, "hi")), 560, 573),
    "ainvoke": (ainvoked, 950, 960),
    "invoke with a client of the user": (invoked_with_client, 505, 515),
    "ainvoke with a client of the user": (
        lambda api, url: ainvoked(api, url, httpx.AsyncClient()),
        940,
        950,
    ),
    "construct": (lambda api, url: calls_of(lambda: new_model(api, url)), 102, 102),
}
"""What is counted, and the most calls that one may take with the chat and with the native API.

An async call takes 15 calls more for each read that has to wait.
"""


@pytest.mark.parametrize(("count", "chat", "native"), CALLS.values(), ids=CALLS)
def test_a_call_costs_no_more_than_it_did(
    count: Callable[[str, str], int], chat: int, native: int
) -> None:
    for api, limit in ((CHAT, chat), (NATIVE, native)):
        with server_sending(RESPONSES[api]) as server:
            assert count(api, server.base_url) <= limit


def large_pictures() -> list[BaseMessage]:
    """Four megabytes of pictures in every form that a caller may have."""
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(750_000)).decode()
    call = {"name": "look", "args": {}, "id": "call_1"}
    blocks: list[Any] = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
        {"type": "file", "base64": data, "mime_type": "image/png"},
        {"type": "file", "file": {"file_data": f"data:image/png;base64,{data}"}},
    ]
    return [
        HumanMessage(blocks),
        AIMessage("", tool_calls=[call]),
        ToolMessage([{"type": "image", "base64": data}], tool_call_id="call_1"),
    ]


@pytest.mark.parametrize("api", [CHAT, NATIVE])
def test_media_are_checked_once_in_a_thread(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[int] = []
    check = media._is_base64
    monkeypatch.setattr(
        media,
        "_is_base64",
        lambda *args: checked.append(threading.get_ident()) or check(*args),
    )
    messages = large_pictures()[:1]
    messages[0].content.pop()  # type: ignore[union-attr]
    with server_sending(RESPONSES[api]) as server:
        model = model_at(server, api=api, inline_media_limit=10**8)
        asyncio.run(model.ainvoke(messages))
        assert len(checked) == len(messages[0].content)
        assert threading.get_ident() not in checked
        checked.clear()
        model.invoke(messages)
        messages = large_pictures()
        model.invoke(messages)
        checked.clear()
        model.invoke(messages)
        assert not checked


@pytest.mark.parametrize("api", [CHAT, NATIVE])
def test_media_are_not_copied(api: str) -> None:
    messages = large_pictures()[:1]
    size = sum(map(_chars, messages))
    with server_sending(RESPONSES[api]) as server:
        model = model_at(server, api=api, inline_media_limit=10**8)
        model.invoke("hi")
        tracemalloc.start()
        try:
            call, _ = prepare(model, messages, None, {}).build(stream=False)
            request = transport_of(model)._request(call, None)
            written = sum(map(len, request.stream))  # type: ignore[arg-type]
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert written > size
    assert peak < size / 2


def _chars(message: BaseMessage) -> int:
    return len(str(message.content))
