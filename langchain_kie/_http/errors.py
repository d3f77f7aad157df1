"""Which of this package's errors an error of the network's is, and in which words.

Pure. Knows httpx's errors. Knows nothing of connections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from langchain_kie.errors import (
    KieConnectionError,
    KieError,
    KieProtocolError,
    KieStreamInterruptedError,
    KieTimeoutError,
    shortened,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from langchain_kie._http.response import HttpCall


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """An error and what caused it, which httpcore keeps in its own error's arguments."""
    link: BaseException | None = error
    while link:
        yield link
        wrapped = (arg for arg in link.args if isinstance(arg, BaseException))
        link = link.__cause__ or next(wrapped, None)


_WAITS: dict[type[httpx.TimeoutException], tuple[str, str]] = {
    httpx.ConnectTimeout: ("connect", "no connection"),
    httpx.PoolTimeout: ("pool", "no free connection"),
    httpx.WriteTimeout: ("write", "the request could not be sent"),
    httpx.ReadTimeout: ("read", "no answer"),
}
"""What each time-out limits, and what did not happen within it."""


def error_of(
    error: Exception,
    call: HttpCall[Any],
    waited: Mapping[str, float | None],
    retry_on_timeout: bool,
    *,
    after_first_item: bool,
) -> KieError:
    """The error of this package that an error of the network's is.

    A time-out after the request went out is not tried again, unless the user wants it: the
    answer may have been billed. A certificate or a proxy that refuses will refuse again.
    """
    if isinstance(error, httpx.TimeoutException):
        limit, missing = _WAITS.get(type(error), ("read", "no answer"))
        seconds = waited.get(limit)
        what = "nothing more" if after_first_item else missing
        is_safe = retry_on_timeout or isinstance(error, httpx.ConnectTimeout)
        return KieTimeoutError(
            f"{what} within {seconds:g} s" if seconds else f"{what} in time",
            model=call.model,
            max_retries=None if is_safe and not after_first_item else 0,
            is_retryable=True,
        )
    *_, root = chain_of(error)
    what = shortened(f"{type(error).__name__}: {root}" if str(root) else type(error).__name__)
    if isinstance(error, (httpx.DecodingError, httpx.InvalidURL, httpx.UnsupportedProtocol)):
        return KieProtocolError(what, model=call.model, max_retries=0)
    if after_first_item:
        return KieStreamInterruptedError(f"the connection broke: {what}", model=call.model)
    is_final = "CERTIFICATE_VERIFY_FAILED" in what or what.startswith("ProxyError: 4")
    retries = 0 if is_final else None
    return KieConnectionError(what, model=call.model, max_retries=retries)
