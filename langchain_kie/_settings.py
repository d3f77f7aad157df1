"""A model's settings: their names, and those that must be right before anything is sent."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import SecretStr

from langchain_kie.errors import KieConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OPTION_NAMES = (
    "temperature",
    "top_p",
    "max_tokens",
    "stop",
    "reasoning_effort",
    "include_thoughts",
    "check_combinations",
    "media_upload",
    "inline_media_limit",
    "require_media_seen",
    "detect_error_text",
)
"""The options of a call that a model has values of its own for."""

ALIASES = {
    "model_name": "model",
    "kie_api_key": "api_key",
    "max_output_tokens": "max_tokens",
    "stop_sequences": "stop",
    "thinking_level": "reasoning_effort",
    "request_timeout": "timeout",
}

MediaUpload: TypeAlias = Literal["auto", "always", "never"]

INLINE_MEDIA_LIMIT = 1_500_000
"""Bytes that every model was measured to take inline (docs/wire.md 9)."""

CHARS_PER_TOKEN = 4
"""Of text, about."""

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|([\w-]{1,63}\.)*[\w-]{1,63}\.?)(:\d*)?", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"([!-~]([\t -~]*[!-~])?)?")
_FRAMING = frozenset({"content-length", "transfer-encoding"})
_VISIBLE_ASCII = re.compile(r"[!-~]+")

DEFAULT_BASE_URL = "https://api.kie.ai"
DEFAULT_UPLOAD_URL = "https://kieai.redpandaai.co"
"""KIE's host for files, which api.kie.ai is not (docs/wire.md 9)."""


def resolve_aliases(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with their aliases resolved."""
    return {ALIASES.get(name, name): value for name, value in options.items()}


def stop_list(stop: str | Sequence[str] | None) -> list[str]:
    """Stop sequences as a list; one may be given alone."""
    return [stop] if isinstance(stop, str) else list(stop or ())


def checked_key(key: SecretStr | None) -> SecretStr | None:
    """The key without the white space around it.

    Raises:
        KieConfigurationError: It cannot stand in a header; the message does not show it.
    """
    if key is None:
        return None
    stripped = SecretStr(key.get_secret_value().strip())
    if not stripped:
        raise KieConfigurationError("the key is empty: check api_key= and KIE_API_KEY")
    if not _VISIBLE_ASCII.fullmatch(stripped.get_secret_value()):
        raise KieConfigurationError("the key has characters that no header can carry")
    return stripped


@lru_cache(maxsize=64)
def checked_base_url(base_url: str, name: str = "base_url") -> str:
    """The URL without a trailing slash.

    Raises:
        KieConfigurationError: The key would not be safe on its way there, or the URL has
            parts that a base cannot have.
    """
    try:
        parts = urlsplit(base_url.strip())
        host = parts.hostname or ""
        host.encode().decode("idna")
        _ = parts.port
    except ValueError:
        raise KieConfigurationError(f"{name} has a host or a port that cannot be") from None
    if parts.username or parts.password:
        raise KieConfigurationError(f"{name} must not hold a user or a password")
    if parts.scheme not in {"http", "https"} or not host:
        raise KieConfigurationError(f"{name} must begin with https:// and a host")
    if not _ADDRESS.fullmatch(parts.netloc):
        raise KieConfigurationError(f"{name} has a host that cannot be (international names: xn--)")
    if not _VISIBLE_ASCII.fullmatch(parts.geturl()):
        raise KieConfigurationError(f"{name} has characters that no URL can have")
    if parts.query or parts.fragment:
        raise KieConfigurationError(f"{name} must have neither a query nor a fragment")
    if parts.scheme == "http" and not _is_loopback(host):
        raise KieConfigurationError(f"{name} must be https, except on this machine")
    return parts.geturl().rstrip("/")


def upload_url_for(base_url: str, upload_url: str | None) -> str:
    """Where files are uploaded; a key for another host than KIE's is never shown to KIE.

    Args:
        base_url: Where the API is.
        upload_url: What the user set, `None` for `KIE_UPLOAD_URL`, else by `base_url`.

    Raises:
        KieConfigurationError: The key would not be safe on its way there.
    """
    base_url = checked_base_url(base_url)
    is_kie = (urlsplit(base_url).hostname or "").rstrip(".") == urlsplit(DEFAULT_BASE_URL).hostname
    own = DEFAULT_UPLOAD_URL if is_kie else base_url
    return checked_base_url(upload_url or os.environ.get("KIE_UPLOAD_URL") or own, "upload_url")


def checked_headers(headers: dict[str, str] | None) -> dict[str, str] | None:
    """Headers as they are.

    Raises:
        KieConfigurationError: A name or value cannot be sent; no value is shown.
    """
    for name, value in (headers or {}).items():
        if not _TOKEN.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise KieConfigurationError(f"default_headers: {name!r} cannot be sent as it is")
        if name.lower() in _FRAMING:
            raise KieConfigurationError(f"default_headers: {name!r} depends on each call's body")
    return headers


def checked_timeout(timeout: Any) -> Any:
    """Seconds, an `httpx.Timeout` or `None`, as it is.

    Raises:
        KieConfigurationError: It is something else.
    """
    is_number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if timeout is None or (is_number and timeout > 0) or hasattr(timeout, "as_dict"):
        return timeout
    raise KieConfigurationError(
        f"timeout must be seconds above 0 or an httpx.Timeout, not {timeout!r}"
    )


def checked_client(client: Any, kind: Literal["Client", "AsyncClient"]) -> Any:
    """A client of httpx's, or `None`, as it is.

    Raises:
        KieConfigurationError: It is something else.
    """
    if client is not None:
        import httpx  # noqa: PLC0415 - whoever gives a client has loaded it

        if not isinstance(client, getattr(httpx, kind)):
            raise KieConfigurationError(f"httpx.{kind} expected, not {type(client).__name__}")
    return client


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
