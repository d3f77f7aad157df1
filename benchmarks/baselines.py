"""The baselines of every client, with both APIs.

`Wire` parses the events and creates no messages. `Core` yields prepared chunks through LangChain.
`Plain` is the smallest correct integration, with ordinary constructors.
Knows LangChain and httpx. Knows nothing of `langchain_kie`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import orjson
from httpx_sse import aconnect_sse, connect_sse
from langchain_core.language_models.chat_models import (
    BaseChatModel,
    agenerate_from_stream,
    generate_from_stream,
)
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
)
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import PrivateAttr

from benchmarks.server import MODEL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from langchain_core.runnables import Runnable

Json = dict[str, Any]


# --- the JSON formats, in the shortest form ---------------------------------------------------


def _chat_message(message: BaseMessage) -> Json:
    if isinstance(message, AIMessage):
        calls = [_chat_call(call) for call in message.tool_calls]
        encoded = {"role": "assistant", "content": message.content}
        return {**encoded, "tool_calls": calls} if calls else encoded
    if isinstance(message, ToolMessage):
        content = message.content
        return {"role": "tool", "tool_call_id": message.tool_call_id, "content": content}
    role = "system" if isinstance(message, SystemMessage) else "user"
    return {"role": role, "content": message.content}


def _chat_call(call: ToolCall) -> Json:
    function = {"name": call["name"], "arguments": orjson.dumps(call["args"]).decode()}
    return {"id": call["id"], "type": "function", "function": function}


def chat_body(messages: Sequence[BaseMessage], *, stream: bool, tools: Any = None) -> Json:
    """The body of a Chat Completions request."""
    body = {"messages": [_chat_message(message) for message in messages], "stream": stream}
    return {**body, "tools": tools} if tools else body


def _native_message(message: BaseMessage, names: dict[str, str]) -> Json:
    if isinstance(message, AIMessage):
        parts: list[Json] = [{"text": message.content}] if message.content else []
        for call in message.tool_calls:
            names[call["id"] or ""] = call["name"]
            function_call = {"name": call["name"], "args": call["args"], "id": call["id"]}
            parts.append({"functionCall": function_call})
        return {"role": "model", "parts": parts}
    if isinstance(message, ToolMessage):
        response = {
            "name": names[message.tool_call_id],
            "response": {"output": message.content},
            "id": message.tool_call_id,
        }
        return {"role": "user", "parts": [{"functionResponse": response}]}
    return {"role": "user", "parts": [{"text": message.content}]}


def native_body(messages: Sequence[BaseMessage], *, stream: bool, tools: Any = None) -> Json:
    """The body of a native request."""
    names: dict[str, str] = {}
    system = [{"text": m.content} for m in messages if isinstance(m, SystemMessage)]
    rest = [m for m in messages if not isinstance(m, SystemMessage)]
    body: Json = {"contents": [_native_message(m, names) for m in rest], "stream": stream}
    if system:
        body["systemInstruction"] = {"parts": system}
    if tools:
        body["tools"] = [{"functionDeclarations": [tool["function"] for tool in tools]}]
    return body


def _chat_chunk(event: Json) -> AIMessageChunk:
    if not event["choices"]:
        return AIMessageChunk(
            content="",
            usage_metadata=_chat_usage(event),
            response_metadata={"credits_consumed": event["credits_consumed"]},
        )
    choice = event["choices"][0]
    delta = choice["delta"]
    additional_kwargs: Json = {}
    if reasoning := delta.get("reasoning_content"):
        additional_kwargs["reasoning_content"] = reasoning
    metadata: Json = {"model_provider": "kie"}
    if choice["finish_reason"]:
        metadata |= {"finish_reason": choice["finish_reason"], "model_name": event["model"]}
    return AIMessageChunk(
        content=delta.get("content") or "",
        additional_kwargs=additional_kwargs,
        tool_call_chunks=[
            tool_call_chunk(
                name=call["function"].get("name"),
                args=call["function"].get("arguments"),
                id=call.get("id"),
                index=call["index"],
            )
            for call in delta.get("tool_calls") or []
        ],
        response_metadata=metadata,
    )


def _chat_usage(event: Json) -> UsageMetadata:
    usage = event["usage"]
    return UsageMetadata(
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        total_tokens=usage["total_tokens"],
    )


def _chat_answer(body: Json) -> AIMessage:
    choice = body["choices"][0]
    message = choice["message"]
    return AIMessage(
        content=message["content"] or "",
        tool_calls=[
            tool_call(
                name=call["function"]["name"],
                args=orjson.loads(call["function"]["arguments"]),
                id=call["id"],
            )
            for call in message.get("tool_calls") or []
        ],
        usage_metadata=_chat_usage(body),
        response_metadata={
            "model_provider": "kie",
            "model_name": body["model"],
            "finish_reason": choice["finish_reason"],
            "credits_consumed": body["credits_consumed"],
        },
    )


def _native_chunk(event: Json) -> AIMessageChunk:
    candidate = event["candidates"][0]
    parts = candidate["content"]["parts"]
    thoughts = "".join(part["text"] for part in parts if part.get("thought"))
    metadata: Json = {"model_provider": "kie"}
    members: Json = {
        "content": "".join(p["text"] for p in parts if "text" in p and not p.get("thought")),
        "additional_kwargs": {"reasoning_content": thoughts} if thoughts else {},
        "response_metadata": metadata,
    }
    if finish_reason := candidate.get("finishReason"):
        usage = event["usageMetadata"]
        metadata |= {"finish_reason": finish_reason, "model_name": event["modelVersion"]}
        metadata["credits_consumed"] = event.get("credits_consumed")
        members["usage_metadata"] = UsageMetadata(
            input_tokens=usage["promptTokenCount"],
            output_tokens=usage["candidatesTokenCount"],
            total_tokens=usage["totalTokenCount"],
        )
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    chunks = [
        tool_call_chunk(
            name=call["name"], args=orjson.dumps(call["args"]).decode(), id=call["id"], index=n
        )
        for n, call in enumerate(calls)
    ]
    return AIMessageChunk(**members, tool_call_chunks=chunks)


_BODY = {"chat": chat_body, "native": native_body}
_CHUNK = {"chat": _chat_chunk, "native": _native_chunk}


def _path(wire: str, *, stream: bool) -> str:
    if wire == "chat":
        return f"/{MODEL}/v1/chat/completions"
    return f"/gemini/v1/models/{MODEL}:streamGenerateContent" + ("?alt=sse" if stream else "")


def _clients(base_url: str) -> tuple[httpx.Client, httpx.AsyncClient]:
    """Clients without a limit of connections, as an agent server needs them."""
    settings: Json = {
        "base_url": base_url,
        "headers": {"Authorization": "Bearer k", "Content-Type": "application/json"},
        "limits": httpx.Limits(),
        "timeout": 60,
    }
    return httpx.Client(**settings), httpx.AsyncClient(**settings)


# --- the baselines ----------------------------------------------------------------------------


class Wire:
    """Parses the events and creates no messages; encodes each request body once.

    The native API is always streamed, because only its streams have everything (docs/wire.md 2).
    """

    def __init__(self, wire: str, base_url: str) -> None:
        self._wire = wire
        self._client, self._async_client = _clients(base_url)
        self._bodies: dict[tuple[int, bool], bytes] = {}

    def stream(self, messages: Any) -> Iterator[Any]:
        """The events."""
        request = self._request(messages, stream=True)
        with connect_sse(self._client, "POST", **request) as source:
            for event in source.iter_sse():
                if event.data != "[DONE]":
                    yield orjson.loads(event.data)

    async def astream(self, messages: Any) -> AsyncIterator[Any]:
        """The events."""
        request = self._request(messages, stream=True)
        async with aconnect_sse(self._async_client, "POST", **request) as source:
            async for event in source.aiter_sse():
                if event.data != "[DONE]":
                    yield orjson.loads(event.data)

    def invoke(self, messages: Any) -> Any:
        """The body, or the events."""
        if self._wire == "native":
            return [*self.stream(messages)]
        response = self._client.post(**self._request(messages, stream=False))
        return orjson.loads(response.content)

    async def ainvoke(self, messages: Any) -> Any:
        """The body, or the events."""
        if self._wire == "native":
            return [event async for event in self.astream(messages)]
        response = await self._async_client.post(**self._request(messages, stream=False))
        return orjson.loads(response.content)

    def _request(self, messages: Any, *, stream: bool) -> Json:
        key = (id(messages), stream)
        if key not in self._bodies:
            listed = messages if isinstance(messages, list) else [messages]
            self._bodies[key] = orjson.dumps(_BODY[self._wire](listed, stream=stream))
        return {"url": _path(self._wire, stream=stream), "content": self._bodies[key]}


class Core(BaseChatModel):
    """Prepared chunks without a server: the cost of LangChain itself."""

    count: int = 1
    streaming: bool = False
    _chunks: list[ChatGenerationChunk] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "core"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **_: Any) -> Any:
        del messages, stop, run_manager
        return ChatResult(generations=[ChatGeneration(message=AIMessage("word " * self.count))])

    async def _agenerate(self, *args: Any, **kwargs: Any) -> Any:
        return self._generate(*args, **kwargs)

    def _stream(self, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        if not self._chunks:
            self._chunks = [
                ChatGenerationChunk(message=AIMessageChunk(content="word "))
                for _ in range(self.count)
            ]
        yield from self._chunks

    async def _astream(self, *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._stream():
            yield chunk

    def bind_tools(self, tools: Any, **kwargs: Any) -> Runnable[Any, AIMessage]:
        """Convert every tool, as `Plain` does."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)


