"""LangChain's messages, built without validation from values that are already valid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message
from langchain_core.messages.tool import invalid_tool_call, tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import BaseModel

from langchain_kie._conversation.parsed_message import INVALID_ARGUMENTS_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langchain_core.messages import BaseMessage
    from langchain_core.messages.ai import UsageMetadata
    from langchain_core.messages.tool import ToolCallChunk

    from langchain_kie._json import Json

PROVIDER = "kie"
REFUSAL_REASON = "refusal_reason"
"""The key of `response_metadata` that states why the prompt or the answer was blocked."""

ModelT = TypeVar("ModelT", bound=BaseModel)

_set_fields, _set_names, _set_extra, _set_private = (
    BaseModel.__dict__[slot].__set__
    for slot in (
        "__dict__",
        "__pydantic_fields_set__",
        "__pydantic_extra__",
        "__pydantic_private__",
    )
)


def _copy_with(template: ModelT, values: Json) -> ModelT:
    """A copy of `template` with other field values, which are not validated."""
    # The steps of `BaseModel.__copy__` (pydantic 2.14, langchain-core 1.7.2): 2 us a chunk, where
    # the constructor and `model_construct` take 7. Remove this when one of them is as fast.
    copy = object.__new__(type(template))
    _set_fields(copy, {**template.__dict__, **values})
    _set_names(copy, template.__pydantic_fields_set__.copy())
    _set_extra(copy, None if template.__pydantic_extra__ is None else {})
    _set_private(copy, None)
    return copy


_EMPTY: Json = {"content": "", "additional_kwargs": {}, "response_metadata": {}}
_TEXT = AIMessageChunk(content="", response_metadata={})
_REASONING = AIMessageChunk(**_EMPTY)
_TOOL_CALLS = AIMessageChunk(**_EMPTY, tool_call_chunks=[tool_call_chunk(args="")])
_LAST = AIMessageChunk(**_EMPTY, tool_call_chunks=[], usage_metadata=None, chunk_position="last")
_MESSAGE = AIMessage(
    **_EMPTY, name=None, id=None, tool_calls=[], invalid_tool_calls=[], usage_metadata=None
)
_GENERATION_CHUNK = ChatGenerationChunk(message=AIMessageChunk(content=""))
_GENERATION = ChatGeneration(message=_MESSAGE)
_RESULT = ChatResult(generations=[_GENERATION], llm_output={})

_JSON_SPACE = " \t\n\r"


def message_chunk(
    content: str | list[str | Json], additional_kwargs: Json, tool_call_chunks: list[ToolCallChunk]
) -> AIMessageChunk:
    """A chunk of an answer; without tool calls, `tool_call_chunks` is not in `model_fields_set`.

    The constructor tries to repair the arguments of every fragment by removing one character
    after the other (langchain-core 1.7.2). It is used only for fragments that can be a tool
    call: those that start with a brace. It can be used for all when langchain-core repairs only
    complete messages.
    """
    values: Json = {
        "content": content,
        "additional_kwargs": additional_kwargs,
        "response_metadata": {"model_provider": PROVIDER},
        "tool_call_chunks": tool_call_chunks,
    }
    calls: list[Any] = []
    invalid: list[Any] = []
    for chunk in tool_call_chunks:
        args = chunk["args"]
        if not args:
            calls.append(tool_call(name=chunk["name"] or "", args={}, id=chunk["id"]))
        elif args.lstrip(_JSON_SPACE).startswith("{"):
            return AIMessageChunk(**values)
        else:
            invalid.append(invalid_tool_call(name=chunk["name"], args=args, id=chunk["id"]))
    values["tool_calls"], values["invalid_tool_calls"] = calls, invalid
    template = _TOOL_CALLS if tool_call_chunks else _REASONING if additional_kwargs else _TEXT
    return _copy_with(template, values)


def last_chunk(
    content: str | list[str | Json],
    additional_kwargs: Json,
    response_metadata: Json,
    tool_call_chunks: list[ToolCallChunk],
    usage_metadata: UsageMetadata | None,
) -> AIMessageChunk:
    """The last chunk of an answer; one with tool calls is validated by the constructor."""
    values: Json = {
        "content": content,
        "additional_kwargs": additional_kwargs,
        "response_metadata": response_metadata,
        "tool_call_chunks": tool_call_chunks,
        "usage_metadata": usage_metadata,
    }
    if tool_call_chunks:
        return AIMessageChunk(**values, chunk_position="last")
    return _copy_with(_LAST, {**values, "tool_calls": [], "invalid_tool_calls": []})


def refusal_message(text: str, refusal: str, response_metadata: Json) -> AIMessage:
    """A complete answer that is a refusal."""
    additional_kwargs = {"refusal": refusal} if refusal else {}
    return AIMessage(
        content=text, additional_kwargs=additional_kwargs, response_metadata=response_metadata
    )


def generation_chunks(message: AIMessageChunk) -> Iterable[ChatGenerationChunk]:
    """A chunk as LangChain's `_stream` yields it; one with tool calls can be several."""
    content, calls = message.content, message.tool_call_chunks
    if calls and (calls[0]["name"] or calls[1:] or content or message.additional_kwargs):
        return [ChatGenerationChunk(message=piece) for piece in _names_first(message)]
    if content.__class__ is not str:
        return (ChatGenerationChunk(message=message),)
    return (_copy_with(_GENERATION_CHUNK, {"message": message, "text": content}),)


