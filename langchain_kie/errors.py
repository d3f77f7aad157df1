"""The errors of this package, and the tables that choose one for a failure.

    KieError
    ├── KieConfigurationError          an invalid setting; nothing was sent
    ├── KieAuthenticationError         401
    ├── KiePermissionDeniedError       403, 505, or 401 for a model that the key may not use
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
    │   └── KieRefusalError            the same, because the model refused
    ├── KieTimeoutError                no connection or response in time, HTTP 504, 522, 524
    └── KieConnectionError             no connection, or a lost one
        └── KieStreamInterruptedError  a stream that ended before the answer was complete

Each also inherits from the matching class of `langchain_core.exceptions`, on which fallback and
retry middleware rely. Those that no retry can help are `RuntimeError`s too, because LangGraph's
default `RetryPolicy` (langgraph 1.2.24) does not read `is_retryable`, but retries no
`RuntimeError`. This can go when it reads it.

Depends on statuses, codes and messages; independent of HTTP clients.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from langchain_core import exceptions as core
from langchain_core.messages import BaseMessage
from langchain_core.version import VERSION

MAX_MESSAGE_CHARS = 300
_TO_SPACE = dict.fromkeys(
    [*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A)], " "
)
"""Control characters, line ends, and marks that change the direction of text."""
UNLIMITED_RETRIES = 1_000_000

HAS_REFUSALS = hasattr(core, "ModelRefusalError")
"""Whether LangChain has refusals: `refusal` blocks and their error, since langchain-core 1.7.5.
Where it does not, no refusal blocks are made."""

HAS_NORMALIZED_FINISH_REASONS = tuple(map(int, re.findall("[0-9]+", VERSION)[:3])) >= (1, 8, 4)
"""Whether LangChain reads `response_metadata["normalized_finish_reason"]`."""

if TYPE_CHECKING:
    ModelRefusalError: TypeAlias = core.ModelRefusalError
else:
    ModelRefusalError = getattr(core, "ModelRefusalError", core.ModelError)


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
        credits_consumed: What KIE charged for the failed call, in credits, if it reported that.
        hint: What to do, empty if the message is all that is known.
    """

    hint: str = ""
    default_max_retries = UNLIMITED_RETRIES

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
        credits_consumed: float | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status_code = status_code
        self.model = model
        self.partial = partial
        self.retry_after = retry_after
        self.credits_consumed = credits_consumed
        if hint:
            self.hint = hint
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


class KieConfigurationError(KieError, core.ModelInvalidRequestError, ValueError, RuntimeError):
    """A key, URL, model name or option is invalid; nothing was sent. It is a `ValueError`, too."""


class KieAuthenticationError(KieError, core.ModelAuthenticationError, RuntimeError):
    """KIE rejected the API key (401)."""

    hint = "Check the API key: api_key= or KIE_API_KEY."


class KiePermissionDeniedError(KieError, core.ModelPermissionDeniedError, RuntimeError):
    """The account, IP address or key has no permission, or the feature is disabled (505)."""


class KieInsufficientCreditsError(KieError, core.ModelPermissionDeniedError, RuntimeError):
    """The account has no credits left (402), or the key's spending limit is reached (433)."""

    hint = "Add credits or raise the key's spending limit in KIE's console."


class KieInvalidRequestError(KieError, core.ModelInvalidRequestError, RuntimeError):
    """KIE rejected the request as invalid (400, 413, 422)."""


class KieContextOverflowError(KieInvalidRequestError, core.ContextOverflowError):
    """The input is longer than the model's context window."""


class KieModelNotFoundError(KieError, core.ModelNotFoundError, RuntimeError):
    """KIE does not serve this model at this URL (404, 422)."""

    hint = "Check the spelling of the model, including dots and dashes."


class KieRateLimitError(KieError, core.ModelRateLimitError):
    """Too many requests (429)."""

    hint = "Send fewer requests at once: models can share a rate_limiter, such as KieRateLimiter()."


class KieServerError(KieError, core.ModelAPIError):
    """KIE or the upstream model failed (455, 5xx)."""


class KieEmptyResponseError(KieServerError):
    """The response has no answer: no text, no tool call and no reason for its absence."""


