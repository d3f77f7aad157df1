"""What the targets share: their size, the models, and how to ask, read, keep and go on."""

from __future__ import annotations

import copy
import os
import pickle
from collections import Counter
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import httpx
import orjson
from hypothesis import HealthCheck, Phase, settings
from langchain_core.load import dumps, loads
from langchain_core.messages import HumanMessage, ToolMessage, message_chunk_to_message
from pydantic import SecretStr

from langchain_kie import ChatKieGemini, KieError
from langchain_kie._answer.messages import merge_chunks
from langchain_kie._http.response import ResponseReader
from langchain_kie._http.transport import BearerAuth
from langchain_kie.emulator import Emulator
from langchain_kie.emulator.app import build_app

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage

COUNTS: Counter[str] = Counter()
"""How many examples each target has run."""

KEY = "canary-0123456789abcdefghijklmnop"
CHAT = ChatKieGemini(model="gemini-3.1-pro", api_key=KEY)
NATIVE = ChatKieGemini(model="gemini-3.5-flash", api_key=KEY)
GATEWAY = ChatKieGemini(model="gemini-3-flash", api_key=KEY, api="gateway")
MODELS = [CHAT, NATIVE, GATEWAY]
PNG = b"\x89PNG\r\n\x1a\n"


def sized(examples: int, **more: Any) -> settings:
    """The settings of a target.

    A test run makes the same examples every time; `make fuzz` makes other ones in each of its
    rounds, and keeps those that failed.
    """
    if "FUZZ" in os.environ:
        more["report_multiple_bugs"] = False
    else:
        more |= {"derandomize": True, "database": None}
    more["phases"] = [phase for phase in Phase if phase is not Phase.explain]
    return settings(
        max_examples=examples, deadline=None, suppress_health_check=[*HealthCheck], **more
    )


def prepared(model: ChatKieGemini, messages: Sequence[BaseMessage], **options: Any) -> Any:
    """The call that a request is, and the reader of its answer.

    Raises:
        ValueError: It cannot be sent.
    """
    return model._prepare([*messages], None, options).build(stream=True)


def body_of(model: ChatKieGemini, messages: Sequence[BaseMessage], **options: Any) -> Any:
    """The body of a request, as a server parses it."""
    return orjson.loads(prepared(model, messages, **options)[0].body)


def guard(call: Any, status: int = 200, headers: Any = None) -> ResponseReader[Any]:
    """What reads a response, without a connection."""
    return ResponseReader(call, status, headers or {}, BearerAuth(SecretStr(KEY)).redact)


def chunks_of(
    pieces: Sequence[bytes], model: ChatKieGemini = NATIVE, **options: Any
) -> list[AIMessageChunk]:
    """The chunks of a response, as the model yields them."""
    call, reader = prepared(model, [HumanMessage("hi")], **options)
    answer = guard(call)
    chunks = [reader.feed(item) for piece in pieces for item in answer.feed(piece)]
    chunks += [reader.feed(item) for item in answer.close()]
    return [*(chunk for chunk in chunks if chunk), reader.finish()]


def message_or_error(
    pieces: Sequence[bytes], model: ChatKieGemini = NATIVE, **options: Any
) -> tuple[list[AIMessageChunk], AIMessage | None, KieError | None]:
    """What a response is: a message and its chunks, or a `KieError`; anything else escapes."""
    try:
        chunks = chunks_of(pieces, model, **options)
        return chunks, merge_chunks(chunks), None
    except KieError as error:
        return [], None, error


def bare(message: AIMessage) -> dict[str, Any]:
    """A message without its id."""
    return message.model_dump(exclude={"id"})


KEEPERS: dict[str, Any] = {
    "as it is": lambda message: message,
    "JSON": lambda message: loads(dumps(message), allowed_objects="messages"),
    "pickle": lambda message: pickle.loads(pickle.dumps(message)),
    "copy": lambda message: message.model_copy(deep=True),
}


def check_kept(message: AIMessage, chunks: list[AIMessageChunk]) -> None:
    """A message is the same whatever LangChain does with it, and can be shown."""
    before = copy.deepcopy(message)
    for keep in KEEPERS.values():
        assert keep(message) == message
    assert message_chunk_to_message(reduce(add, chunks)) == message
    for one in (message, *chunks):
        assert all(isinstance(block["type"], str) for block in one.content_blocks)
        assert isinstance(one.text, str)
    assert message == before, "looking at a message changes it"


def continued(message: AIMessage) -> list[BaseMessage]:
    """The conversation that goes on after an answer."""
    results = [ToolMessage("42", tool_call_id=call["id"]) for call in message.tool_calls]
    return [HumanMessage("hi"), message, *results, HumanMessage("go on")]


class _Everything(dict[str, Any]):
    """An internet with a picture at every address."""

    def get(self, key: str, default: Any = None) -> Any:
        return PNG


_EMULATOR = Emulator(api_key=KEY, media=_Everything())
_APP = build_app(_EMULATOR._state)


async def asked(
    model: ChatKieGemini, messages: Sequence[BaseMessage], options: dict[str, Any]
) -> Any:
    """What arrived at the emulator, in this process, which took it or raises."""
    _EMULATOR.clear()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(_APP)) as client:
        own = {"http_async_client": client, "max_retries": 0}
        await model.model_copy(update=own).ainvoke([*messages], **options)
    return _EMULATOR.requests[-1].body
