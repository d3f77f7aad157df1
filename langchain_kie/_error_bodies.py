"""Recognizes KIE's errors inside response bodies; most arrive with HTTP status 200.

Depends on JSON values and text; independent of HTTP clients and LangChain.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_kie._json import answer_json
from langchain_kie.errors import (
    KieEmptyResponseError,
    KieError,
    KieProtocolError,
    error_for,
    is_error_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ItemT = TypeVar("ItemT")

_OK_CODES = frozenset({None, 0, 200})
_OK_WORDS = frozenset({"ok", "success"})
_WRAPPERS = ("data", "result", "response")
_USAGES = ("usage", "usageMetadata")

_ANSWER_KEYS = frozenset({"choices", "candidates", "promptFeedback"})
_COST_KEYS = frozenset({*_USAGES, "credits_consumed"})
"""Some relays write these next to the object that wraps the answer."""
_EVENT_KEYS = _ANSWER_KEYS | _COST_KEYS
"""An object with one of these keys is an event."""

_HTML = re.compile(r"^\s*<(!doctype|html|head|body)", re.IGNORECASE)
_HTML_TITLE = re.compile(r"<title[^<>]*>([^<]*)</title>", re.IGNORECASE)
_CLOUDFLARE_ERROR = re.compile(r"error(?: code)?:?(?:\s|<[^<>]*>){0,20}(1\d{3})\b", re.IGNORECASE)
_CODE = re.compile(r"([0-9]{1,5})(?:\.0*)?")
_SECONDS = re.compile(r"(\d{1,6}(?:\.\d{1,9})?)s")
_EXCERPT_CHARS = 200
_MESSAGE_KEYS = ("msg", "message", "errorMessage", "error_message", "detail", "errors", "error")
_MESSAGE_DEPTH = 4
_STATUS_WORDS = frozenset(
    {
        *("ping", "pong", "keepalive", "heartbeat", "alive", "status", "progress"),
        *("start", "started", "open", "connected", "ready", "queued", "pending", "waiting"),
        *("running", "working", "processing", "thinking", "inprogress", *_OK_WORDS),
    }
)
"""Values of `type`, `event` or the message of objects that report no error, in lower case and
without what is not a letter. The message of any other object counts as an error."""
_NOT_LETTERS = re.compile(r"[\W\d_]+")

LOST_FILE_TEXTS = ("failed to get file information", "image download failed")
"""Those of `_ERROR_TEXTS` after which the call can succeed if the files are uploaded again."""
_LOST_FILE = re.compile("download failed|failed to get file information")
_ERROR_ENDS = "~.!…"

# Texts of complete answers that are errors of the upstream model, without their final
# punctuation (docs/wire.md 7).
_ERROR_TEXTS = (
    "the server is currently being maintained, please try again later",
    "server exception, please try again later",
    "the file mime type is not supported by gemini, please convert or change the file",
    *LOST_FILE_TEXTS,
    "internal error, please try again later",
    "internal error",
)


def event_from_value(value: Any) -> dict[str, Any] | None:
    """Return the event that a JSON value of a body is or contains, `None` if it has none.

    Args:
        value: The parsed value, or the error that parsing it raised.

    Raises:
        KieError: The value reports an error, or is no object.
    """
    if not isinstance(value, dict):
        return event_from_value(_object_from_list(value))
    if "code" in value or "error" in value or _ANSWER_KEYS.isdisjoint(value):
        raise_if_error(value)
        for wrapper in _WRAPPERS:
            inner = value.get(wrapper)
            if isinstance(inner, dict):
                raise_if_error(inner)
                costs = {key: value[key] for key in _COST_KEYS if value.get(key)}
                return {**inner, **{key: costs[key] for key in costs if not inner.get(key)}}
        if _EVENT_KEYS.isdisjoint(value):
            message = value.get("msg") or value.get("message") or value.get("detail")
            if isinstance(message, str) and message.strip():
                names = (message, value.get("type"), value.get("event"))
                is_status = "code" in value or any(map(_is_status, names))
                if is_error_text(message) or not is_status:
                    raise error_for(message)
            return None
    return value


def _is_status(word: Any) -> bool:
    """Return whether a word is one of those of a server that works, not of an error."""
    return isinstance(word, str) and _NOT_LETTERS.sub("", word).lower() in _STATUS_WORDS


def data_from_value(value: Any) -> dict[str, Any]:
    """Return the object with the `data` of an answer that is not one of chat.

    Args:
        value: As in `event_from_value`.

    Raises:
        KieError: The value reports an error, or has no `data`.
    """
    value = _object_from_list(value)
    raise_if_error(value)
    if "data" not in value:
        raise KieProtocolError(
            f"the answer has no data, but the keys {sorted(map(str, value))[:8]}"
        )
    return {"data": value["data"]}


def only_item(items: Iterable[ItemT]) -> ItemT:
    """Return the item of an answer that must have exactly one; a transport yields at least one.

    Raises:
        KieProtocolError: There are several.
    """
    item, *others = items
    if others:
        raise KieProtocolError(f"the answer has {len(others) + 1} values instead of one")
    return item


def _object_from_list(value: Any) -> dict[str, Any]:
    """Return the object that is the only element of a list; everything else is an error."""
    value = _without_list(value)
    if isinstance(value, KieError):
        raise value
    if not isinstance(value, dict):
        text = answer_json(value)[:_EXCERPT_CHARS]
        raise KieProtocolError(f"expected a JSON object, got {text}")
    return value


def is_recognized(value: Any) -> bool:
    """Return whether a JSON value has the members of KIE's or OpenAI's errors, or of answers."""
    if not isinstance(value, dict):
        return False
    if "code" in value and ("msg" in value or "message" in value):
        return True
    if "error" in value or not _EVENT_KEYS.isdisjoint(value):
        return True
    return any(is_recognized(value.get(wrapper)) for wrapper in _WRAPPERS)


def starts_answer(event: dict[str, Any]) -> bool:
    """Return whether an event is more than token counts and credits.

    It has a choice, a candidate or a blocked prompt, or is no event of a model's answer.
    """
    return bool(
        event.get("choices")
        or event.get("candidates")
        or (event.get("promptFeedback") or {}).get("blockReason")
        or _EVENT_KEYS.isdisjoint(event)
    )


def is_usage(event: dict[str, Any]) -> bool:
    """Return whether an event has final token counts: natively, every event has counts."""
    is_native = event.get("usageMetadata") and not event.get("candidates")
    return bool(event.get("usage") or is_native)


def billed_empty_error(event: dict[str, Any]) -> KieEmptyResponseError:
    """Return the error for a complete answer without a choice, given its event with the usage."""
    names = ("usage", "usageMetadata", "credits_consumed")
    bill = answer_json({name: event[name] for name in names if name in event})
    return KieEmptyResponseError(
        f"KIE sent an answer without a choice or candidate, and may have billed it: {bill}",
        max_retries=0,
        is_retryable=True,
        credits_consumed=credits_of(event),
    )


def credits_of(event: dict[str, Any]) -> float | None:
    """Return the credits that an event reports, `None` if there is no such number."""
    try:
        amount = float(event.get("credits_consumed", math.nan))
    except (OverflowError, TypeError, ValueError):
        return None
    return amount if math.isfinite(amount) else None


def raise_if_error(value: dict[str, Any], **attributes: Any) -> None:
    """Raise the error that `value` reports by its code or its `error` member, if any."""
    code = _code_number(value.get("code"))
    error = None if _is_no_error(value.get("error")) else value.get("error")
    is_marked = value.get("type") == "error" or value.get("success") is False
    if not (error or is_marked) and _is_ok(value.get("code")):
        return
    message = None
    names = [value.get("code")]
    while isinstance(error, dict) and error.get("error") and not error.get("message"):
        error = error["error"]
    if isinstance(error, dict):
        code = _code_number(error.get("code")) or None if code in _OK_CODES else code
        names += [error.get("code"), error.get("type")]
        attributes["retry_after"] = attributes.get("retry_after") or _retry_delay(error)
        metadata = error.get("metadata")
        raw = metadata.get("raw") if isinstance(metadata, dict) else None
        message, error = error.get("message"), raw or error.get("type")
    else:
        code = _code_number(value.get("status")) if code in _OK_CODES else code
    message = message or value.get("msg") or value.get("message") or error or _message_in(value)
    message = str(message or value.get("detail") or "").strip()
    message = message or "KIE reported an error without a message"
    raise with_bill(error_for(message, code=code, names=names, **attributes), value)


def _message_in(value: Any) -> str:
    """Return the message of an error in other words, also inside an object or a list."""
    for _ in range(_MESSAGE_DEPTH):
        if isinstance(value, list) and value:
            value = value[0]
        elif isinstance(value, dict):
            value = next(filter(None, map(value.get, _MESSAGE_KEYS)), None)
    return value.strip() if isinstance(value, str) else ""


def with_bill(error: KieError, value: dict[str, Any]) -> KieError:
    """Return the error with the credits that its value reports, and no retries if it was billed.

    The value's `error`, or the object that it wraps, can report them as well.
    """
    inner = (value.get(name) for name in ("error", *_WRAPPERS))
    for bill in (value, *(item for item in inner if isinstance(item, dict))):
        if error.credits_consumed is None:
            error.credits_consumed = credits_of(bill)
        if error.credits_consumed or any(map(_has_counts, map(bill.get, _USAGES))):
            error.max_retries = 0
    return error


def _has_counts(usage: Any) -> bool:
    """Return whether token counts, which can be text, have one that is not zero."""
    counts = usage.values() if isinstance(usage, dict) else ()
    return any(str(count).strip("0.") for count in counts if isinstance(count, (int, float, str)))


def _is_no_error(error: Any) -> bool:
    """Return whether the value of `error` means that there is no error."""
    if not isinstance(error, dict):
        return not error
    others = (value for name, value in error.items() if name not in {"code", "message"})
    return _is_ok(error.get("code")) and _is_ok(error.get("message")) and not any(others)


def _is_ok(code: Any) -> bool:
    """Return whether a code, or the message next to it, reports no error."""
    if isinstance(code, str) and _code_number(code) is None:
        return not code.strip()
    return _code_number(code) in _OK_CODES


def _retry_delay(error: dict[str, Any]) -> float | None:
    """Return the seconds of Google's `RetryInfo` in the details of an error."""
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and (seconds := _SECONDS.fullmatch(delay)):
            return float(seconds[1]) or None
    return None