class KieProtocolError(KieError, core.ModelAPIError):
    """The response cannot be parsed; it may have been billed, so the call is not retried."""

    default_max_retries = 0


class KieMediaNotSeenError(KieError, core.ModelAPIError):
    """The token count shows that the model cannot have seen the media it answered about."""


class KieToolCallMissingError(KieError, core.ModelAPIError, RuntimeError):
    """The answer has no usable tool call, although `tool_choice` requires one; it was billed."""

    is_retryable = False


class KieRefusalError(KieToolCallMissingError, ModelRefusalError):
    """The model refused, although `tool_choice` requires a tool call.

    Without a required call, a refusal is a message with a `refusal` content block.

    Attributes:
        raw_message: The answer.
    """

    raw_message: BaseMessage | None = None

    def __init__(
        self, message: str, *, raw_message: BaseMessage | None = None, **attributes: Any
    ) -> None:
        super().__init__(message, **attributes)
        self.raw_message = raw_message


class KieTimeoutError(KieError, core.ModelTimeoutError):
    """No connection, response or event arrived in time.

    A call that was sent may have been billed, so it is retried only with `retry_on_timeout=True`.
    """

    default_max_retries = 0


class KieConnectionError(KieError, core.ModelConnectionError):
    """The server could not be reached, or the connection was lost."""


class KieStreamInterruptedError(KieConnectionError):
    """A response ended before the answer was complete, also inside its first event."""

    default_max_retries = 0
    hint = "KIE may have billed the answer, so the call is not retried."


class _Rule(NamedTuple):
    """How a failure is reported.

    Attributes:
        cls: The class of the error.
        max_retries: The most retries; `None` is the default of the class.
        hint: What to do, instead of the hint of the class.
        overrides_code: Whether a message counts more than any code.
    """

    cls: type[KieError]
    max_retries: int | None = 0
    hint: str = ""
    overrides_code: bool = False


BILLED_TIMEOUT_HINT = (
    "KIE may have billed the call, so it is retried only with retry_on_timeout=True."
)

_SERVER_ERROR = _Rule(KieServerError, None)
_GATEWAY_TIMEOUT = _Rule(KieTimeoutError, UNLIMITED_RETRIES)  # only with `retry_on_timeout`
_GATEWAY_TIMEOUTS = frozenset({504, 522, 524})
"""HTTP statuses of a timeout, with any body. As KIE's code with status 200, they are not billed."""

# Messages come before codes, because KIE's codes are unreliable: a 500 may report missing
# credits, a 400 maintenance (docs/wire.md 7). The first match counts.
_BY_MESSAGE: dict[str, _Rule] = {
    "context[ _]?(length|window)|too many (input )?tokens|token count .{0,40}exceeds": _Rule(
        KieContextOverflowError
    ),
    "credits? insufficient|insufficient.(credit|balance|quota|fund)|balance isn.t enough|top up"
    "|spending limit|budget(_| has been )exceeded": _Rule(
        KieInsufficientCreditsError, overrides_code=True
    ),
    "call frequency is too high": _Rule(KieRateLimitError, None, overrides_code=True),
    "not authorized to use this model": _Rule(
        KiePermissionDeniedError,
        hint="Enable the model for this key at https://kie.ai/api-key.",
        overrides_code=True,
    ),
    "not allowed to access (this )?model|model_access_denied": _Rule(
        KiePermissionDeniedError, hint="Enable the model for this key.", overrides_code=True
    ),
    r"error (code: )?1010\b": _Rule(
        KiePermissionDeniedError,
        hint="Cloudflare blocked the User-Agent header; set another one in default_headers.",
        overrides_code=True,
    ),
    "inline data url is too large": _Rule(
        KieInvalidRequestError,
        hint='Upload the file: media_upload="auto" with a smaller inline_media_limit.',
        overrides_code=True,
    ),
    "feature is currently not supported": _Rule(
        KieInvalidRequestError,
        hint="KIE has no such path: check base_url, which is the host only, and api.",
    ),
    "unauthorized|access permissions": _Rule(KieAuthenticationError),
    "no user can use": _Rule(KieServerError, 1),
    "does not exist|channel (is )?not supported|model (name you specified )?is not supported"
    "|invalid model name|is not a valid model id": _Rule(KieModelNotFoundError),
    "cannot be empty|must be|image download failed": _Rule(KieInvalidRequestError),
    "mime type is not supported|failed to get file information": _Rule(KieInvalidRequestError),
}
_PATTERNS = [(re.compile(pattern), rule) for pattern, rule in _BY_MESSAGE.items()]
_TEMPORARY = re.compile(
    "maint(ain|enance)|server exception|internal error|try again later|retry fail|timeout"
)

