"""The constructor's values: the options of a call, and settings checked before anything is sent."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError, ValidationInfo

from langchain_kie._warnings import warn
from langchain_kie.errors import KieConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol

    class Timeout(Protocol):
        """A `Timeout` of httpx or httpx2."""

        def as_dict(self) -> dict[str, float | None]: ...

    class HttpClient(Protocol):
        """A `Client` of httpx or httpx2."""

        @property
        def is_closed(self) -> bool: ...
        def build_request(self, *args: Any, **kwargs: Any) -> Any: ...
        def send(self, *args: Any, **kwargs: Any) -> Any: ...
        def __enter__(self) -> Any: ...

    class AsyncHttpClient(Protocol):
        """An `AsyncClient` of httpx or httpx2."""

        @property
        def is_closed(self) -> bool: ...
        def build_request(self, *args: Any, **kwargs: Any) -> Any: ...
        async def send(self, *args: Any, **kwargs: Any) -> Any: ...
        async def __aenter__(self) -> Any: ...


MediaUpload: TypeAlias = Literal["auto", "always", "never"]
Method: TypeAlias = Literal["json_schema", "function_calling", "json_mode"]

CHARS_PER_TOKEN = 4
"""Characters of text in one token, roughly."""


GENERATION_PARAMETERS = {"temperature": (0, 2), "top_p": (0, 1), "max_tokens": (1, math.inf)}
"""The numbers that are sent as they are, each with its lowest and its highest value.

OpenAI's API has the same names, Gemini's `generationConfig` most of them in camel case.
"""


def _aliased(*aliases: str) -> Any:
    return field(default=None, metadata={"aliases": aliases})


@dataclass(kw_only=True)
class ModelOptions:
    """The other options of a call that have defaults in `ChatKieGemini`, each declared once.

    Names, aliases and defaults are derived from here. `ChatKieGemini` documents each.
    """

    stop: Sequence[str] | str | None = _aliased("stop_sequences")
    reasoning_effort: str | None = _aliased("thinking_level")
    include_thoughts: bool | None = None
    check_combinations: bool = True
    media_upload: MediaUpload = "auto"
    inline_media_limit: int = 1_500_000
    require_media_seen: bool = False
    detect_error_text: bool = True
    stream_invoke: bool | None = None
    stream_usage: bool = True


OPTION_NAMES = (*GENERATION_PARAMETERS, *(option.name for option in fields(ModelOptions)))

CALL_ONLY = ("tools", "tool_choice", "parallel_tool_calls", "response_format", "require_tool_call")
"""The options that only a call has."""

OTHER_NAMES = frozenset(
    {
        *("functions", "function_call"),
        *("response_mime_type", "response_schema", "response_json_schema"),
    }
)
"""OpenAI's older names and Google's names of such options."""

ALIASES = {
    "model_name": "model",
    "max_output_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "kie_api_key": "api_key",
    "request_timeout": "timeout",
    **{
        alias: option.name
        for option in fields(ModelOptions)
        for alias in option.metadata.get("aliases", ())
    },
}

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|([\w-]{1,63}\.)*[\w-]{1,63}\.?)(:\d*)?", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"([!-~]([\t -~]*[!-~])?)?")
_FRAMING = frozenset({"content-length", "transfer-encoding"})
_WIDE = re.compile("[\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]+")
"""Chinese, Japanese and Korean characters."""
_VISIBLE_ASCII = re.compile(r"[!-~]+")
_ENDPOINT = re.compile(
    r"(/api/file-[a-z0-9-]+-upload|((?<=//api\.kie\.ai)/api|/gemini(-[\w.-]+)?)?/v1(beta)?(/models(/[^/]+)?)?"
    r"(/chat/completions)?|/chat/completions)?/*$",
    re.ASCII,
)
"""The end of a URL that names an endpoint, and not the API: `/v1`, `/<model>/v1`, `/gemini/v1`."""

DEFAULT_BASE_URL = "https://api.kie.ai"
DEFAULT_UPLOAD_URL = "https://kieai.redpandaai.co"
"""KIE's host for file uploads (docs/wire.md 9)."""


def estimate_text_tokens(text: str) -> int:
    """Roughly the tokens of a text: one for each wide character, one for four others."""
    wide = 0 if text.isascii() else sum(map(len, _WIDE.findall(text)))
    return wide - (wide - len(text)) // CHARS_PER_TOKEN


