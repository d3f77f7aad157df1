"""The parser of structured answers: one complete JSON value, in the types of its schema.

Depends on LangChain's parsers; independent of tools and requests.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import partial as bound
from typing import TYPE_CHECKING, Any

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import BaseMessage, BaseMessageChunk
from langchain_core.output_parsers import BaseCumulativeTransformOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk
from langchain_core.utils.json import parse_json_markdown

from langchain_kie._json import complete_escapes
from langchain_kie._json_schema.coerce import NULL_TEXTS, arguments_in, fit, fit_arguments
from langchain_kie._json_schema.combine import as_json_text
from langchain_kie.errors import ModelRefusalError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

_ENDINGS: Mapping[str | None, str] = {
    "length": "the answer was cut at max_tokens",
    "content_filter": "the answer was blocked ({})",
}
"""The finish reasons that explain why an answer cannot be parsed."""

_FENCED_LINES = re.compile(r"```(?:json)?\s*\n(.*)```", re.DOTALL | re.IGNORECASE)
_NOTHING = object()


class StructuredOutputParser(BaseCumulativeTransformOutputParser[Any]):
    """Parses an answer that is one complete JSON value, and converts it to the schema's types.

    LangChain's parsers (seen in langchain-core 1.7.2) complete a truncated answer and return it
    like a complete one, end a stream of any other text without an error, and return `None` for a
    missing function call. This class can be replaced by theirs once they raise in these cases.
    """

    json_schema: dict[str, Any]
    """The schema of the answer."""

    model_class: Any = None
    """The pydantic class, of version 1 or 2, that is returned; `None` for a dict."""

    function_name: str | None = None
    """The function whose arguments are the answer; `None` if the answer is text."""

    tool_names: tuple[str, ...] = ()
    """The other functions, which the model may call instead of answering."""

    @property
    def OutputType(self) -> Any:  # noqa: N802 - LangChain's name
        """The class of a parsed answer."""
        return self.model_class or dict[str, Any]

    def parse(self, text: str) -> Any:
        """Parse the text of an answer; as `parse_result`."""
        return self.parse_result([Generation(text=text)])

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Parse an answer, or the part of it that has arrived.

        Args:
            result: The generations, of which the first is parsed.
            partial: Whether the answer may be incomplete.

        Returns:
            The JSON value, or an instance of `model_class`; `None` for an answer that only calls
            other tools, and for an incomplete answer that cannot be parsed yet.

        Raises:
            OutputParserException: `partial` is False, and the answer is not complete JSON, does
                not match the schema, or does not call the function.
            ModelRefusalError: `partial` is False, and the model refused (langchain-core 1.7.5).
        """
        text, message = result[0].text, getattr(result[0], "message", None)
        calls = getattr(message, "tool_calls", [])
        answers = [call["args"] for call in calls if call["name"] == self.function_name]
        if not partial and message is not None:
            _raise_if_refused(message)
        uses_tool = any(call["name"] in self.tool_names for call in calls)
        try:
            if answers:
                return self._validate(answers[0], partial=partial)
            is_cut = getattr(message, "response_metadata", {}).get("finish_reason") in _ENDINGS
            return self._parse_text(text, partial=partial, is_cut=is_cut)
        except Exception as error:
            if partial or (uses_tool and not answers):
                return None
            if not isinstance(error, (ValueError, RecursionError)):  # by the user's validator
                raise
            text = as_json_text(answers[0]) if answers else text
            reason = self._reason(error, text, message)
            raise OutputParserException(reason, llm_output=text) from error

    def _parse_text(self, text: str, *, partial: bool, is_cut: bool) -> Any:
        """Parse JSON text, which must fit the schema if a function call was expected.

        KIE was seen to ignore a required function call and to answer in text.

        Raises:
            ValueError: The text is not complete JSON, or does not match the schema; or it is a
                number that was cut.
        """
        text = complete_escapes(text)[0].strip()
        if partial:
            value = parse_json_markdown(text)
        else:
            fenced = None if text[:1] in {"{", "["} else _FENCED_LINES.search(text)
            value = json.loads(fenced[1] if fenced else text, strict=False)
        if is_cut and not partial and isinstance(value, (int, float)):
            raise ValueError("more digits may follow")
        if name := self.function_name:
            fits = partial or fit_arguments(value, name, self.json_schema)
            value = arguments_in(value, name)
            if not (fits and isinstance(value, dict)):
                raise ValueError(f"it is {as_json_text(value)}")
        return self._validate(value, partial=partial)

    def _validate(self, value: Any, *, partial: bool) -> Any:
        """Fit a value to the schema.

        Raises:
            ValueError: The value does not match.
        """
        fitted, _ = fit(value, self.json_schema, is_partial=partial)
        if self.model_class is None:
            return fitted
        validate = getattr(self.model_class, "model_validate", None) or self.model_class.parse_obj
        try:
            return validate(fitted)
        except ValueError as error:
            if partial:
                raise
            others = (value, _with_nulls(fitted, error))
            attempts = [bound(validate, other) for other in others if other is not fitted]
            if validate_json := getattr(self.model_class, "model_validate_json", None):
                # A strict class takes a date or an enum only from JSON text.
                attempts.append(bound(validate_json, json.dumps(fitted)))
            for attempt in attempts:
                with suppress(ValueError):
                    return attempt()
            raise

    def _reason(self, error: Exception, text: str, message: Any) -> str:
        """Why an answer cannot be parsed."""
        metadata = getattr(message, "response_metadata", {})
        if ending := _ENDINGS.get(metadata.get("finish_reason")):
            return ending.format(metadata.get("native_finish_reason"))
        if invalid := getattr(message, "invalid_tool_calls", None):
            return f"the arguments of the call of {invalid[0]['name']!r} are not complete JSON"
        if calls := getattr(message, "tool_calls", []):
            names = [call["name"] for call in calls]
            if self.function_name not in names:
                return f"the answer calls {names[0]!r}, which the model was not offered"
        if not text.strip():
            return "the answer is empty"
        if isinstance(error, json.JSONDecodeError):
            call = f"has no call of {self.function_name!r} and " if self.function_name else ""
            return f"the answer {call}is not complete JSON ({error})"
        return f"the answer does not match the schema: {error}"

    def _transform(self, input: Iterator[str | BaseMessage]) -> Iterator[Any]:  # noqa: A002
        """Yield each new partial result; at the end, parse the complete answer as `invoke`."""
        received: Any = None
        latest: Any = _NOTHING
        for chunk in input:
            received = _add_chunk(received, chunk)
            parsed = self.parse_result([received], partial=True)
            if parsed is not None and parsed != latest:
                latest = parsed
                yield parsed
        final = self.parse_result([received or Generation(text="")])
        if final != latest:
            yield final

    async def _atransform(
        self,
        input: AsyncIterator[str | BaseMessage],  # noqa: A002
    ) -> AsyncIterator[Any]:
        received: Any = None
        latest: Any = _NOTHING
        async for chunk in input:
            received = _add_chunk(received, chunk)
            parsed = await self.aparse_result([received], partial=True)
            if parsed is not None and parsed != latest:
                latest = parsed
                yield parsed
        final = await self.aparse_result([received or Generation(text="")])
        if final != latest:
            yield final


