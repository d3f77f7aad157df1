"""When an answer has begun, when it is complete, and when it was cut: the guard of a call.

Pure: bytes in, decoded items out. Knows nothing of sockets, dialects or LangChain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from langchain_kie._error_bodies import error_from_body, open_envelope
from langchain_kie._http.retry import parse_retry_after
from langchain_kie._http.sse import DONE, EventParser
from langchain_kie.errors import (
    KieEmptyResponseError,
    KieError,
    KieProtocolError,
    KieStreamInterruptedError,
    shortened,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
class MultipartBody:
    """A multipart body: fields, and a file that is read as it is sent."""

    fields: dict[str, str]
    name: str
    file: Any
    mime_type: str


@dataclass(frozen=True, slots=True)
class HttpCall(Generic[ItemT]):
    """One request, as the transport needs to know it.

    Attributes:
        model: The model's name, for errors; `None` where no model is called.
        path: The URL's path and query, from the base on.
        body: The JSON body, or a form.
        parse_event: Turns an event into an item; raises `KieError` if it cannot.
        ends_without_evidence: Whether a stream may end without terminal evidence.
        timeout: Seconds, or an `httpx.Timeout`, for this call only.
    """

    model: str | None
    path: str
    body: bytes | MultipartBody
    parse_event: Callable[[dict[str, Any]], ItemT]
    ends_without_evidence: bool = False
    timeout: Any = None


class ResponseReader(Generic[ItemT]):
    """Reads the response to one call, piece by piece.

    Items are held back until the first that is not empty, so that whoever opens the response
    knows whether there is an answer at all; up to that point the call can be made again.

    Args:
        call: What was asked.
        status_code: HTTP's.
        headers: The response's.
        redact: Takes the key out of a text, should the server have echoed it.

    Attributes:
        has_terminal_event: An event was evidence that the answer is complete.
        can_stop_reading: Nothing more that matters can come.
        event_count: How many events came.
    """

    def __init__(
        self,
        call: HttpCall[ItemT],
        status_code: int,
        headers: Mapping[str, str],
        redact: Callable[[str], str],
    ) -> None:
        self.has_terminal_event = False
        self.can_stop_reading = False
        self.event_count = 0
        self._call = call
        self._redact = redact
        self._status_code = status_code
        self._headers = headers
        self._is_failure = status_code // 100 != 2  # noqa: PLR2004 - the success statuses
        self._parser = EventParser()
        self._buffered: list[ItemT] | None = []
        self._error: KieError | None = None
        self._error_body = bytearray()
        self._closed = False
        self._ignores = False
        encoding = headers.get("content-encoding", "identity")
        if not self._is_failure and encoding not in {"", "identity"}:
            self._error = self._known(KieProtocolError(f"the answer is encoded: {encoding}"))

    @property
    def is_complete(self) -> bool:
        """Whether nothing that the network does now can hurt.

        Terminal evidence was seen, or a whole document; of a failure the status says enough.
        """
        return self.has_terminal_event or self._is_failure or self._parser.has_document()

    def feed(self, data: bytes) -> list[ItemT]:
        """Read the next piece: what came before anything went wrong."""
        if not self._is_failure:
            return self._read(self._parser.feed(data))
        if len(self._error_body) < _MAX_ERROR_BYTES:
            self._error_body += data
        return []

    def check(self) -> None:
        """See that nothing went wrong so far.

        Raises:
            KieError: An event reported an error, or could not be read, and the answer was not
                complete yet.
        """
        if self._error:
            raise self._error

    def close(self) -> list[ItemT]:
        """End the response; a second time does nothing.

        Raises:
            KieError: It was an error, it was empty, or it was cut.
        """
        if self._closed:
            return []
        self._closed = True
        if self._is_failure:
            raise self._http_error()
        items = self._read(self._parser.close())
        self.check()
        if self._buffered is not None:
            raise self._known(KieEmptyResponseError("KIE's answer is empty"))
        if not (self.has_terminal_event or self._parser.whole or self._call.ends_without_evidence):
            raise self._known(
                KieStreamInterruptedError("the stream ended before the answer was complete")
            )
        return items

    def _read(self, values: list[Any]) -> list[ItemT]:
        """Decode events, up to the first that is an error."""
        items: list[ItemT] = []
        self.event_count += len(values)
        if self._ignores or self._error:
            return items
        for value in values:
            if value is DONE:
                self.has_terminal_event = self.can_stop_reading = self._ignores = True
                break
            try:
                item = self._call.parse_event(open_envelope(value))
            except KieError as error:
                self._end(error)
                break
            self.can_stop_reading = False
            if item.is_terminal:
                self.has_terminal_event, self.can_stop_reading = True, item.is_last
            if self._buffered is None:
                items.append(item)
                continue
            self._buffered.append(item)
            if not item.is_empty:
                items, self._buffered = self._buffered, None
        return items

    def _end(self, error: KieError) -> None:
        """Stop reading; what goes wrong behind a complete answer does not matter."""
        if self.has_terminal_event:
            self.can_stop_reading = self._ignores = True
        else:
            self._error = self._known(error)

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
        error.message = shortened(self._redact(error.message))
        error.args = (error.message,)
        error.model = self._call.model
        error.status_code = self._status_code
        return error
