"""The errors of this package, and the tables that choose one for a failure.

    KieError
    ├── KieConfigurationError          an invalid setting; nothing was sent
    ├── KieAuthenticationError         401
    ├── KiePermissionDeniedError       403, 505
    ├── KieInsufficientCreditsError    402, 433: no credits, or a spending limit
    ├── KieInvalidRequestError         400, 413, 422
    │   └── KieContextOverflowError    the input is too long
    ├── KieModelNotFoundError          404, or 422 "not supported"
    ├── KieRateLimitError              429
    ├── KieServerError                 455, 5xx
    │   └── KieEmptyResponseError      a response without an answer
    ├── KieProtocolError               a response that cannot be parsed
    ├── KieMediaNotSeenError           an answer for which the model did not see the media
    ├── KieToolCallMissingError        an answer without the tool call that was required
    ├── KieTimeoutError                no connection or response in time
    └── KieConnectionError             no connection, or a lost one
        └── KieStreamInterruptedError  a stream that ended before the answer was complete

Each also inherits from the matching class of `langchain_core.exceptions`, on which fallback and
retry middleware rely. Knows statuses, codes and messages. Knows nothing of HTTP clients.
"""

from __future__ import annotations

import re
from typing import Any

from langchain_core import exceptions as core

MAX_MESSAGE_CHARS = 300
_UNLIMITED_RETRIES = 1_000_000


class KieError(core.ModelError):
    """A call that failed.

    Attributes:
        message: What happened; the server's message where it sent one.
        code: KIE's code from the body, `None` if the body had none.
        status_code: The HTTP status, `None` without a response.
        model: The model that was called.
        is_retryable: Whether the same request may succeed later.
        partial: Whether tokens were delivered before the failure.
        max_retries: The most automatic retries of this error; the model's `max_retries`
            applies as well.
        retry_after: Seconds that the server asked to wait before a retry.
    """

    hint = ""
    default_max_retries = _UNLIMITED_RETRIES

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        status_code: int | None = None,
        model: str | None = None,
        partial: bool = False,
        max_retries: int | None = None,
        is_retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status_code = status_code
        self.model = model
        self.partial = partial
        self.retry_after = retry_after
        if is_retryable is None:
            is_retryable = type(self).is_retryable and max_retries != 0
        self.is_retryable = is_retryable
        if max_retries is None:
            max_retries = self.default_max_retries if is_retryable else 0
        self.max_retries = max_retries

    def __str__(self) -> str:
        """Return the message, where it came from, and a hint what to do."""
        attributes = {"code": self.code, "HTTP": self.status_code, "model": self.model}
        facts = [f"{name} {value}" for name, value in attributes.items() if value is not None]
        text = self.message.rstrip(".") + (f" ({', '.join(facts)})" if facts else "")
        return f"{text}. {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy with every attribute."""
        return (_rebuild, (type(self), self.message, self.__dict__))


def _rebuild(cls: type[KieError], message: str, attributes: dict[str, Any]) -> KieError:
    error = cls(message)
    error.__dict__.update(attributes)
    return error


class KieConfigurationError(KieError, core.ModelInvalidRequestError):
    """A key, URL, model name or option is invalid; nothing was sent."""


class KieAuthenticationError(KieError, core.ModelAuthenticationError):
    """KIE rejected the API key (401)."""

    hint = "Check the API key: api_key= or KIE_API_KEY."


class KiePermissionDeniedError(KieError, core.ModelPermissionDeniedError):
    """The account or IP address has no permission (403), or the feature is disabled (505)."""


class KieInsufficientCreditsError(KieError, core.ModelPermissionDeniedError):
    """The account has no credits left (402), or the key's spending limit is reached (433)."""

    hint = "Add credits or raise the key's spending limit in KIE's console."


class KieInvalidRequestError(KieError, core.ModelInvalidRequestError):
    """KIE rejected the request as invalid (400, 413, 422)."""


class KieContextOverflowError(KieInvalidRequestError, core.ContextOverflowError):
    """The input is longer than the model's context window."""


class KieModelNotFoundError(KieError, core.ModelNotFoundError):
    """KIE does not serve this model at this URL (404, 422)."""

    hint = "Check the spelling of the model, including dots and dashes."


class KieRateLimitError(KieError, core.ModelRateLimitError):
    """Too many requests (429)."""


class KieServerError(KieError, core.ModelAPIError):
    """KIE or the upstream model failed (455, 5xx)."""


class KieEmptyResponseError(KieServerError):
    """The response has no answer: no text, no tool call and no reason for its absence."""


