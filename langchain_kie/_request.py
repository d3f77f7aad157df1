"""One call of LangChain's: what was asked, checked, up to the bytes that go out.

Pure. Knows nothing of sockets; `_uploads` finds a place for the media in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_kie._answer.assembler import MessageReader
from langchain_kie._conversation.media import Media
from langchain_kie._conversation.token_estimate import least_tokens
from langchain_kie._conversation.turns import all_parts, turns_of
from langchain_kie._options import options_for
from langchain_kie._wire import ENCODERS, decode
from langchain_kie._wire.common import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.messages import BaseMessage

    from langchain_kie._answer.event import Delta
    from langchain_kie._catalog import Target
    from langchain_kie._http.response import Call


_INPUTS = {
    "image": "image_inputs",
    "audio": "audio_inputs",
    "video": "video_inputs",
    "pdf": "pdf_inputs",
}


class Request:
    """One call.

    Args:
        messages: The conversation.
        asked: The call's keyword arguments, by their proper names.
        own: The model's values of `OPTION_NAMES`.
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
        asked: dict[str, Any],
        own: Mapping[str, Any],
        target: Target,
        *,
        model: str,
        extra: Mapping[str, Any],
        timeout: Any,
    ) -> None:
        self.options = options_for(asked, own, target, extra)
        self._turns = turns_of(messages)
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

    def encode(self, *, stream: bool) -> tuple[Call[Delta], MessageReader]:
        """The bytes to send, and what reads the answer to them.

        Raises:
            ValueError: The conversation cannot be sent.
        """
        from langchain_kie._http.response import Call  # noqa: PLC0415 - httpx loads at the first call

        target = self._target
        path, body = ENCODERS[target.api](self._turns, self.options, target, stream=stream)
        call = Call(
            model=self._model,
            path=path,
            body=to_json(body),
            decode=decode,
            ends_without_evidence=target.route.ends_without_evidence,
            timeout=self._timeout,
        )
        reader = MessageReader(
            target,
            self._model,
            self.options,
            media_count=len(self.media),
            least_tokens=self._least() if self.media and self.options.require_media_seen else 0,
        )
        return call, reader

    def _least(self) -> int:
        """The fewest tokens that the prompt can be counted as."""
        calls = [tool.call["args"] for turn in self._turns for tool in turn.tools]
        return least_tokens(all_parts(self._turns), [*self.options.functions, *calls])
