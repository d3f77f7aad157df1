"""Converts the errors of httpx and httpx2 into this package's errors.

Pure. Uses the names of their exception classes, which are the same: the user's client may be of
either, and httpx2 need not be installed. Independent of connections.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from langchain_kie.errors import (
    BILLED_TIMEOUT_HINT,
    UNLIMITED_RETRIES,
    KieConnectionError,
    KieError,
    KieProtocolError,
    KieStreamInterruptedError,
    KieTimeoutError,
    shortened,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def cause_chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes; httpcore keeps a cause in its error's arguments."""
    link: BaseException | None = error
    while link:
        yield link
        wrapped = (arg for arg in link.args if isinstance(arg, BaseException))
        link = link.__cause__ or next(wrapped, None)


_TIMEOUTS = {
    "ConnectTimeout": ("connect", "no connection"),
    "PoolTimeout": ("pool", "no free connection"),
    "WriteTimeout": ("write", "the request could not be sent"),
    "ReadTimeout": ("read", "no response"),
}
"""By the name of the exception: the field of `httpx.Timeout` that sets the limit, and the text for
the message."""

_LIBRARIES = ("httpx", "httpx2")
_BASES = ("HTTPError", "InvalidURL", "StreamError")
_NOT_RETRIED = frozenset({"DecodingError", "InvalidURL", "UnsupportedProtocol"})


def network_errors() -> tuple[type[Exception], ...]:
    """The base classes of network errors, of the HTTP libraries that are loaded."""
    modules = [module for name in _LIBRARIES if (module := sys.modules.get(name))]
    return (OSError, *(getattr(module, base, OSError) for module in modules for base in _BASES))


def to_kie_error(
    error: Exception,
    *,
    model: str | None,
    timeouts: Mapping[str, float | None],
    retry_on_timeout: bool,
    after_first_item: bool,
    may_be_billed: bool,
) -> KieError:
    """Convert a network error.

    A timeout after the request was sent is retried only with `retry_on_timeout`, because KIE
    may have billed the call. A connection that was lost after a part of the answer, a rejected
    certificate and a proxy's 4xx are never retried.
    """
    names = {cls.__name__ for cls in type(error).__mro__}
    if "TimeoutException" in names:
        field, missing = _TIMEOUTS.get(type(error).__name__, _TIMEOUTS["ReadTimeout"])
        seconds = timeouts.get(field)
        what = "no further event" if after_first_item else missing
        hint = KieStreamInterruptedError.hint if after_first_item else BILLED_TIMEOUT_HINT
        was_sent = field not in {"connect", "pool"}
        may_retry = retry_on_timeout or field == "connect"
        return KieTimeoutError(
            f"{what} within {seconds:g} s" if seconds else f"{what} in time",
            model=model,
            max_retries=UNLIMITED_RETRIES if may_retry and not after_first_item else None,
            hint=hint if model and was_sent else "",
        )
    *_, root = cause_chain(error)
    what = shortened(f"{type(error).__name__}: {root}" if str(root) else type(error).__name__)
    if names & _NOT_RETRIED:
        return KieProtocolError(what, model=model, max_retries=0)
    if may_be_billed:
        return KieStreamInterruptedError(f"the connection was lost: {what}", model=model)
    is_final = "CERTIFICATE_VERIFY_FAILED" in what or what.startswith("ProxyError: 4")
    return KieConnectionError(what, model=model, max_retries=0 if is_final else None)