def resolve_aliases(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options under their field names."""
    return {ALIASES.get(name, name): value for name, value in options.items()} if options else {}


def stop_list(stop: str | Sequence[str] | None) -> list[str]:
    """Stop sequences as a list; a single string is one sequence.

    Raises:
        KieConfigurationError: `stop` is neither a string nor a list of strings.
    """
    if isinstance(stop, str):
        return [stop]
    if not stop:
        return []
    sequences = list(stop) if isinstance(stop, Iterable) else [stop]
    if not all(isinstance(sequence, str) for sequence in sequences):
        raise KieConfigurationError(f"stop must be a string or a list of strings; got {stop!r}")
    return sequences


def checked_range(name: str, value: Any) -> Any:
    """A value of a generation parameter, unchanged.

    Raises:
        KieConfigurationError: The value is not a number, or is out of range.
    """
    if value is None:
        return value
    lowest, highest = GENERATION_PARAMETERS[name]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and lowest <= value <= highest:
        return value
    limit = f"a number from {lowest} to {highest}" if highest < math.inf else f"{lowest} or more"
    raise KieConfigurationError(f"{name} must be {limit}; got {value!r}")


def checked_range_field(value: Any, info: ValidationInfo) -> Any:
    """The value of such a field of a model; raises as `checked_range`."""
    return checked_range(str(info.field_name), value)


def error_from_pydantic(error: ValidationError, title: str) -> KieConfigurationError:
    """The error of this package for invalid parameters; it shows no values.

    Args:
        error: Pydantic's error.
        title: The name of the class.
    """
    sentences = []
    for details in error.errors(include_url=False, include_input=False):
        cause = details.get("ctx", {}).get("error")
        if isinstance(cause, KieConfigurationError):
            return cause
        name = ".".join(map(str, details["loc"])) or title
        message = details["msg"]
        is_missing = details["type"] == "missing"
        sentences.append(
            f"{title} needs {name}=" if is_missing else f"{name}: {message[0].lower()}{message[1:]}"
        )
    return KieConfigurationError("; ".join(sentences))


def key_or_default(api_key: SecretStr | str | None) -> SecretStr | None:
    """The API key, by default that of the environment, as a secret."""
    key = os.environ.get("KIE_API_KEY") if api_key is None else api_key
    return SecretStr(key) if isinstance(key, str) else key


def checked_key(key: SecretStr | None) -> SecretStr:
    """The API key without surrounding white space.

    Raises:
        KieConfigurationError: There is no key, or a header cannot contain it; the message does
            not show it.
    """
    if key is None:
        raise KieConfigurationError("there is no key: pass api_key= or set KIE_API_KEY")
    stripped = key.get_secret_value().strip()
    if not stripped:
        raise KieConfigurationError("the API key is empty: check api_key= and KIE_API_KEY")
    if not _VISIBLE_ASCII.fullmatch(stripped):
        raise KieConfigurationError("the API key has characters that a header cannot contain")
    return SecretStr(stripped)


@lru_cache(maxsize=64)
def checked_base_url(base_url: str, name: str = "base_url", *, allow_http: bool = False) -> str:
    """The URL without what the API adds itself: a trailing slash, `/v1`, the path of an endpoint.

    Args:
        base_url: The URL of the host, with the path prefix of a relay if it has one.
        name: The parameter's name, for error messages.
        allow_http: Whether http is allowed for other hosts than this machine, with a warning.

    Raises:
        KieConfigurationError: The key would not be safe on its way there, or the URL has parts
            that a base URL cannot have.
    """
    if not base_url.strip():
        raise KieConfigurationError(f"{name} is empty: check {name}= and KIE_{name.upper()}")
    try:
        parts = urlsplit(base_url.strip())
        host = parts.hostname or ""
        host.encode().decode("idna")
        _ = parts.port
    except ValueError:
        raise KieConfigurationError(f"{name} has an invalid host or port") from None
    has_scheme = parts.scheme in {"http", "https"} and host
    has_address = _ADDRESS.fullmatch(parts.netloc)
    is_ascii = _VISIBLE_ASCII.fullmatch(parts.geturl())
    for is_wrong, problem in (
        (parts.username or parts.password, "must not contain a user name or a password"),
        (not has_scheme, "must start with https:// and a host"),
        (not has_address, "has an invalid host (write international names in their xn-- form)"),
        (not is_ascii, "has characters that a URL cannot contain"),
        (parts.query or parts.fragment, "must have neither a query nor a fragment"),
    ):
        if is_wrong:
            raise KieConfigurationError(f"{name} {problem}")
    if parts.scheme == "http" and not _is_loopback(host):
        if not allow_http:
            raise KieConfigurationError(
                f"{name} must use https, except for this machine; allow_http=True allows http"
            )
        _warn_of_http(host)
    return _ENDPOINT.sub("", parts.geturl())


@lru_cache(maxsize=256)
def _warn_of_http(host: str) -> None:
    """Warn, once for each host."""
    warn(f"allow_http=True: the API key and all messages are sent to {host} without encryption")


def upload_url_for(base_url: str, upload_url: str | None, *, allow_http: bool = False) -> str:
    """The URL for file uploads; a key of another host is never sent to KIE.

    Args:
        base_url: The URL of the chat API.
        upload_url: What the user set; `None` uses `KIE_UPLOAD_URL`, else KIE's upload host, or
            `base_url` if that is not KIE's.
        allow_http: As in `checked_base_url`.

    Raises:
        KieConfigurationError: The key would not be safe on its way there.
    """
    base_url = checked_base_url(base_url, allow_http=allow_http)
    is_kie = (urlsplit(base_url).hostname or "").rstrip(".") == urlsplit(DEFAULT_BASE_URL).hostname
    default = DEFAULT_UPLOAD_URL if is_kie else base_url
    url = os.environ.get("KIE_UPLOAD_URL", default) if upload_url is None else upload_url
    return checked_base_url(url, "upload_url", allow_http=allow_http)


def checked_url_field(url: str | None, info: ValidationInfo) -> str | None:
    """A URL of a model whose `allow_http` was validated before; raises as `checked_base_url`."""
    if url is None:
        return None
    name = info.field_name or "base_url"
    return checked_base_url(url, name, allow_http=info.data.get("allow_http", False))


def checked_headers(headers: dict[str, str] | None) -> dict[str, str] | None:
    """The headers unchanged.

    Raises:
        KieConfigurationError: A name or value cannot be sent; no value is shown.
    """
    for name, value in (headers or {}).items():
        if not _TOKEN.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise KieConfigurationError(f"default_headers: {name!r} is not a valid header")
        if name.lower() in _FRAMING:
            raise KieConfigurationError(f"default_headers: {name!r} depends on each request's body")
    return headers


def checked_minimum(name: str, value: Any, kind: type[float] = float) -> Any:
    """A number that is not below 0, unchanged.

    Args:
        name: The parameter's name, for the error message.
        value: The value.
        kind: `int` or `float`; a `float` may be an `int`.

    Raises:
        KieConfigurationError: The value is no such number.
    """
    is_number = isinstance(value, (int, kind)) and not isinstance(value, bool)
    if is_number and value >= 0:
        return value
    number = "an integer" if kind is int else "a number"
    raise KieConfigurationError(f"{name} must be {number}, 0 or more; got {value!r}")


_MAX_TIMEOUT = 1e9
"""Seconds; Python's sockets cannot wait for about ten times as many (seen in Python 3.11)."""


def checked_timeout(timeout: Any) -> Any:
    """Seconds, a `Timeout` of httpx or httpx2, or `None`, unchanged.

    Raises:
        KieConfigurationError: The value is none of these, not above 0, or longer than the
            operating system can wait.
    """
    is_number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if is_number and 0 < timeout <= _MAX_TIMEOUT:
        return timeout
    if timeout is None or hasattr(timeout, "as_dict"):
        limits = timeout.as_dict().values() if timeout else ()
        if all(limit is None or limit <= _MAX_TIMEOUT for limit in limits):
            return timeout
    raise KieConfigurationError(
        f"timeout must be seconds above 0, at most {_MAX_TIMEOUT:.0e}, or a Timeout of httpx or "
        f"httpx2, in which None is no limit; got {timeout!r}"
    )


def checked_client(client: Any, kind: Literal["Client", "AsyncClient"]) -> Any:
    """A client of httpx or httpx2, or `None`, unchanged.

    Raises:
        KieConfigurationError: The value is not such a client.
    """
    classes = {(cls.__module__.partition(".")[0], cls.__name__) for cls in type(client).__mro__}
    if client is None or classes & {("httpx", kind), ("httpx2", kind)}:
        return client
    raise KieConfigurationError(
        f"expected an httpx.{kind} or httpx2.{kind}; got {type(client).__name__}"
    )


checked_sync_client = partial(checked_client, kind="Client")
checked_async_client = partial(checked_client, kind="AsyncClient")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
