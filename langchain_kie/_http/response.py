"""Reads a response; decides whether it started, completed or was truncated.

Pure: bytes in, decoded items out. Independent of sockets, KIE's APIs and LangChain.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from langchain_kie._error_bodies import (
    billed_empty_error,
    error_from_body,
    event_from_value,
    is_usage,
    starts_answer,
    unknown_object_error,
    unreadable_body_error,
)
from langchain_kie._http.retry import parse_retry_after
from langchain_kie._http.sse import DONE, Done, EventParser
from langchain_kie.errors import (
    BILLED_TIMEOUT_HINT,
    UNLIMITED_RETRIES,
    KieEmptyResponseError,
    KieError,
    KieProtocolError,
    KieStreamInterruptedError,
    KieTimeoutError,
    shortened,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langchain_kie._json import JsonPieces

_MAX_ERROR_BYTES = 64 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
_INCOMPLETE = "the stream ended before the answer was complete"


class Decoded(Protocol):
    """What `ResponseReader` needs to know of a decoded event.

    Attributes:
        answer_choice: The choice that is the answer, `None` if the event does not tell.
        has_output: The event has a piece of the answer.
        has_finish_reason: The event has a finish reason, also one after which more can come; it
            proves the end only if the body ends properly after it.
        is_bare_end: The event has only a normal finish reason, maybe with token counts. Before
            any output, some servers send it while the model thinks.
        is_empty: The event has no output and no usage, and does not explain a refusal.
        is_terminal: The event proves that the answer is complete: it has a finish reason,
            credits, or usage in an event without output.
        is_last: Nothing of use can follow.
    """

    @property
    def answer_choice(self) -> int | str | None: ...
    @property
    def has_output(self) -> bool: ...
    @property
    def has_finish_reason(self) -> bool: ...
    @property
    def is_bare_end(self) -> bool: ...
    @property
    def is_empty(self) -> bool: ...
    @property
    def is_terminal(self) -> bool: ...
    @property
    def is_last(self) -> bool: ...
    def is_about_other(self, choice: int | str | None) -> bool:
        """Return whether the event is only about another choice."""


ItemT = TypeVar("ItemT", bound=Decoded)
ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class SingleEvent(Generic[ValueT]):
    """An answer that is one JSON document, in the form that `ResponseReader` needs.

    Attributes:
        value: The decoded document.
    """

    value: ValueT
    answer_choice: int | str | None = None
    has_output: bool = True
    has_finish_reason: bool = False
    is_bare_end: bool = False
    is_empty: bool = False
    is_terminal: bool = True
    is_last: bool = True

    def is_about_other(self, choice: int | str | None) -> bool:  # noqa: ARG002 - it has no choices
        """Return False."""
        return False


@dataclass(frozen=True, slots=True)
class MultipartBody:
    """A multipart request body: form fields, and a file that is read while it is sent."""

    fields: dict[str, str]
    name: str
    file: Any
    mime_type: str


@dataclass(frozen=True, slots=True)
class HttpCall(Generic[ItemT]):
    """One request, and how to decode its response.

    Attributes:
        model: The model's name for error messages, `None` where no model is called.
        path: The URL's path and query, relative to the base URL.
        body: JSON, or a multipart body; `None` for a GET request.
        parse_event: Decodes an event; raises `KieError` if it cannot.
        join_events: Joins those of the JSON values of one read that may become one event.
        timeout: Seconds, or a `Timeout` of httpx or httpx2; `None` for the transport's.
        event_from_value: Finds the event in a JSON value of the body, `None` if it has none;
            raises `KieError` for a value that reports an error.
        is_final: Returns whether an error of the server is one that the same request always has.
    """

    model: str | None
    path: str
    body: bytes | JsonPieces | MultipartBody | None
    parse_event: Callable[[dict[str, Any]], ItemT]
    join_events: Callable[[list[Any]], list[Any]] | None = None
    timeout: Any = None
    event_from_value: Callable[[Any], dict[str, Any] | None] = event_from_value
    is_final: Callable[[KieError], bool] | None = None


class ResponseReader(Generic[ItemT]):
    """Decodes the body of one response, piece by piece.

    Items are buffered until the first one that is not empty. Before it a call can be retried.

    Args:
        call: The call that was sent.
        status_code: The HTTP status.
        headers: The headers of the response.
        redact: Removes the API key from a text, in case the server echoed it.
        retry_on_timeout: Whether a time-out that a gateway reports is retried.

    Attributes:
        has_terminal_event: An event proved that the answer is complete, and no output followed.
        output_can_follow: The proof is only a finish reason, after which some servers go on.
        can_stop_reading: Nothing of use can follow.
        event_count: The number of events so far.
    """

    def __init__(
        self,
        call: HttpCall[ItemT],
        status_code: int,
        headers: Mapping[str, str],
        redact: Callable[[str], str],
        *,
        retry_on_timeout: bool = False,
    ) -> None:
        self.has_terminal_event = False
        self.output_can_follow = True
        self.can_stop_reading = False
        self.event_count = 0
        self._call = call
        self._redact = redact
        self._retry_on_timeout = retry_on_timeout
        self._status_code = status_code
        self._headers = headers
        self._is_failure = status_code // 100 != 2  # noqa: PLR2004 - the success statuses
        self._parser = EventParser()
        self._buffered: list[ItemT] | None = []
        self._error: KieError | None = None
        self._error_body = bytearray()
        self._ignores_events = False
        self._is_answer_started = False
        self._last_item: ItemT | None = None
        self._choice: int | str | None = None
        self._bill: dict[str, Any] = {}
        self._unknown_object: Any = None
        encoding = headers.get("content-encoding", "identity")
        self._is_compressed = not self._is_failure and encoding not in {"", "identity"}

    @property
    def has_items(self) -> bool:
        """Whether an item was returned; the call can no longer be retried."""
        return self._buffered is None

    @property
    def may_be_billed(self) -> bool:
        """Whether a part of an answer was received, also if it is no item yet."""
        is_cut = self._parser.is_in_event() or (self._is_compressed and bool(self._error_body))
        is_started = self.event_count > 0 or is_cut
        return self.has_items or (self._call.model is not None and is_started)

    @property
    def is_complete(self) -> bool:
        """Whether later network errors can be ignored.

        True after a terminal event, after a complete JSON document, and for an error status.
        """
        return self.has_terminal_event or self._is_failure or self._parser.has_document()

    def feed(self, data: bytes) -> list[ItemT]:
        """Decode the next piece of the body, up to the first error."""
        if not (self._is_failure or self._is_compressed):
            if self.event_count or data[:2] != _GZIP_MAGIC:
                values = self._parser.feed(data)
                count = len(values)
                self.event_count += count
                if count > 1 and self._call.join_events:
                    values = self._call.join_events(values)
                return self._decode(values)
            self._is_compressed = True
        if len(self._error_body) < _MAX_ERROR_BYTES:
            self._error_body += data
        elif self._is_compressed:
            self._error = self._compressed_error()
        return []

    def raise_if_failed(self) -> None:
        """Raise the error found so far, if any.

        Raises:
            KieError: Before the answer was complete, an event reported an error or could not
                be decoded.
        """
        if self._error:
            raise self._error

    def close(self) -> list[ItemT]:
        """End the body and return its last items; call it once.

        Raises:
            KieError: The response was an error, empty or truncated.
        """
        if self._is_failure:
            raise self._status_error()
        if self._is_compressed:
            raise self._compressed_error()
        items = self._decode(self._parser.close())
        self.raise_if_failed()
        if not self.has_items:
            error: KieError = KieEmptyResponseError("KIE sent an empty response")
            if self._parser.ends_in_event and not self.has_terminal_event:
                error = KieStreamInterruptedError("the stream ended inside its first event")
            elif self._is_answer_started and not self._is_complete_answer():
                error = KieStreamInterruptedError(_INCOMPLETE)
            elif self._unknown_object is not None and not self._buffered:
                error = unknown_object_error(self._unknown_object)
            elif self._parser.noise and not self._buffered:
                error = unreadable_body_error(self._parser.noise)
            raise self._with_context(error)
        if not self._is_answer_started:
            raise self._with_context(billed_empty_error(self._bill))
        if not self._is_complete_answer():
            raise self._with_context(KieStreamInterruptedError(_INCOMPLETE))
        return items

    def _is_complete_answer(self) -> bool:
        """Whether a body that ended properly has a complete answer."""
        last = self._last_item
        is_end = last and last.has_finish_reason and not last.is_about_other(self._choice)
        return bool(self.has_terminal_event or is_end or self._parser.is_document)

    def _decode(self, values: list[Any]) -> list[ItemT]:
        """Decode parsed values, up to the first error."""
        items: list[ItemT] = []
        if self._ignores_events or self._error:
            return items
        for value in values:
            if value is DONE:
                self.has_terminal_event = True
                self._stop_reading()
                break
            try:
                event = self._call.event_from_value(value)
                if event is None:
                    self._unknown_object = value
                    self.event_count -= 1
                    continue
                item = self._call.parse_event(event)
            except KieError as error:
                self._record_error(error)
                break
            if not self._is_answer_started:
                self._is_answer_started, self._bill = starts_answer(event), {**self._bill, **event}
            self._last_item = item
            self._choice = item.answer_choice if self._choice is None else self._choice
            if item.is_terminal or self.has_terminal_event:
                self._weigh_evidence(item, event)
            if self._buffered is None:
                items.append(item)
                continue
            self._buffered.append(item)
            if not item.is_empty:
                items, self._buffered = self._buffered, None
        return items

    def _weigh_evidence(self, item: ItemT, event: dict[str, Any]) -> None:
        """Update what is known of the end of the answer, after an event.

        Some servers send a finish reason and go on: output after it withdraws the evidence, and
        a bare finish reason before any output is none, nor are costs before any choice, nor the
        finish reason of another choice.
        """
        is_start = self._buffered is not None and not self._parser.is_document
        if not self._is_answer_started or (is_start and item.is_bare_end):
            return
        if item.is_about_other(self._choice):
            return
        self.can_stop_reading = item.is_terminal and item.is_last
        if item.is_terminal:
            self.has_terminal_event = self.output_can_follow = True
        elif item.has_output:
            self.has_terminal_event = False
        if self.can_stop_reading or (is_usage(event) and not item.has_output):
            self.output_can_follow = False

    def _stop_reading(self) -> None:
        """Ignore what follows."""
        self.can_stop_reading = self._ignores_events = True
        self.output_can_follow = False

    def _record_error(self, error: KieError) -> None:
        """Keep an error for `raise_if_failed`; after a complete answer, ignore it."""
        if self.has_terminal_event:
            self._stop_reading()
        else:
            self._error = self._with_context(error)

    def _status_error(self) -> KieError:
        if self._status_code // 100 == 3:  # noqa: PLR2004 - a redirect
            message = "the server answered with a redirect, which is never followed"
            return self._with_context(KieProtocolError(message, max_retries=0))
        retry_after = parse_retry_after(self._headers.get("retry-after"))
        body = self._decompressed_body()
        error = error_from_body(
            body, _values(body), status_code=self._status_code, retry_after=retry_after
        )
        if isinstance(error, KieTimeoutError) and error.max_retries == UNLIMITED_RETRIES:
            error.max_retries = UNLIMITED_RETRIES if self._retry_on_timeout else 0
            error.hint = BILLED_TIMEOUT_HINT if self._call.model else ""
        return self._with_context(error)

    def _compressed_error(self) -> KieError:
        """The error in a compressed body, or one for the compression, which was not requested."""
        try:
            for value in _values(self._decompressed_body()):
                event_from_value(value)
        except KieError as error:
            return self._with_context(error)
        encoding = self._headers.get("content-encoding", "gzip").lower()
        message = f"the response has an unexpected Content-Encoding: {encoding}"
        return self._with_context(KieProtocolError(message))

    def _decompressed_body(self) -> bytes:
        """Return the body of an error without gzip, also without the header for it, or deflate."""
        body, encoding = bytes(self._error_body), self._headers.get("content-encoding", "").lower()
        if "gzip" in encoding or "deflate" in encoding or body.startswith(_GZIP_MAGIC):
            return _decompressed(body)
        return body

    def _with_context(self, error: KieError) -> KieError:
        """Add the model, the status and the bill to an error, and remove the API key from it."""
        if self._call.is_final and self._call.is_final(error):
            error.max_retries = 0
        error.message = shortened(self._redact(error.message))
        error.args = (error.message,)
        error.model = self._call.model
        if self.has_items and KieStreamInterruptedError.hint not in error.hint:
            error.hint = f"{error.hint} {KieStreamInterruptedError.hint}".strip()
        error.status_code = self._status_code
        return error


def _decompressed(body: bytes) -> bytes:
    """Return the start of a body without gzip or deflate, with or without a zlib header."""
    for window_bits in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):  # 32 detects the header
        try:
            return zlib.decompressobj(window_bits).decompress(body, _MAX_ERROR_BYTES)
        except zlib.error:
            continue
    return body


def _values(body: bytes) -> list[Any]:
    """Return the JSON values of a complete body, a document or events, as far as they are JSON."""
    parser = EventParser()
    values = [*parser.feed(body), *parser.close()]
    return [value for value in values if not isinstance(value, (KieError, Done))]