def _with_nulls(value: Any, error: ValueError) -> Any:
    """A value with null for each text in place of null that its class did not accept.

    KIE's models write such a text where they cannot write null. Some schemas do not show that it
    is not valid: that of a `Decimal` accepts any text.
    """
    errors: Any = getattr(error, "errors", list)()
    with_nulls = value
    for path in {tuple(one["loc"]) for one in errors}:
        with_nulls = _with_null_at(with_nulls, path)
    return with_nulls


def _with_null_at(value: Any, path: tuple[Any, ...]) -> Any:
    """A value with null at the end of a path if a text in place of null is there."""
    if isinstance(value, str) and value in NULL_TEXTS:
        return None
    if not path or not isinstance(value, (dict, list)):
        return value
    key, *rest = path
    known = value if isinstance(value, dict) else range(len(value))
    if key not in known:  # the name of an alternative, or what is absent
        return _with_null_at(value, tuple(rest))
    inner = _with_null_at(value[key], tuple(rest))
    if inner is value[key]:
        return value
    copied = value.copy()
    copied[key] = inner
    return copied


def _raise_if_refused(message: BaseMessage) -> None:
    """Raise for a message with a `refusal` block, which only newer LangChain versions have.

    Raises:
        ModelRefusalError: The message has such a block.
    """
    for block in message.content_blocks:
        if block["type"] == "refusal":
            raise ModelRefusalError.from_refusal(block, raw_message=message)


def _add_chunk(received: Any, chunk: str | BaseMessage) -> Any:
    """The generation received so far; a complete message replaces it."""
    if isinstance(chunk, str):
        added: Any = GenerationChunk(text=chunk)
    elif isinstance(chunk, BaseMessageChunk):
        added = ChatGenerationChunk(message=chunk)
    else:
        return ChatGeneration(message=chunk)
    return added if received is None else received + added