def _names_first(message: AIMessageChunk) -> list[AIMessageChunk]:
    """A chunk with tool calls as several: each call's id and name, and then its arguments.

    Text and thoughts, or the values of the last chunk, are a separate chunk. AG-UI and
    CopilotKit read one call of a chunk, nothing next to it, and no arguments next to its name
    (ag-ui-langgraph 0.0.47). This can go when they read complete calls.
    """
    pieces: list[ToolCallChunk] = []
    for call in message.tool_call_chunks:
        if call["name"] and call["args"]:
            pieces.append({**call, "args": ""})
            pieces.append(tool_call_chunk(args=call["args"], index=call["index"]))
        else:
            pieces.append(call)
    content, extra = message.content, message.additional_kwargs
    empty: str | list[str | Json] = "" if isinstance(content, str) else []
    chunks = [message_chunk(empty, {}, [piece]) for piece in pieces]
    if message.chunk_position == "last":
        end = last_chunk(content, extra, message.response_metadata, [], message.usage_metadata)
        return [*chunks, end]
    return [message_chunk(content, extra, []), *chunks] if content or extra else chunks


def merge_chunks(chunks: Iterable[AIMessageChunk]) -> AIMessage:
    """The message that is the sum of the chunks; text in one chunk is not added up."""
    first, *rest = chunks
    if len(rest) == 1 and _is_disjoint(first, rest[0]):
        last = rest[0]
        values = {
            "content": first.content,
            "additional_kwargs": {**first.additional_kwargs, **last.additional_kwargs},
            "response_metadata": last.response_metadata,
            "tool_calls": first.tool_calls,
            "invalid_tool_calls": first.invalid_tool_calls,
            "usage_metadata": last.usage_metadata,
        }
        return _copy_with(_MESSAGE, values)
    return with_original_arguments(message_chunk_to_message(first + rest if rest else first))


def with_original_arguments(message: BaseMessage) -> AIMessage:
    """The same message; its invalid tool calls have their arguments as the server sent them."""
    message = cast("AIMessage", message)
    for call in message.invalid_tool_calls:
        arguments = message.additional_kwargs.get(INVALID_ARGUMENTS_KEY, {})
        call["args"] = arguments.get(call["id"], call["args"])
    return message


def _is_disjoint(chunk: AIMessageChunk, last: AIMessageChunk) -> bool:
    """Whether the chunks have no value in common, so that there is nothing to merge."""
    return (
        isinstance(chunk.content, str)
        and last.content == ""
        and not last.tool_call_chunks
        and chunk.additional_kwargs.keys().isdisjoint(last.additional_kwargs)
    )


def chat_result(message: AIMessage) -> ChatResult:
    """A message as LangChain's `_generate` returns it."""
    content = message.content
    output = {"model_name": message.response_metadata.get("model_name")}
    if not isinstance(content, str):
        return ChatResult(generations=[ChatGeneration(message=message)], llm_output=output)
    generation = _copy_with(_GENERATION, {"message": message, "text": content})
    return _copy_with(_RESULT, {"generations": [generation], "llm_output": output})
