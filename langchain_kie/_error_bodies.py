"""Recognizes KIE's errors inside response bodies; most arrive with HTTP status 200.

Knows JSON values and text. Knows nothing of HTTP clients or LangChain.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from langchain_kie.errors import KieEmptyResponseError, KieError, KieProtocolError, error_for

_OK_CODES = frozenset({None, 0, 200})
_WRAPPERS = ("data", "result", "response")

_CHAT_KEYS = {"choices", "usage", "credits_consumed"}
_NATIVE_KEYS = {"candidates", "usageMetadata", "promptFeedback", "credits_consumed"}
_EVENT_KEYS = frozenset(_CHAT_KEYS | _NATIVE_KEYS)
"""An object with one of these keys is an event."""

_HTML = re.compile(r"^\s*<(!doctype|html|head|body)", re.IGNORECASE)
_HTML_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_EXCERPT_CHARS = 200

# Texts of complete answers that are errors of the upstream model, without their final
# punctuation (docs/wire.md 7).
_ERROR_TEXTS = (
    "the server is currently being maintained, please try again later",
    "server exception, please try again later",
    "the file mime type is not supported by gemini, please convert or change the file",
    "failed to get file information",
    "image download failed",
    "internal error, please try again later",
    "internal error",
)


def event_from_value(value: Any) -> dict[str, Any]:
    """Return the event that a JSON value of a body is or contains.

    Args:
        value: The parsed value, or the error that parsing it raised.

    Raises:
        KieError: The value reports an error, or is no event.
    """
    if not isinstance(value, dict):
        if isinstance(value, KieError):
            raise value
        text = orjson.dumps(value).decode()[:_EXCERPT_CHARS]
        raise KieProtocolError(f"expected a JSON object, got {text}")
    if "code" in value or "error" in value or _EVENT_KEYS.isdisjoint(value):
        raise_if_error(value)
        for wrapper in _WRAPPERS:
            inner = value.get(wrapper)
            if isinstance(inner, dict):
                raise_if_error(inner)
                return inner
        if _EVENT_KEYS.isdisjoint(value):
            raise _unknown_object_error(value)
    return value


def raise_if_error(value: dict[str, Any], **attributes: Any) -> None:
    """Raise the error that `value` reports by its code or its `error` member, if any."""
    code = _to_number(value.get("code"))
    error = value.get("error")
    has_named_code = isinstance(value.get("code"), str) and code is None
    is_marked = value.get("type") == "error" or value.get("success") is False
    if not (error or has_named_code or is_marked) and code in _OK_CODES:
        return
    if isinstance(error, dict):
        code = _to_number(error.get("code")) if code in _OK_CODES else code
        attributes["type_"] = str(error.get("type") or error.get("code"))
        message = error.get("message") or error.get("type")
    else:
        message = error
        code = _to_number(value.get("status")) if code in _OK_CODES else code
    message = value.get("msg") or value.get("message") or message or value.get("detail")
    message = str(message or "").strip() or "KIE reported an error without a message"
    raise error_for(message, code=code, **attributes)


def _unknown_object_error(value: dict[str, Any]) -> KieError:
    """Return the error for an object that is neither an event nor a known error."""
    if "code" in value:
        return KieEmptyResponseError("KIE sent an empty response")
    message = value.get("msg") or value.get("message") or value.get("detail")
    if isinstance(message, str) and message.strip():
        return error_for(message)
    keys = sorted(map(str, value))[:8]
    return KieProtocolError(f"KIE sent an unknown JSON object, with the keys {keys}")


def error_from_body(body: bytes, *, status_code: int, **attributes: Any) -> KieError:
    """Return the error for a response with an error status and any body."""
    message = _excerpt(body)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    if isinstance(value, dict):
        try:
            raise_if_error(value, status_code=status_code, **attributes)
        except KieError as error:
            return error
        message = str(value.get("msg") or value.get("message") or message)
    return error_for(message or "the response has no body", status_code=status_code, **attributes)


def error_from_text(text: str, **attributes: Any) -> KieError | None:
    """Return the error for a complete answer that is a known error text of the upstream model."""
    if text.strip().rstrip("~.!…").lower() in _ERROR_TEXTS:
        return error_for(text.strip(), **attributes)
    return None


def unreadable_body_error(body: bytes) -> KieProtocolError:
    """Return the error for a body that is neither JSON nor an event stream."""
    return KieProtocolError(f"the response is neither JSON nor an event stream: {_excerpt(body)}")


def _excerpt(body: bytes) -> str:
    """Return the start of a body, or the title of an HTML page."""
    text = body.decode("utf-8", "replace").strip()
    if _HTML.match(text):
        title = _HTML_TITLE.search(text)
        return f"an HTML page, {' '.join(title[1].split())!r}" if title else "an HTML page"
    return text[:_EXCERPT_CHARS]


def _to_number(code: Any) -> int | None:
    """Return a code as a number; some proxies send it as a string."""
    if isinstance(code, bool):
        return None
    if isinstance(code, str):
        return int(code) if code.isdecimal() and len(code) < 6 else None  # noqa: PLR2004
    return code if isinstance(code, int) else None
