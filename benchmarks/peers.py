"""Sends the same answers to this package and to its peers, and prints what each makes of them.

Run it with `make peers`; the table in docs/peers.md is its output.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import orjson
from langchain.agents import create_agent
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel
from scripted_server import Scripted, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from langchain_core.language_models import BaseChatModel

JSON = {"Content-Type": "application/json"}
KEY = "sk-peers"
MAX_REQUESTS = 6


class Place(BaseModel):
    """A place."""

    city: str
    country: str


class TreeNode(BaseModel):
    """A node of a tree."""

    name: str
    children: list[TreeNode] | None = None


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@dataclass(frozen=True)
class Peer:
    """One package with one API.

    Attributes:
        package: The name of its distribution.
        api: `chat` or `native`: which bytes it reads.
        make: Returns a model that calls a base URL.
        streams_invoke: Whether `invoke` asks for a stream.
    """

    package: str
    api: str
    make: Callable[[str], BaseChatModel]
    streams_invoke: bool = False

    @property
    def name(self) -> str:
        """The name in the table."""
        return f"{self.package} ({self.api})"


def _ours(api: str) -> Callable[[str], BaseChatModel]:
    def make(base_url: str) -> BaseChatModel:
        from langchain_kie import ChatKieGemini

        return ChatKieGemini(
            model="gemini-3.8-flash", api=api, base_url=base_url, api_key=KEY, max_retries=0
        )

    return make


def _openai(base_url: str) -> BaseChatModel:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model="gemini-3.8-flash", base_url=base_url, api_key=KEY, max_retries=0)


def _openrouter(base_url: str) -> BaseChatModel:
    from langchain_openrouter import ChatOpenRouter

    return ChatOpenRouter(model="gemini-3.8-flash", base_url=base_url, api_key=KEY, max_retries=0)


def _litellm(base_url: str) -> BaseChatModel:
    import litellm
    from langchain_litellm import ChatLiteLLM

    litellm.suppress_debug_info = True  # else it prints advice into the table
    return ChatLiteLLM(
        model="openai/gemini-3.8-flash", api_base=base_url, api_key=KEY, max_retries=0
    )


def _google(base_url: str) -> BaseChatModel:
    from langchain_google_genai import ChatGoogleGenerativeAI

    return ChatGoogleGenerativeAI(
        model="gemini-3.8-flash", base_url=base_url, api_key=KEY, max_retries=1
    )


PEERS = [
    Peer("langchain-kie", "chat", _ours("chat_completions")),
    Peer("langchain-kie", "native", _ours("generate_content"), streams_invoke=True),
    Peer("langchain-openai", "chat", _openai),
    Peer("langchain-openrouter", "chat", _openrouter),
    Peer("langchain-litellm", "chat", _litellm),
    Peer("langchain-google-genai", "native", _google),
]


def _event(value: Any) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _chat(delta: dict, **members: Any) -> dict:
    choice = {"index": 0, "delta": delta, "finish_reason": members.pop("finish_reason", None)}
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**head, "choices": [choice], **members}


def _native(*parts: dict, tokens: int = 0, **members: Any) -> dict:
    candidate = {"content": {"role": "model", "parts": [*parts]}, "index": 0, **members}
    usage = {"promptTokenCount": 10, "candidatesTokenCount": tokens, "totalTokenCount": 10 + tokens}
    return {"candidates": [candidate], "usageMetadata": usage}


BLOCKED = {"promptFeedback": {"blockReason": "SAFETY"}, **_native()}
BLOCKED.pop("candidates")
NO_CREDITS = Scripted(
    [orjson.dumps({"code": 402, "msg": "Credits insufficient", "data": None})], headers=JSON
)


def _usage(tokens: int) -> dict:
    return {"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens}


def _both(api: str, chat: Sequence[dict], native: Sequence[dict]) -> bytes:
    events = b"".join(map(_event, chat if api == "chat" else native))
    return events + (b"data: [DONE]\n\n" if api == "chat" else b"")


def _invoked(peer: Peer, message: dict, native: dict) -> Scripted:
    """A complete answer, in the form in which the package's `invoke` asks for it."""
    if peer.api == "native":
        body = _event(native) if peer.streams_invoke else orjson.dumps(native)
        return Scripted([body]) if peer.streams_invoke else Scripted([body], headers=JSON)
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    head = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m"}
    body = {**head, "system_fingerprint": None, "choices": [choice], "usage": _usage(5)}
    return Scripted([orjson.dumps(body)], headers=JSON)