def unknown_object_error(value: Any) -> KieError:
    """Return the error for an answer that is an object without an event, or a list of one."""
    value = _object_from_list(value)
    if "code" in value or "error" in value:
        return KieEmptyResponseError("KIE sent an empty response")
    is_status = any(isinstance(value.get(name), str) for name in ("msg", "message", "detail"))
    if not is_status and (message := _message_in(value)):
        return error_for(message)
    keys = sorted(map(str, value))[:8]
    return KieProtocolError(f"KIE sent an unknown JSON object, with the keys {keys}")


def error_from_body(
    body: bytes, values: Sequence[Any], *, status_code: int, **attributes: Any
) -> KieError:
    """Return the error for a response with an error status.

    Args:
        body: Any body.
        values: The JSON values in it.
        status_code: The HTTP status.
        **attributes: Further attributes of the error.
    """
    message = _excerpt(body)
    for value in values:
        if not isinstance(value, dict):
            continue
        try:
            raise_if_error(value, status_code=status_code, **attributes)
        except KieError as error:
            return error
        message = str(value.get("msg") or value.get("message") or message)
    return error_for(message or "the response has no body", status_code=status_code, **attributes)


def error_from_text(text: str, **attributes: Any) -> KieError | None:
    """Return the error for a complete answer that is a known error text of the upstream model."""
    if text.strip().rstrip(_ERROR_ENDS).lower() in _ERROR_TEXTS:
        return error_for(text.strip(), **attributes)
    return None


