"""The errors of this package, and the one table that decides which of them a failure is.

    KieError
    ├── KieConfigurationError          a setting of yours that cannot work (nothing was sent)
    ├── KieAuthenticationError         401
    ├── KiePermissionDeniedError       403, 505
    ├── KieInsufficientCreditsError    402, 433: no credits, or a spending limit
    ├── KieInvalidRequestError         400, 413, 422
    │   └── KieContextOverflowError    the same, because the input is too long
    ├── KieModelNotFoundError          404, or 422 "not supported"
    ├── KieRateLimitError              429
    ├── KieServerError                 455, 5xx
    │   └── KieEmptyResponseError      an answer without anything in it
    ├── KieProtocolError               an answer that cannot be read
    ├── KieMediaNotSeenError           an answer to a prompt without its media
    ├── KieTimeoutError
    └── KieConnectionError
        └── KieStreamInterruptedError  a stream that ended before its answer did

Each is also the `langchain_core.exceptions.ModelError` of its kind, which fallback and retry
middleware look at. Knows of statuses, codes and messages; nothing of HTTP clients or dialects.
"""

from __future__ import annotations

import re
from typing import Any

from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelTimeoutError,
)

MAX_MESSAGE_CHARS = 300
MANY_RETRIES = 1_000_000


class KieError(ModelError):
    """A call that failed.

    Attributes:
        message: What happened, in the server's words where it spoke.
        code: KIE's code, from the body (`None` when the body had none).
        status_code: HTTP's status (`None` when there was no response).
        model: The model that was called.
        is_retryable: Whether the same request may succeed later.
        partial: Whether tokens had been delivered before the failure.
        max_retries: How often this package tries again by itself.
        retry_after: Seconds that the server asked to wait.
    """

    hint = ""
    own_retries = MANY_RETRIES

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
            max_retries = self.own_retries if is_retryable else 0
        self.max_retries = max_retries

    def __str__(self) -> str:
        """The message, where it came from, and what to do."""
        facts = [
            f"{name} {value}"
            for name, value in (
                ("code", self.code),
                ("HTTP", self.status_code),
                ("model", self.model),
            )
            if value is not None
        ]
        text = self.message.rstrip(".") + (f" ({', '.join(facts)})" if facts else "")
        return f"{text}. {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy with every attribute."""
        return (_rebuild, (type(self), self.message, self.__dict__))


def _rebuild(cls: type[KieError], message: str, attributes: dict[str, Any]) -> KieError:
    error = cls(message)
    error.__dict__.update(attributes)
    return error


class KieConfigurationError(KieError, ModelInvalidRequestError):
    """A key, URL, model name or option that cannot work; nothing was sent."""


class KieAuthenticationError(KieError, ModelAuthenticationError):
    """The key was refused (401)."""

    hint = "Check the key: api_key= or KIE_API_KEY."


class KiePermissionDeniedError(KieError, ModelPermissionDeniedError):
    """The account or address may not do this (403), or the feature is disabled (505)."""


class KieInsufficientCreditsError(KieError, ModelPermissionDeniedError):
    """The account has no credits left (402), or the key's spending limit is reached (433)."""

    hint = "Top up, or raise the key's limit, in KIE's console."


class KieInvalidRequestError(KieError, ModelInvalidRequestError):
    """KIE refuses the request as it is (400, 413, 422)."""


class KieContextOverflowError(KieInvalidRequestError, ContextOverflowError):
    """The input is longer than the model's context."""


class KieModelNotFoundError(KieError, ModelNotFoundError):
    """KIE does not serve this model at this place (404, 422)."""

    hint = (
        "Names are exact, dots and dashes included; KIE's are in langchain_kie's table of models."
    )


class KieRateLimitError(KieError, ModelRateLimitError):
    """Too many requests (429)."""


class KieServerError(KieError, ModelAPIError):
    """KIE, or the model behind it, failed (455, 5xx)."""


class KieEmptyResponseError(KieServerError):
    """An answer came with nothing in it: no text, no call, no reason."""


class KieProtocolError(KieError, ModelAPIError):
    """An answer came that cannot be read; it may have been billed, so it is not asked again."""

    own_retries = 0


class KieMediaNotSeenError(KieError, ModelAPIError):
    """The model answered, but by the tokens counted it cannot have seen the media."""


class KieTimeoutError(KieError, ModelTimeoutError):
    """The server took too long."""


class KieConnectionError(KieError, ModelConnectionError):
    """The server could not be reached, or the connection broke."""


class KieStreamInterruptedError(KieConnectionError):
    """A stream ended before the answer did."""


_Rule = tuple[type[KieError], int | None]

# Messages come first: KIE's codes lie (a 500 may say that credits ran out, a 400 that the
# server is being maintained). Sources: docs/wire.md 7; order matters.
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
_PASSING = re.compile("maintain|server exception|internal error|try again later|retry fail|timeout")

_CERTAIN = frozenset({401, 402, 403, 429, 433})
"""Codes that mean what they say, unless the message speaks of credits."""

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
    """The error that a failure is, by its message first, then its code, type and status.

    Args:
        message: The server's words.
        code: KIE's code, from the body.
        status_code: HTTP's status; a 200 counts for nothing.
        type_: OpenAI's name for the kind of error.
        **attributes: What else the error should carry.
    """
    number = next(n for n in (code, _BY_TYPE.get(type_ or ""), status_code, 0) if n is not None)
    cls, max_retries = _rule_for(message.lower(), number)
    return cls(
        shortened(message),
        code=code,
        status_code=status_code,
        max_retries=max_retries,
        **attributes,
    )


def shortened(message: str) -> str:
    """A message of at most `MAX_MESSAGE_CHARS`."""
    is_long = len(message) > MAX_MESSAGE_CHARS
    return message[: MAX_MESSAGE_CHARS - 1] + "…" if is_long else message


def _rule_for(message: str, number: int) -> _Rule:
    """The rule of a message in lower case and a code or status.

    Words that promise better times overrule a code that says never, not one that agrees.
    """
    rule = _BY_CODE.get(number) or _rule_of_range(number)
    for pattern, said in _PATTERNS:
        if not pattern.search(message):
            continue
        if number in _CERTAIN and said[0] is not KieInsufficientCreditsError:
            continue
        if number >= 500 and said[0] is KieInvalidRequestError:  # noqa: PLR2004
            continue
        return said
    return (KieServerError, None) if rule[1] == 0 and _PASSING.search(message) else rule


def _rule_of_range(number: int) -> _Rule:
    if number >= 500:  # noqa: PLR2004 - the first server error
        return (KieServerError, None)
    return (KieInvalidRequestError, 0) if number >= 400 else (KieServerError, None)  # noqa: PLR2004
