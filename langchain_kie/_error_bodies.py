"""KIE's error envelopes: how failures look inside a body, whatever the HTTP status says.

Knows JSON values and text. Knows nothing of HTTP clients, dialects or LangChain.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from langchain_kie.errors import KieEmptyResponseError, KieError, KieProtocolError, error_for

_OK_CODES = frozenset({None, 0, 200})
_WRAPPERS = ("data", "result", "response")
_ANSWERS = frozenset(
    {
        "choices",
        "usage",
        "credits_consumed",
        "candidates",
        "usageMetadata",
        "promptFeedback",
    }
)
"""The members by which an answer is known, in either dialect."""

_HTML = re.compile(r"^\s*<(!doctype|html|head|body)", re.IGNORECASE)
_HTML_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_SHOWN_CHARS = 200

# Whole answers that are really failures of the upstream, compared without their trailing
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


def open_envelope(value: Any, **attributes: Any) -> dict[str, Any]:
    """Take the answer out of one JSON value of a body or stream.

    Args:
        value: What was parsed, or why it could not be.
        **attributes: What an error should carry (`status_code`, `model`).

    Raises:
        KieError: The value is an error of KIE's, or nothing that an answer could be.
    """
    if not isinstance(value, dict):
        if isinstance(value, KieError):
            raise value
        text = orjson.dumps(value).decode()[:_SHOWN_CHARS]
        raise KieProtocolError(f"an object was expected, and KIE sent {text}", **attributes)
    if "code" in value or "error" in value or _ANSWERS.isdisjoint(value):
        raise_if_error(value, **attributes)
        for wrapper in _WRAPPERS:
            inner = value.get(wrapper)
            if isinstance(inner, dict):
                raise_if_error(inner, **attributes)
                return inner
        if _ANSWERS.isdisjoint(value):
            raise _shapeless(value, **attributes)
    return value


def raise_if_error(value: dict[str, Any], **attributes: Any) -> None:
    """Raise what `value` reports, if it is an error: an envelope or an `error` member."""
    code = _number(value.get("code"))
    error = value.get("error")
    is_named = isinstance(value.get("code"), str) and code is None
    is_told = value.get("type") == "error" or value.get("success") is False
    if not (error or is_named or is_told) and code in _OK_CODES:
        return
    if isinstance(error, dict):
        code = _number(error.get("code")) if code in _OK_CODES else code
        attributes["type_"] = str(error.get("type") or error.get("code"))
        message = error.get("message") or error.get("type")
    else:
        message = error
        code = _number(value.get("status")) if code in _OK_CODES else code
    message = value.get("msg") or value.get("message") or message or value.get("detail")
    message = str(message or "").strip() or "an error without a message"
    raise error_for(message, code=code, **attributes)


def _shapeless(value: dict[str, Any], **attributes: Any) -> KieError:
    """The error for an object that is neither an answer nor an envelope."""
    if "code" in value:
        return KieEmptyResponseError("KIE's answer is empty", **attributes)
    words = value.get("msg") or value.get("message") or value.get("detail")
    if isinstance(words, str) and words.strip():
        return error_for(words, **attributes)
    keys = sorted(map(str, value))[:8]
    return KieProtocolError(f"an object of an unknown shape, with keys {keys}", **attributes)


def error_from_body(body: bytes, *, status_code: int, **attributes: Any) -> KieError:
    """The error that an HTTP failure is, whatever its body looks like."""
    text = body.decode("utf-8", "replace").strip()
    message = _shown(text)
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
    return error_for(message or "the answer had no body", status_code=status_code, **attributes)


def error_from_text(text: str, **attributes: Any) -> KieError | None:
    """The error that a whole answer is when its text is one of the upstream's error texts."""
    if text.strip().rstrip("~.!…").lower() in _ERROR_TEXTS:
        return error_for(text.strip(), **attributes)
    return None


def unreadable(body: bytes, **attributes: Any) -> KieProtocolError:
    """The error for a body that is neither JSON nor an event stream."""
    text = _shown(body.decode("utf-8", "replace").strip())
    return KieProtocolError(f"the answer is neither JSON nor an event stream: {text}", **attributes)


def _shown(text: str) -> str:
    if _HTML.match(text):
        title = _HTML_TITLE.search(text)
        return f"an HTML page, {' '.join(title[1].split())!r}" if title else "an HTML page"
    return text[:_SHOWN_CHARS]


def _number(code: Any) -> int | None:
    """A code as a number; some proxies send it as a string."""
    if isinstance(code, bool):
        return None
    if isinstance(code, str):
        return int(code) if code.isdecimal() and len(code) < 6 else None  # noqa: PLR2004
    return code if isinstance(code, int) else None