def may_be_lost_file(text: str) -> bool:
    """Return whether a text may be the start of an answer that is one of `LOST_FILE_TEXTS`."""
    start = text.strip().rstrip(_ERROR_ENDS).lower()
    return any(error.startswith(start) for error in LOST_FILE_TEXTS)


def is_lost_file(error: KieError) -> bool:
    """Return whether an error, with any code, reports that KIE could not download a file."""
    return bool(_LOST_FILE.search(error.message.lower()))


def unreadable_body_error(body: bytes) -> KieProtocolError:
    """Return the error for a body that is neither JSON nor an event stream."""
    return KieProtocolError(f"the response is neither JSON nor an event stream: {_excerpt(body)}")


def _without_list(value: Any) -> Any:
    """Return the only element of a list, in which Google sends an error; others unchanged."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _excerpt(body: bytes) -> str:
    """Return the start of a body, or the title and Cloudflare's error number of an HTML page."""
    text = body.decode("utf-8", "replace").strip()
    if not _HTML.match(text):
        return text[:_EXCERPT_CHARS]
    title, number = _HTML_TITLE.search(text), _CLOUDFLARE_ERROR.search(text)
    excerpt = f"an HTML page, {' '.join(title[1].split())!r}" if title else "an HTML page"
    return f"{excerpt}, error {number[1]}" if number else excerpt


def _code_number(code: Any) -> int | None:
    """Return a code as a number; some proxies send it as a string or a float."""
    if isinstance(code, bool):
        return None
    if isinstance(code, str):
        word = code.strip().lower()
        number = _CODE.fullmatch(word)
        return 0 if word in _OK_WORDS else int(number[1]) if number else None
    if isinstance(code, float):
        return int(code) if code.is_integer() else None
    return code if isinstance(code, int) else None
