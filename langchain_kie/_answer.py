"""When an answer has begun, when it is complete, and when it was cut: the guard of a call.

Pure: bytes in, decoded items out. Knows nothing of sockets, dialects or LangChain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from langchain_kie._envelope import error_from_body, open_envelope
from langchain_kie._events import DONE, EventParser
from langchain_kie._retry import parse_retry_after
from langchain_kie.errors import (
    KieEmptyResponseError,
    KieError,
    KieProtocolError,
    KieStreamInterruptedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_MAX_ERROR_BYTES = 64 * 1024


class Decoded(Protocol):
    """What the guard must know of a decoded event.

    Attributes:
        is_empty: It holds nothing that a user or a bill would miss.
        is_terminal: It is evidence that the answer is complete: a finish reason, the credits,
            or a usage chunk of its own.
        is_last: Nothing that matters comes after it.
    """

    @property
    def is_empty(self) -> bool: ...
    @property
    def is_terminal(self) -> bool: ...
    @property
    def is_last(self) -> bool: ...


ItemT = TypeVar("ItemT", bound=Decoded)


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart body: fields, and a file that is read as it is sent."""

    fields: dict[str, str]
    name: str
    file: Any
    mime_type: str


@dataclass(frozen=True, slots=True)
class Call(Generic[ItemT]):
    """One request, as the transport needs to know it.

    Attributes:
        model: The model's name, for errors; `None` where no model is called.
        path: The URL's path and query, from the base on.
        body: The JSON body, or a form.
        decode: Turns an event into an item; raises `KieError` if it cannot.
        ends_without_evidence: Whether a stream may end without terminal evidence.
        timeout: Seconds, or an `httpx.Timeout`, for this call only.
    """

    model: str | None
    path: str
    body: bytes | Form
    decode: Callable[[dict[str, Any]], ItemT]
    ends_without_evidence: bool = False
    timeout: Any = None


class Answer(Generic[ItemT]):
    """Reads the response to one call, piece by piece.

    Items are held back until the first that is not empty, so that whoever opens the response
    knows whether there is an answer at all; up to that point the call can be made again.

    Args:
        call: What was asked.
        status_code: HTTP's.
        headers: The response's.
        hide: Takes the key out of a text, should the server have echoed it.

    Attributes:
        is_complete: Terminal evidence was seen; whatever happens now cannot hurt.
        is_over: Nothing more that matters can come.
        event_count: How many events came.
    """

    def __init__(
        self,
        call: Call[ItemT],
        status_code: int,
        headers: Mapping[str, str],
        hide: Callable[[str], str],
    ) -> None:
        self.is_complete = False
        self.is_over = False
        self.event_count = 0
        self._call = call
        self._hide = hide
        self._status_code = status_code
        self._headers = headers
        self._parser = EventParser()
        self._held: list[ItemT] | None = []
        self._error_body = bytearray()
        self._closed = False
        self._ignores = False

    def feed(self, data: bytes) -> Iterator[ItemT]:
        """Read the next piece.

        Raises:
            KieError: The piece reports an error, or cannot be read, and the answer was not
                complete yet.
        """
        if self._status_code // 100 != 2:  # noqa: PLR2004 - the success statuses
            if len(self._error_body) < _MAX_ERROR_BYTES:
                self._error_body += data
            return
        encoding = self._headers.get("content-encoding", "identity")
        if encoding not in {"", "identity"}:
            raise self._known(KieProtocolError(f"the answer is encoded: {encoding}"))
        yield from self._items(self._parser.feed(data))

    def close(self) -> Iterator[ItemT]:
        """End the response; a second time does nothing.

        Raises:
            KieError: It was an error, it was empty, or it was cut.
        """
        if self._closed:
            return
        self._closed = True
        if self._status_code // 100 != 2:  # noqa: PLR2004
            raise self._http_error()
        yield from self._items(self._parser.close())
        if self._held is not None:
            raise self._known(KieEmptyResponseError("KIE's answer is empty"))
        if not (self.is_complete or self._parser.whole or self._call.ends_without_evidence):
            raise self._known(
                KieStreamInterruptedError("the stream ended before the answer was complete")
            )

    def _items(self, values: Iterator[Any]) -> Iterator[ItemT]:
        try:
            for value in values:
                self.event_count += 1
                if self._ignores:
                    continue
                if value is DONE:
                    self.is_complete = self.is_over = self._ignores = True
                    continue
                event = open_envelope(value)
                item = self._call.decode(event)
                self.is_complete = self.is_complete or item.is_terminal
                self.is_over = item.is_last
                yield from self._release(item)
        except KieError as error:
            if not self.is_complete:
                raise self._known(error) from error.__cause__
            self.is_over = self._ignores = True

    def _release(self, item: ItemT) -> Iterator[ItemT]:
        if self._held is None:
            yield item
            return
        self._held.append(item)
        if not item.is_empty:
            held, self._held = self._held, None
            yield from held

    def _http_error(self) -> KieError:
        if self._status_code // 100 == 3:  # noqa: PLR2004 - a redirect
            message = "the server answered with a redirect, which is never followed"
            return self._known(KieProtocolError(message, max_retries=0))
        retry_after = parse_retry_after(self._headers.get("retry-after"))
        body = bytes(self._error_body)
        return self._known(
            error_from_body(body, status_code=self._status_code, retry_after=retry_after)
        )

    def _known(self, error: KieError) -> KieError:
        """Add to an error what the call knows, and take out of it what it must not tell."""
        error.message = self._hide(error.message)
        error.args = (error.message,)
        error.model = self._call.model
        error.status_code = self._status_code
        return error