_RELIABLE_CODES = frozenset({401, 402, 403, 429, 433})
"""Codes that count more than most messages."""

_BY_NAME = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "insufficient_quota": 402,
    "insufficient_user_quota": 402,
    "pre_consume_token_quota_failed": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "rate_limit_error": 429,
}
"""Names that OpenAI and its relays use as `type` or `code` of an error."""

_BY_CODE: dict[int, _Rule] = {
    401: _Rule(KieAuthenticationError),
    402: _Rule(KieInsufficientCreditsError),
    403: _Rule(KiePermissionDeniedError),
    404: _Rule(KieModelNotFoundError),
    408: _Rule(KieTimeoutError, 1),
    409: _Rule(KieServerError, None),
    429: _Rule(KieRateLimitError, None),
    433: _Rule(KieInsufficientCreditsError),
    455: _Rule(KieServerError, None),
    501: _Rule(KieServerError, 1),
    505: _Rule(KiePermissionDeniedError),
}
"""Any other code of 4xx is an invalid request, any other number a failure of the server."""


def error_for(
    message: str,
    *,
    code: int | None = None,
    status_code: int | None = None,
    names: Sequence[Any] = (),
    **attributes: Any,
) -> KieError:
    """Return the error for a failure, chosen by its message, code, names and status.

    Args:
        message: The server's message.
        code: KIE's code from the body.
        status_code: The HTTP status.
        names: OpenAI's `code` and `type` of the error; other values than strings are ignored.
        **attributes: Further attributes of the error.
    """
    named = [_BY_NAME.get(name) for name in names if isinstance(name, str)]
    number = next(n for n in (code, *named, status_code, 0) if n is not None)
    is_timeout = status_code in _GATEWAY_TIMEOUTS
    texts = [text.lower() for text in (message, *names) if isinstance(text, str)]
    rule = _GATEWAY_TIMEOUT if is_timeout else _rule_for(texts, number)
    attributes.update(code=code, status_code=status_code)
    return rule.cls(shortened(message), max_retries=rule.max_retries, hint=rule.hint, **attributes)


def is_error_text(message: str) -> bool:
    """Return whether a message reports an error whatever the code next to it is."""
    text = message.lower()
    return any(rule.overrides_code and pattern.search(text) for pattern, rule in _PATTERNS)


def shortened(text: str, limit: int = MAX_MESSAGE_CHARS) -> str:
    """Return the text as one line without control characters, cut to `limit` characters.

    A server's text could otherwise write lines into a log, or change a terminal.
    """
    line = text[: limit + 1].translate(_TO_SPACE)
    if text and not line.strip():
        return "(no readable text)"
    return line[: limit - 1] + "…" if len(line) > limit else line


def _rule_for(texts: Sequence[str], number: int) -> _Rule:
    """Return the rule for a message and names, in lower case, and a code or status.

    A "try again later" message makes a non-retryable code retryable.
    """
    is_client_error = number // 100 == 4  # noqa: PLR2004 - 4xx
    rule = _BY_CODE.get(number, _Rule(KieInvalidRequestError) if is_client_error else _SERVER_ERROR)
    for pattern, message_rule in _PATTERNS:
        if not any(map(pattern.search, texts)):
            continue
        if number in _RELIABLE_CODES and not message_rule.overrides_code:
            continue
        is_server_error = number >= 500 and not message_rule.overrides_code  # noqa: PLR2004 - 5xx
        if is_server_error and message_rule.cls is KieInvalidRequestError:
            continue
        return message_rule
    is_temporary = rule.max_retries == 0 and _TEMPORARY.search(texts[0])
    return _SERVER_ERROR if is_temporary else rule