class KieProtocolError(KieError, core.ModelAPIError):
    """The response cannot be parsed; it may have been billed, so the call is not retried."""

    default_max_retries = 0


class KieMediaNotSeenError(KieError, core.ModelAPIError):
    """The token count shows that the model cannot have seen the media it answered about."""


class KieToolCallMissingError(KieError, core.ModelAPIError):
    """The answer has no tool call, although `tool_choice` requires one; it was billed."""

    is_retryable = False


class KieTimeoutError(KieError, core.ModelTimeoutError):
    """No connection, response or event arrived in time."""


class KieConnectionError(KieError, core.ModelConnectionError):
    """The server could not be reached, or the connection was lost."""


class KieStreamInterruptedError(KieConnectionError):
    """A stream ended before the answer was complete."""


_Rule = tuple[type[KieError], int | None]
"""A class, and the most retries; `None` is the default of the class."""

_SERVER_ERROR: _Rule = (KieServerError, None)

# Messages come before codes, because KIE's codes are unreliable: a 500 may report missing
# credits, a 400 maintenance (docs/wire.md 7). The first match counts.
_BY_MESSAGE: dict[str, _Rule] = {
    "context length|context window|too many (input )?tokens|token count .{0,40}exceeds": (
        KieContextOverflowError,
        0,
    ),
    "credits? insufficient|insufficient.(credit|balance|quota|fund)|balance isn.t enough|top up"
    "|spending limit": (KieInsufficientCreditsError, 0),
    "unauthorized|access permissions": (KieAuthenticationError, 0),
    "no user can use": (KieServerError, 1),
    "does not exist|channel not supported|model is not supported": (KieModelNotFoundError, 0),
    "cannot be empty|must be|image download failed": (KieInvalidRequestError, 0),
    "mime type is not supported|failed to get file information": (KieInvalidRequestError, 0),
}
_PATTERNS = [(re.compile(pattern), rule) for pattern, rule in _BY_MESSAGE.items()]
_TEMPORARY = re.compile(
    "maintain|server exception|internal error|try again later|retry fail|timeout"
)

_RELIABLE_CODES = frozenset({401, 402, 403, 429, 433})
"""Codes that count more than the message, unless the message reports missing credits."""

_BY_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "insufficient_quota": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
}

_BY_CODE: dict[int, _Rule] = {
    400: (KieInvalidRequestError, 0),
    401: (KieAuthenticationError, 0),
    402: (KieInsufficientCreditsError, 0),
    403: (KiePermissionDeniedError, 0),
    404: (KieModelNotFoundError, 0),
    408: (KieTimeoutError, 1),
    409: (KieServerError, None),
    413: (KieInvalidRequestError, 0),
    422: (KieInvalidRequestError, 0),
    429: (KieRateLimitError, None),
    433: (KieInsufficientCreditsError, 0),
    455: (KieServerError, None),
    501: (KieServerError, 1),
    505: (KiePermissionDeniedError, 0),
}


def error_for(
    message: str,
    *,
    code: int | None = None,
    status_code: int | None = None,
    type_: str | None = None,
    **attributes: Any,
) -> KieError:
    """Return the error for a failure, chosen by its message, code, type and status.

    Args:
        message: The server's message.
        code: KIE's code from the body.
        status_code: The HTTP status.
        type_: OpenAI's `type` of the error.
        **attributes: Further attributes of the error.
    """
    number = next(n for n in (code, _BY_TYPE.get(type_ or ""), status_code, 0) if n is not None)
    cls, max_retries = _rule_for(message.lower(), number)
    attributes.update(code=code, status_code=status_code, max_retries=max_retries)
    return cls(shortened(message), **attributes)


def shortened(text: str, limit: int = MAX_MESSAGE_CHARS) -> str:
    """Return the text, cut to `limit` characters."""
    return text[: limit - 1] + "…" if len(text) > limit else text


def _rule_for(message: str, number: int) -> _Rule:
    """Return the rule for a message in lower case and a code or status.

    A "try again later" message makes a non-retryable code retryable.
    """
    is_client_error = number // 100 == 4  # noqa: PLR2004 - 4xx
    rule = _BY_CODE.get(number, (KieInvalidRequestError, 0) if is_client_error else _SERVER_ERROR)
    for pattern, message_rule in _PATTERNS:
        if not pattern.search(message):
            continue
        if number in _RELIABLE_CODES and message_rule[0] is not KieInsufficientCreditsError:
            continue
        if number >= 500 and message_rule[0] is KieInvalidRequestError:  # noqa: PLR2004
            continue
        return message_rule
    is_temporary = rule[1] == 0 and _TEMPORARY.search(message)
    return _SERVER_ERROR if is_temporary else rule