class Plain(BaseChatModel):
    """The smallest correct integration; it always streams the native API, as `Wire` does."""

    wire: str
    base_url: str
    streaming: bool = False
    _client: httpx.Client = PrivateAttr()
    _async_client: httpx.AsyncClient = PrivateAttr()

    def model_post_init(self, _: Any) -> None:
        """Create the clients."""
        self._client, self._async_client = _clients(self.base_url)

    @property
    def _llm_type(self) -> str:
        return "plain"

    def _request(self, messages: Any, kwargs: Json, *, stream: bool) -> Json:
        body = _BODY[self.wire](messages, stream=stream, tools=kwargs.get("tools"))
        return {"url": _path(self.wire, stream=stream), "content": orjson.dumps(body)}

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        if self.wire == "native":
            return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))
        response = self._client.post(**self._request(messages, kwargs, stream=False))
        return self._result(response.raise_for_status())

    async def _agenerate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        if self.wire == "native":
            chunks = self._astream(messages, stop, run_manager, **kwargs)
            return await agenerate_from_stream(chunks)
        response = await self._async_client.post(**self._request(messages, kwargs, stream=False))
        return self._result(response.raise_for_status())

    @staticmethod
    def _result(response: httpx.Response) -> ChatResult:
        message = _chat_answer(orjson.loads(response.content))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        del stop, run_manager
        request = self._request(messages, kwargs, stream=True)
        with connect_sse(self._client, "POST", **request) as source:
            for event in source.iter_sse():
                if event.data != "[DONE]":
                    message = _CHUNK[self.wire](orjson.loads(event.data))
                    yield ChatGenerationChunk(message=message)

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        del stop, run_manager
        request = self._request(messages, kwargs, stream=True)
        async with aconnect_sse(self._async_client, "POST", **request) as source:
            async for event in source.aiter_sse():
                if event.data != "[DONE]":
                    message = _CHUNK[self.wire](orjson.loads(event.data))
                    yield ChatGenerationChunk(message=message)

    def bind_tools(self, tools: Any, **kwargs: Any) -> Runnable[Any, AIMessage]:
        """Convert every tool, every time."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)