def _text(peer: Peer, text: str) -> Scripted:
    """A complete answer of text, for `invoke`."""
    return _invoked(peer, {"content": text}, _native({"text": text}, tokens=5, finishReason="STOP"))


def _error(error: BaseException) -> str:
    """The class of an error."""
    return f"`{type(error).__name__}`"


def _streamed(model: BaseChatModel) -> AIMessageChunk:
    total: Any = None
    for chunk in model.stream("hi"):
        total = chunk if total is None else total + chunk
    return total


def refusal(peer: Peer) -> Iterator[Any]:
    """A blocked prompt: blocks of the message, and structured output."""
    chat = _both("chat", [_chat({"refusal": "I cannot."}, finish_reason="stop")], [])
    model = yield Scripted([chat if peer.api == "chat" else _event(BLOCKED)])
    message = _streamed(model)
    blocks = [block["type"] for block in message.content_blocks]
    yield f"blocks {blocks}"


def refusal_schema(peer: Peer) -> Iterator[Any]:
    """The same with `with_structured_output`."""
    model = yield _invoked(peer, {"content": None, "refusal": "I cannot."}, BLOCKED)
    yield f"{model.with_structured_output(Place).invoke('hi')!r}"


def cut_stream(peer: Peer) -> Iterator[Any]:
    """A stream that ends in the middle, without an error of HTTP."""
    chat, native = _chat({"content": "The answer is"}), _native({"text": "The answer is"})
    model = yield Scripted([_event(chat if peer.api == "chat" else native)])
    yield f"no error, {_streamed(model).text!r}"


def error_in_200(_peer: Peer) -> Iterator[Any]:
    """HTTP 200 with an error: no credits."""
    model = yield NO_CREDITS
    yield f"no error, {model.invoke('hi').text!r}"


def error_in_200_streamed(_peer: Peer) -> Iterator[Any]:
    """The same, asked for as a stream."""
    model = yield NO_CREDITS
    total = _streamed(model)
    yield f"no error, {total.text!r}" if total else "no error, no chunk"


def cumulative_usage(peer: Peer) -> Iterator[Any]:
    """Token counts so far in each event: 2, 4, 6 output tokens."""
    chat = [_chat({"content": "a"}, usage=_usage(n)) for n in (2, 4)]
    chat += [_chat({}, finish_reason="stop", usage=_usage(6))]
    native = [_native({"text": "a"}, tokens=n) for n in (2, 4)]
    native += [_native({"text": "a"}, tokens=6, finishReason="STOP")]
    model = yield Scripted([_both(peer.api, chat, native)])
    usage = _streamed(model).usage_metadata
    yield f"{usage['output_tokens']} output tokens" if usage else "no usage"


def call_ids(peer: Peer) -> Iterator[Any]:
    """Two parallel calls without ids."""
    calls = [
        {"index": i, "type": "function", "function": {"name": "weather", "arguments": args}}
        for i, args in enumerate(['{"city": "Oslo"}', '{"city": "Rome"}'])
    ]
    parts = [
        {"functionCall": {"name": "weather", "args": {"city": city}}} for city in ("Oslo", "Rome")
    ]
    chat = [_chat({"tool_calls": calls}), _chat({}, finish_reason="tool_calls", usage=_usage(6))]
    native = [_native(*parts, tokens=6, finishReason="STOP")]
    model = yield Scripted([_both(peer.api, chat, native)])
    ids = [call["id"] for call in _streamed(model.bind_tools([weather])).tool_calls]
    yield f"{len(ids)} calls, {len({id_ for id_ in ids if id_})} ids"


