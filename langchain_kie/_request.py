"""One call of LangChain's: what was asked, checked, up to the bytes that go out.

Pure. Knows nothing of sockets; `_uploads` finds a place for the media in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_kie._answer.assembler import MessageAssembler
from langchain_kie._conversation.media import Media
from langchain_kie._conversation.token_estimate import min_prompt_tokens
from langchain_kie._conversation.turns import all_parts, build_turns
from langchain_kie._json import to_json
from langchain_kie._options import options_for
from langchain_kie._wire import REQUEST_BUILDERS, parse_event

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.messages import BaseMessage

    from langchain_kie._answer.event import AnswerEvent
    from langchain_kie._catalog import ResolvedModel
    from langchain_kie._http.response import HttpCall


_INPUTS = {
    "image": "image_inputs",
    "audio": "audio_inputs",
    "video": "video_inputs",
    "pdf": "pdf_inputs",
}


class PreparedCall:
    """One call.

    Args:
        messages: The conversation.
        call_kwargs: The call's keyword arguments, by their proper names.
        model_defaults: The model's values of `OPTION_NAMES`.
        target: Which model answers, and where.
        model: Its name as the caller wrote it.
        extra: Further members of the body, from the model.
        timeout: Seconds, or an `httpx.Timeout`, for this call only.

    Attributes:
        options: How to answer.
        media: The media of the conversation.

    Raises:
        ValueError: The conversation or an option cannot be sent.
    """

    def __init__(
        self,
        messages: Sequence[BaseMessage],
        call_kwargs: dict[str, Any],
        model_defaults: Mapping[str, Any],
        target: ResolvedModel,
        *,
        model: str,
        extra: Mapping[str, Any],
        timeout: Any,
    ) -> None:
        self.options = options_for(call_kwargs, model_defaults, target, extra)
        self._turns = build_turns(messages)
        self._target = target
        self._model = model
        self._timeout = timeout
        self.media = [part for part in all_parts(self._turns) if isinstance(part, Media)]

    def check_media(self, profile: Mapping[str, Any] | None) -> None:
        """Refuse media that the model's profile says it does not take.

        Raises:
            ValueError: It names the kind and the model.
        """
        for medium in self.media:
            if (profile or {}).get(_INPUTS.get(medium.kind, "")) is False:
                raise ValueError(f"{self._model} takes no {medium.kind} (by its profile)")

    def build(self, *, stream: bool) -> tuple[HttpCall[AnswerEvent], MessageAssembler]:
        """The bytes to send, and what reads the answer to them.

        Raises:
            ValueError: The conversation cannot be sent.
        """
        from langchain_kie._http.response import HttpCall  # noqa: PLC0415 - httpx loads at the first call

        target = self._target
        path, body = REQUEST_BUILDERS[target.api](self._turns, self.options, target, stream=stream)
        call = HttpCall(
            model=self._model,
            path=path,
            body=to_json(body),
            parse_event=parse_event,
            ends_without_evidence=target.route.ends_without_evidence,
            timeout=self._timeout,
        )
        assembler = MessageAssembler(
            target.name,
            self._model,
            functions=self.options.functions,
            answer_function=self.options.answer_function,
            detect_error_text=self.options.detect_error_text,
            media_count=len(self.media),
            min_prompt_tokens=self._least()
            if self.media and self.options.require_media_seen
            else 0,
        )
        return call, assembler

    def _least(self) -> int:
        """The fewest tokens that the prompt can be counted as."""
        calls = [tool.call["args"] for turn in self._turns for tool in turn.tools]
        return min_prompt_tokens(all_parts(self._turns), [*self.options.functions, *calls])
