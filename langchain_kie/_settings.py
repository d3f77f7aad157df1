"""The settings that must be right before anything is sent: the key and the URL."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import SecretStr

from langchain_kie.errors import KieConfigurationError

_VISIBLE_ASCII = re.compile(r"[!-~]+")

DEFAULT_BASE_URL = "https://api.kie.ai"


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


def checked_base_url(base_url: str) -> str:
    """The URL without a trailing slash.

    Raises:
        KieConfigurationError: The key would not be safe on its way there, or the URL has
            parts that a base cannot have.
    """
    parts = urlsplit(base_url.strip())
    if parts.username or parts.password:
        raise KieConfigurationError("base_url must not hold a user or a password")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise KieConfigurationError("base_url must begin with https:// and a host")
    if parts.query or parts.fragment:
        raise KieConfigurationError("base_url must have neither a query nor a fragment")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise KieConfigurationError("base_url must be https, except on this machine")
    return parts.geturl().rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