def signature(peer: Peer) -> Iterator[Any]:
    """A thought signature of a tool call, sent back with the result."""
    call = {"index": 0, "id": "call_1", "type": "function"}
    call["function"] = {"name": "weather", "arguments": '{"city": "Oslo"}'}
    call["extra_content"] = {"google": {"thought_signature": "c2lnbmVk"}}
    part = {"functionCall": {"name": "weather", "args": {"city": "Oslo"}, "id": "call_1"}}
    part["thoughtSignature"] = "c2lnbmVk"
    chat = [_chat({"tool_calls": [call]}), _chat({}, finish_reason="tool_calls", usage=_usage(6))]
    native = [_native(part, tokens=6, finishReason="STOP")]
    model = yield [Scripted([_both(peer.api, chat, native)]), _text(peer, "sunny")]
    model = model.bind_tools([weather])
    answer = _streamed(model)
    result = ToolMessage("sunny", tool_call_id=answer.tool_calls[0]["id"] or "call_1")
    _ignoring(lambda: model.invoke([HumanMessage("hi"), answer, result]))
    sent = yield None
    yield "sent back" if b"c2lnbmVk" in sent[-1].body else "lost"


def recursive(peer: Peer) -> Iterator[Any]:
    """A tree of three levels, for a model with recursive fields."""
    tree = {"name": "a", "children": [{"name": "b", "children": [{"name": "c", "children": []}]}]}
    model = yield _text(peer, orjson.dumps(tree).decode())
    method = {} if peer.package == "langchain-kie" else {"method": "json_schema"}
    value = model.with_structured_output(TreeNode, **method).invoke("hi")
    sent = yield None
    body = orjson.loads(sent[-1].body)
    yield f"{'parsed' if isinstance(value, TreeNode) else repr(value)}; {_schema_kind(body)}"


def _schema_kind(body: dict) -> str:
    text = orjson.dumps(body).decode()
    refs = "with `$ref`" if "$ref" in text else "without `$ref`"
    return f"schema {refs}" if '"children"' in text else "no schema"


def fenced_in_agent(peer: Peer) -> Iterator[Any]:
    """`create_agent(model, [], response_format=Place)`; the answer is JSON in a Markdown fence."""
    model = yield _text(peer, '```json\n{"city": "Oslo", "country": "Norway"}\n```')
    agent = create_agent(model, [], response_format=Place)
    config = {"recursion_limit": 2 * MAX_REQUESTS}
    state = agent.invoke({"messages": [("user", "hi")]}, config)
    sent = yield None
    found = "`Place`" if isinstance(state.get("structured_response"), Place) else "nothing"
    yield f"{found}, requests: {len(sent)}"


ROWS: dict[str, Callable[[Peer], Iterator[Any]]] = {
    "refusal, streamed": refusal,
    "refusal, `with_structured_output`": refusal_schema,
    "stream that is cut": cut_stream,
    "HTTP 200 with error 402, `invoke`": error_in_200,
    "HTTP 200 with error 402, `stream`": error_in_200_streamed,
    "usage so far in each event (2, 4, 6)": cumulative_usage,
    "two calls without ids": call_ids,
    "thought signature of a call": signature,
    "recursive schema": recursive,
    "fenced JSON in an agent": fenced_in_agent,
}


def _ignoring(action: Callable[[], Any]) -> None:
    try:
        action()
    except Exception as error:  # noqa: BLE001  # the request that was sent is what counts
        print(f"ignored: {type(error).__name__}: {error}"[:200], file=sys.stderr)


def outcome(row: Callable[[Peer], Iterator[Any]], peer: Peer) -> str:
    """What a package makes of one row's answers, in a few words."""
    steps = row(peer)
    script = next(steps)
    with ScriptedServer(*(script if isinstance(script, list) else [script])) as server:
        try:
            value = steps.send(peer.make(server.base_url))
            return value if value is not None else steps.send(server.requests)
        except Exception as error:  # noqa: BLE001  # every error is an outcome
            print(f"{peer.name}: {type(error).__name__}: {error}"[:300], file=sys.stderr)
            again = f", requests: {len(server.requests)}" if len(server.requests) > 1 else ""
            return _error(error) + again


def main() -> None:
    """Print the table."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    packages = {peer.package: version(peer.package) for peer in PEERS}
    print(", ".join(f"{name} {number}" for name, number in packages.items()))
    print(f"langchain-core {version('langchain-core')}, langchain {version('langchain')}\n")
    print("| the server sends |", " | ".join(peer.name for peer in PEERS), "|")
    print("|---" * (len(PEERS) + 1) + "|")
    for name, row in ROWS.items():
        print(f"| {name} |", " | ".join(outcome(row, peer) for peer in PEERS), "|", flush=True)


if __name__ == "__main__":
    main()
