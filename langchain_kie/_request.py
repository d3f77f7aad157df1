"""One call, checked, up to the bytes that are sent.

No I/O; `_uploads` may replace media by URLs before `build`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from langchain_kie._answer.assembler import MessageAssembler
from langchain_kie._answer.expected import ExpectedAnswer
from langchain_kie._conversation.cache import size_to_convert
from langchain_kie._conversation.media import Media
from langchain_kie._conversation.token_estimate import min_prompt_tokens
from langchain_kie._conversation.turns import all_parts, build_turns
from langchain_kie._error_bodies import is_lost_file
from langchain_kie._json import to_json_pieces
from langchain_kie._json_schema.keywords import has_nullable
from langchain_kie._options import options_for
from langchain_kie._tools.repeated_calls import raise_if_repeating
from langchain_kie._wire import REQUEST_BUILDERS, parse_event
from langchain_kie._wire.joined_text import join_events

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.messages import BaseMessage

    from langchain_kie._answer.event import AnswerEvent
    from langchain_kie._catalog import ResolvedModel
    from langchain_kie._http.response import HttpCall
    from langchain_kie._json import Json, JsonPieces
    from langchain_kie._options import Options


_JSON_FORMATS = ("json_schema", "json_object")

_LONG = 500_000
"""Characters; to convert them takes about a millisecond, a tenth of that without media."""


def is_long(messages: Sequence[BaseMessage]) -> bool:
    """Whether the messages are so long that they should not be converted in the event loop."""
    return size_to_convert(messages) > _LONG


class PreparedCall:
    """One call.

    Args:
        messages: The conversation.
        call_kwargs: The call's keyword arguments under their field names.
        model_defaults: The model's values of `OPTION_NAMES`.
        model: The model and API of the call.
        model_name: The model's name as the caller wrote it.
        extra: Additional members of the body, from the model.
        timeout: Seconds, or a `Timeout` of httpx or httpx2, for this call only.

    Attributes:
        options: The options of the call.
        media: The media of the conversation.
        has_uploads: Whether media were uploaded; a retry with the URL of a lost file cannot help.
        is_long: Whether the messages were too long to be converted in the event loop.

    Raises:
        ValueError: The conversation or an option cannot be sent.
        KieToolCallMissingError: The model only repeats a call that is rejected.
    """

    def __init__(
        self,
        messages: Sequence[BaseMessage],
        call_kwargs: dict[str, Any],
        model_defaults: Mapping[str, Any],
        model: ResolvedModel,
        *,
        model_name: str,
        extra: Mapping[str, Any],
        timeout: Any,
    ) -> None:
        self.options = options_for(call_kwargs, model_defaults, model, extra)
        self._turns = build_turns(messages)
        self.has_uploads = self.is_long = False
        self._body: bytes | JsonPieces = b""
        self._model = model
        self._model_name = model_name
        self._timeout = timeout
        if self.options.functions:
            raise_if_repeating(self._turns, model_name)
        with_media = [turn for turn in self._turns.new if turn.forms is None]
        self.media = [part for part in all_parts(with_media) if isinstance(part, Media)]

    def check_media(self, profile: Mapping[str, Any] | None) -> None:
        """Refuse media that the model does not support according to its profile.

        Raises:
            ValueError: One is of an unsupported kind; the message names the kind and the model.
        """
        for part in self.media:
            if (profile or {}).get(f"{part.kind}_inputs") is False:
                raise ValueError(
                    f"{self._model_name} does not support {part.kind} input (see its profile)"
                )

    def build(self, *, stream: bool) -> tuple[HttpCall[AnswerEvent], MessageAssembler]:
        """The request to send, and the assembler of its answer.

        Args:
            stream: Whether the answer is streamed to the caller; it may stream over HTTP also
                where it is not, see `stream_invoke`.

        Raises:
            ValueError: The conversation cannot be sent.
        """
        from langchain_kie._http.response import HttpCall  # noqa: PLC0415 - the first call loads httpx

        model, options = self._model, self.options
        streams = stream
        if not stream:
            chosen = options.stream_invoke
            streams = model.route.streams_invoke if chosen is None else chosen
        path, body = REQUEST_BUILDERS[model.api](self._turns, options, model, stream=streams)
        self._body = to_json_pieces(body)
        call = HttpCall(
            model=self._model_name,
            path=path,
            body=self._body,
            parse_event=parse_event,
            join_events=join_events,
            timeout=self._timeout,
            is_final=is_lost_file if self.has_uploads else None,
        )
        expected = self._expected_answer(stream=stream)
        return call, MessageAssembler(model.name, self._model_name, expected)

    def _expected_answer(self, *, stream: bool) -> ExpectedAnswer:
        """What the options and the conversation require of the answer."""
        options = self.options
        is_fitted = options.require_tool_call and options.answer_schema is not None
        is_fitted = is_fitted and (not stream or has_nullable(options.answer_schema))
        expects_json = (options.response_format or {}).get("type") in _JSON_FORMATS
        required = _required_functions(options) if options.tool_choice else None
        is_checked = expects_json and options.require_tool_call and not options.builtins
        return ExpectedAnswer(
            functions=options.functions,
            answer_function=options.answer_function,
            schema_names=_schema_names(options.response_format) if expects_json else (),
            required=required,
            expects_json=expects_json,
            answer_schema=options.answer_schema if is_fitted else None,
            checks_calls=is_checked or required is not None,
            detect_error_text=options.detect_error_text,
            media_count=len(self.media),
            min_prompt_tokens=self._min_prompt_tokens() if self.media else 0,
        )

    def size_hint(self) -> str:
        """What a request that is too large consists of."""
        inline = [part.size or 0 for part in self.media if part.url is None]
        media = f", {sum(inline):,} of them for {len(inline)} inline media" if inline else ""
        hint = "; a smaller inline_media_limit uploads media instead" if inline else ""
        return f"The body of the request has {len(self._body):,} bytes{media}{hint}."

    async def abuild(self, *, stream: bool) -> tuple[HttpCall[AnswerEvent], MessageAssembler]:
        """As `build`, but encodes long messages in a thread."""
        if self.is_long:
            return await asyncio.to_thread(self.build, stream=stream)
        return self.build(stream=stream)

    def _min_prompt_tokens(self) -> int:
        """The fewest prompt tokens that are plausible; 0 if they are not checked."""
        if not self.options.require_media_seen:
            return 0
        calls = [tool.call["args"] for turn in self._turns for tool in turn.tools]
        return min_prompt_tokens(all_parts(self._turns), [*self.options.functions, *calls])


def _schema_names(response_format: dict[str, Any] | None) -> list[str]:
    """The names of an answer's schema, which some models call like a function."""
    inner = (response_format or {}).get("json_schema") or {}
    names = [inner.get("name"), (inner.get("schema") or {}).get("title")]
    return [name for name in names if name and isinstance(name, str)]


def _required_functions(options: Options) -> Sequence[Json] | None:
    """The functions one of which the model must call; `None` if it need not.

    An answer without the answer function is not an error here: a parser reports it.
    """
    choice = options.tool_choice
    if choice is None or choice.mode != "required" or not options.require_tool_call:
        return None
    if options.answer_function:
        return None
    names = choice.names
    return [function for function in options.functions if not names or function["name"] in names]
