"""Converts httpx's errors into this package's errors.

Pure. Knows httpx's exception classes. Knows nothing of connections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

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


_TIMEOUTS: dict[type[httpx.TimeoutException], tuple[str, str]] = {
    httpx.ConnectTimeout: ("connect", "no connection"),
    httpx.PoolTimeout: ("pool", "no free connection"),
    httpx.WriteTimeout: ("write", "the request could not be sent"),
    httpx.ReadTimeout: ("read", "no response"),
}
"""For each timeout, the field of `httpx.Timeout` that sets it, and what did not happen."""


def to_kie_error(
    error: Exception,
    *,
    model: str | None,
    timeouts: Mapping[str, float | None],
    retry_on_timeout: bool,
    after_first_item: bool,
) -> KieError:
    """Convert a network error.

    A timeout after the request was sent is retried only with `retry_on_timeout`, because KIE
    may have billed the call. A rejected certificate and a proxy's 4xx are never retried.
    """
    if isinstance(error, httpx.TimeoutException):
        field, missing = _TIMEOUTS.get(type(error), ("read", "no response"))
        seconds = timeouts.get(field)
        what = "no further event" if after_first_item else missing
        hint = KieStreamInterruptedError.hint if after_first_item else BILLED_TIMEOUT_HINT
        was_sent = not isinstance(error, (httpx.ConnectTimeout, httpx.PoolTimeout))
        may_retry = retry_on_timeout or isinstance(error, httpx.ConnectTimeout)
        return KieTimeoutError(
            f"{what} within {seconds:g} s" if seconds else f"{what} in time",
            model=model,
            max_retries=UNLIMITED_RETRIES if may_retry and not after_first_item else None,
            hint=hint if model and was_sent else "",
        )
    *_, root = cause_chain(error)
    what = shortened(f"{type(error).__name__}: {root}" if str(root) else type(error).__name__)
    if isinstance(error, (httpx.DecodingError, httpx.InvalidURL, httpx.UnsupportedProtocol)):
        return KieProtocolError(what, model=model, max_retries=0)
    if after_first_item:
        return KieStreamInterruptedError(f"the connection was lost: {what}", model=model)
    is_final = "CERTIFICATE_VERIFY_FAILED" in what or what.startswith("ProxyError: 4")
    return KieConnectionError(what, model=model, max_retries=0 if is_final else None)
