"""Messages that are built without validation are the ones that the constructors build."""

from __future__ import annotations

import copy
import pickle
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import pytest
from call_modes import FIXTURES, fixture, response_reader
from langchain_core.load import dumpd, dumps
from langchain_core.messages import AIMessageChunk, message_chunk_to_message
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from langchain_kie._answer.assembler import MessageAssembler
from langchain_kie._answer.messages import (
    chat_result,
    generation_chunks,
    last_chunk,
    merge_chunks,
    message_chunk,
)

if TYPE_CHECKING:
    from pydantic import BaseModel

FIELDS: dict[str, Any] = {
    "content": "a text",
    "additional_kwargs": {"reasoning_content": "thought"},
    "response_metadata": {"model_provider": "kie"},
    "tool_call_chunks": [],
}
USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}


def pieces(*args: str | None, name: str | None = None) -> list[Any]:
    """Tool-call chunks with these arguments."""
    return [
        tool_call_chunk(name=name, args=arg, id=f"call_{n}", index=n) for n, arg in enumerate(args)
    ]


FAST = {
    "text": {},
    "nothing": {"content": "", "additional_kwargs": {}},
    "blocks": {"content": [{"type": "text", "text": "a", "index": "lc_txt_0"}]},
    "no arguments": {"tool_call_chunks": pieces("", name="f")},
    "neither arguments nor a name": {"tool_call_chunks": pieces("")},
    "arguments that are null": {"tool_call_chunks": pieces(None)},
    "the start of arguments": {"tool_call_chunks": pieces('{"a": "', name="f")},
    "after white space": {"tool_call_chunks": pieces(' \n{"a": 1')},
    "after white space that is not JSON's": {
        "tool_call_chunks": pieces('\u00a0{"a": 1}', "\x0b{}")
    },
    "complete arguments": {"tool_call_chunks": pieces('{"a": [1, {"b": null}]}', name="f")},
    "later fragments of arguments": {
        "tool_call_chunks": pieces("word ", '", "b', '"}', "]", "1", "null")
    },
    "scalars and lists": {"tool_call_chunks": pieces("1", "true", '"a"', "[1", "[{}]", " ")},
    "several of each kind": {"tool_call_chunks": pieces("", "{}", "x}", "{", "\\", name="f")},
    "a later fragment, and none": {"tool_call_chunks": pieces('", "{', "", name="f")},
}
LAST = {
    "text": {},
    "nothing": {"content": "", "additional_kwargs": {}, "usage_metadata": None},
    "usage": {"usage_metadata": USAGE | {"output_token_details": {"reasoning": 1}}},
    "metadata": {"response_metadata": {"model_provider": "kie", "finish_reason": "stop"}},
    "calls": {"tool_call_chunks": pieces("]")},
}


def assert_same(built: BaseModel, plain: BaseModel) -> None:
    """Check that nothing distinguishes them."""
    assert type(built) is type(plain)
    assert built == plain
    assert built.__dict__ == plain.__dict__
    for name in ("__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__"):
        assert getattr(built, name) == getattr(plain, name), name
    assert repr(built) == repr(plain)
    for exclude_unset in (False, True):
        dumped = built.model_dump(exclude_unset=exclude_unset)
        assert dumped == plain.model_dump(exclude_unset=exclude_unset)
    assert built.model_dump_json() == plain.model_dump_json()
    assert dumpd(built) == dumpd(plain)
    assert dumps(built) == dumps(plain)
    for again in (pickle.loads(pickle.dumps(built)), copy.copy(built), copy.deepcopy(built)):
        assert again == plain
        assert again.__pydantic_fields_set__ == plain.__pydantic_fields_set__
    assert built.model_copy(update={"id": "x"}) == plain.model_copy(update={"id": "x"})


