"""Helpers of the targets: their size, models, requests, responses and copies."""

from __future__ import annotations

import copy
import os
import pickle
from collections import Counter
from functools import reduce
from math import ceil
from operator import add
from typing import TYPE_CHECKING, Any

import httpx
import orjson
from call_modes import response_reader
from hypothesis import HealthCheck, Phase, settings
from langchain_core.load import dumps, loads
from langchain_core.messages import HumanMessage, ToolMessage, message_chunk_to_message

from langchain_kie import ChatKieGemini, KieError
from langchain_kie._answer.messages import (
    generation_chunks,
    merge_chunks,
    with_original_arguments,
)
from langchain_kie._chat_model.call import prepare
from langchain_kie.emulator import Emulator
from langchain_kie.emulator.app import build_app

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage

COUNTS: Counter[str] = Counter()
"""The number of examples that each target has run."""

KEY = "canary-0123456789abcdefghijklmnop"
CHAT = ChatKieGemini(model="gemini-3.1-pro", api_key=KEY)
NATIVE = ChatKieGemini(model="gemini-3.5-flash", api_key=KEY)
GATEWAY = ChatKieGemini(model="gemini-3-flash", api_key=KEY, api="gateway")
MODELS = [CHAT, NATIVE, GATEWAY]
PNG = b"\x89PNG\r\n\x1a\n"


def sized(examples: int, **more: Any) -> settings:
    """The settings of a target.

    A test run has the same examples every time, a third of them. `make fuzz` has other examples
    in each round, and stores those that failed.
    """
    if "FUZZ" in os.environ:
        more["report_multiple_bugs"] = False
    else:
        examples = ceil(examples / 3)
        more |= {"derandomize": True, "database": None}
    more["phases"] = [phase for phase in Phase if phase is not Phase.explain]
    return settings(
        max_examples=examples, deadline=None, suppress_health_check=[*HealthCheck], **more
    )


def prepared(model: ChatKieGemini, messages: Sequence[BaseMessage], **options: Any) -> Any:
    """The HTTP call of a request, and the assembler of its answer.

    Raises:
        ValueError: The request cannot be sent.
    """
    return prepare(model, [*messages], None, options).build(stream=True)


def body_of(model: ChatKieGemini, messages: Sequence[BaseMessage], **options: Any) -> Any:
    """The body of a request, as a server parses it."""
    return orjson.loads(prepared(model, messages, **options)[0].body)


def chunks_of(
    pieces: Sequence[bytes], model: ChatKieGemini = NATIVE, **options: Any
) -> list[AIMessageChunk]:
    """The chunks of a response, as the model yields them."""
    call, assembler = prepared(model, [HumanMessage("hi")], **options)
    response = response_reader(call, key=KEY)
    chunks = [assembler.feed(event) for piece in pieces for event in response.feed(piece)]
    chunks += [assembler.feed(event) for event in response.close()]
    return [*(chunk for chunk in chunks if chunk), assembler.finish()]


def message_or_error(
    pieces: Sequence[bytes], model: ChatKieGemini = NATIVE, **options: Any
) -> tuple[list[AIMessageChunk], AIMessage | None, KieError | None]:
    """The message of a response and its chunks, or its `KieError`; other errors are raised."""
    try:
        chunks = chunks_of(pieces, model, **options)
        return chunks, merge_chunks(chunks), None
    except KieError as error:
        return [], None, error


def without_id(message: AIMessage) -> dict[str, Any]:
    """The fields of a message except its id."""
    return message.model_dump(exclude={"id"})


KEEPERS: dict[str, Any] = {
    "as it is": lambda message: message,
    "JSON": lambda message: loads(dumps(message), allowed_objects="messages"),
    "pickle": lambda message: pickle.loads(pickle.dumps(message)),
    "copy": lambda message: message.model_copy(deep=True),
}


def check_copies(message: AIMessage, chunks: list[AIMessageChunk]) -> None:
    """Check that every copy of a message is equal, and that every chunk has blocks and text."""
    before = copy.deepcopy(message)
    for keep in KEEPERS.values():
        assert keep(message) == message
    assert with_original_arguments(message_chunk_to_message(reduce(add, chunks))) == message
    pieces = [one.message for chunk in chunks for one in generation_chunks(chunk)]
    assert with_original_arguments(message_chunk_to_message(reduce(add, pieces))) == message
    for one in (message, *chunks):
        assert all(isinstance(block["type"], str) for block in one.content_blocks)
        assert isinstance(one.text, str)
    assert message == before, "reading a message modifies it"


def continued(message: AIMessage) -> list[BaseMessage]:
    """A conversation with an answer, the results of its tool calls, and another prompt."""
    results = [ToolMessage("42", tool_call_id=call["id"]) for call in message.tool_calls]
    return [HumanMessage("hi"), message, *results, HumanMessage("go on")]


class _ImageAtEveryUrl(dict[str, Any]):
    """A web with an image at every URL."""

    def get(self, key: str, default: Any = None) -> Any:
        return PNG


_EMULATOR = Emulator(api_key=KEY, media=_ImageAtEveryUrl())
_APP = build_app(_EMULATOR._state)


async def accepted_body(
    model: ChatKieGemini, messages: Sequence[BaseMessage], options: dict[str, Any]
) -> Any:
    """The body that the emulator received and accepted, in this process."""
    _EMULATOR.clear()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(_APP)) as client:
        fields = {"http_async_client": client, "max_retries": 0}
        await model.model_copy(update=fields).ainvoke([*messages], **options)
    return _EMULATOR.requests[-1].body