def assert_same_message(built: AIMessageChunk, plain: AIMessageChunk) -> None:
    """Check the same for everything that LangChain does with a message."""
    assert_same(built, plain)
    assert built.content_blocks == plain.content_blocks
    assert built.text == plain.text
    assert_same(message_chunk_to_message(built), message_chunk_to_message(plain))
    for left, right in ((built, plain), (plain, built), (built, built)):
        assert_same(left + right, plain + plain)


def plain_chunk(given: dict[str, Any]) -> AIMessageChunk:
    """The chunk of the constructor; without tool calls, empty fields are not set."""
    fields = {**given, "response_metadata": {"model_provider": "kie"}}
    if not given["tool_call_chunks"]:
        fields = {name: value for name, value in fields.items() if value or name == "content"}
    return AIMessageChunk(**copy.deepcopy(fields))


def check_generation_chunks(built: AIMessageChunk, plain: AIMessageChunk) -> None:
    """Check that they are one chunk, or several with the same sum if there are tool calls."""
    generations = [*generation_chunks(built)]
    if not plain.tool_call_chunks:
        assert_same(generations[0], ChatGenerationChunk(message=plain))
        assert len(generations) == 1
    empty = message_chunk("", {}, [])
    assert reduce(add, [empty, *(one.message for one in generations)]) == empty + plain


@pytest.mark.parametrize("fields", FAST.values(), ids=FAST)
def test_a_chunk_is_what_the_constructor_builds(fields: dict[str, Any]) -> None:
    given = {**FIELDS, **fields}
    del given["response_metadata"]
    built = message_chunk(**copy.deepcopy(given))
    plain = plain_chunk(given)
    assert_same_message(built, plain)
    check_generation_chunks(built, plain)


@pytest.mark.parametrize("fields", LAST.values(), ids=LAST)
def test_the_last_chunk_is_what_the_constructor_builds(fields: dict[str, Any]) -> None:
    given = {**FIELDS, "usage_metadata": USAGE, **fields}
    built = last_chunk(**copy.deepcopy(given))
    plain = AIMessageChunk(**copy.deepcopy(given), chunk_position="last")
    assert_same(built, plain)
    assert built.content_blocks == plain.content_blocks
    check_generation_chunks(built, plain)
    first, again = message_chunk("a", {}, []), AIMessageChunk(**{**FIELDS, "content": "a"})
    again.additional_kwargs = {}
    assert first + built == again + plain


def test_chunks_do_not_share_mutable_values() -> None:
    one, other = message_chunk("a", {}, []), message_chunk("b", {}, [])
    one.id = "one"
    one.tool_calls.append({"name": "f", "args": {}, "id": "1", "type": "tool_call"})
    one.invalid_tool_calls.append({"type": "invalid_tool_call", "id": "1"})
    one.tool_call_chunks += pieces("{}")
    one.additional_kwargs["a"] = one.response_metadata["a"] = 1
    plain = plain_chunk({**FIELDS, "content": "b", "additional_kwargs": {}})
    assert_same_message(other, plain)


ANSWERS = sorted({path.name for path in FIXTURES.glob("*.[sj]s*")} - {"envelope_401.json"})


@pytest.mark.parametrize("name", ANSWERS)
def test_a_message_is_the_sum_of_its_chunks(name: str) -> None:
    response = response_reader()
    assembler = MessageAssembler("gemini-3-flash", "gemini-3-flash")
    events = [*response.feed(fixture(name)), *response.close()]
    chunks = [chunk for chunk in map(assembler.feed, events) if chunk] + [assembler.finish()]
    for chunk in chunks:
        fields = {name: getattr(chunk, name) for name in chunk.model_fields_set}
        assert chunk == AIMessageChunk(**fields)
    message = merge_chunks(copy.deepcopy(chunks))
    assert_same(message, message_chunk_to_message(reduce(add, chunks)))
    plain = ChatResult(
        generations=[ChatGeneration(message=message)],
        llm_output={"model_name": message.response_metadata["model_name"]},
    )
    assert_same(chat_result(message), plain)
    assert_same(chat_result(message).generations[0], plain.generations[0])
