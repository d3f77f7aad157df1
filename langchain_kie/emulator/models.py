"""The models that KIE serves, one row for each model and API (docs/wire.md 1, 4, 8 and 9).

This table is independent of the client's catalog, so a mistake in that catalog is an error on the
emulator, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_kie.emulator.conversation import Api

Feature: TypeAlias = Literal["search", "functions", "response_format"]

BUILTIN_TOOLS: Mapping[str, Feature | None] = MappingProxyType(
    {"googleSearch": "search", "codeExecution": None, "urlContext": None}
)
"""Gemini's built-in tools, with the feature whose exclusions apply to each."""

_EXCLUSIVE: tuple[frozenset[Feature], ...] = (
    frozenset({"search", "functions"}),
    frozenset({"functions", "response_format"}),
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model on one of KIE's APIs.

    Attributes:
        model: The exact spelling in the path; for the gateway, the `model` of the body.
        stream_shape: The shape of its streams (docs/wire.md 4).
        credits_per_million: The price of a million input tokens and of a million output tokens.
        api: The API.
        exclusive: Pairs of features that a request must not combine. Three models document
            them; the emulator is strict and applies them to the others, too.
        efforts: The accepted values of `reasoning_effort` or `thinkingLevel`; empty where the
            parameter is ignored.
        failing_efforts: Efforts that KIE fails on: chat completions with a gateway's page, the
            native API with code 500.
        honours_max_tokens: Whether `max_tokens` or `maxOutputTokens` limits the answer. 3.6 Flash
            and 3.1 Pro ignore it (measured); models without evidence do so here, too.
        requires_signatures: Whether function calls need their thought signatures in the current
            turn.
        image_tokens: The prompt tokens of an image.
        version: The `modelVersion` of native streams.
        is_listed: Whether KIE's list of models has it.
        is_priced_in_dollars: Whether the text of its price has dollars before credits.
        is_promoted: Whether that text has a promotion.
        documented: The features whose members KIE's schema of the request body has in full.
    """

    model: str
    stream_shape: Literal["A", "B", "C", "native"]
    credits_per_million: tuple[float, float]
    api: Api = "chat_completions"
    exclusive: tuple[frozenset[Feature], ...] = _EXCLUSIVE
    efforts: tuple[str, ...] = ("low", "high")
    failing_efforts: tuple[str, ...] = ()
    honours_max_tokens: bool = False
    requires_signatures: bool = False
    image_tokens: int = 1100
    version: str = ""
    is_listed: bool = True
    is_priced_in_dollars: bool = False
    is_promoted: bool = False
    documented: tuple[Feature, ...] = ()


def _native(
    model: str, version: str, credits_per_million: tuple[float, float], **fields: Any
) -> Endpoint:
    """Build a row of the native API, where only Gemini 3 and later are served."""
    return Endpoint(
        model,
        "native",
        credits_per_million,
        api="generate_content",
        requires_signatures=True,
        version=version,
        **fields,
    )


_CHAT_ROWS = (
    Endpoint(
        "gemini-2.5-flash",
        "A",
        (18, 150),
        efforts=(),
        honours_max_tokens=True,
        image_tokens=1109,
        is_listed=False,
    ),
    Endpoint(
        "gemini-2.5-pro",
        "A",
        (76, 600),
        is_priced_in_dollars=True,
        documented=("functions", "response_format"),
    ),
    Endpoint("gemini-3-flash", "A", (30, 180), is_listed=False),
    Endpoint("gemini-3-pro", "A", (100, 700), documented=("functions", "response_format")),
    Endpoint("gemini-3.1-pro", "B", (100, 700), image_tokens=347, documented=("functions",)),
    Endpoint("gemini-3-5-flash-openai", "C", (90, 540)),
    Endpoint("gemini-3-6-flash-openai", "C", (45, 225), image_tokens=1098, is_promoted=True),
    Endpoint("gemini-3-7-flash-openai", "C", (45, 225), is_promoted=True),
    Endpoint(
        "gemini-3-8-flash-openai",
        "C",
        (45, 225),
        efforts=("none", "low", "medium", "high"),  # `none` and `medium` were measured
        failing_efforts=("minimal",),
        honours_max_tokens=True,
        is_promoted=True,
    ),
)
_NATIVE_ROWS = (
    _native("gemini-3-flash-v1betamodels", "gemini-3-flash", (30, 180), is_listed=False),
    _native("gemini-3-5-flash", "gemini-3.5-flash", (90, 540)),
    _native("gemini-3-6-flash", "gemini-3.6-flash", (45, 225), image_tokens=1098, is_promoted=True),
    _native("gemini-3-7-flash", "gemini-3.7-flash", (45, 225), is_promoted=True),
    _native(
        "gemini-3-8-flash",
        "gemini-3.8-flash",
        (45, 225),
        efforts=("low", "medium", "high"),
        failing_efforts=("minimal",),
        honours_max_tokens=True,
        is_promoted=True,
    ),
)

CHAT_ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType({row.model: row for row in _CHAT_ROWS})
"""`/{model}/v1/chat/completions`."""

NATIVE_ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType(
    {row.model: row for row in _NATIVE_ROWS}
)
"""`/gemini/v1/models/{model}:streamGenerateContent`."""

_NAMES = CHAT_ENDPOINTS.keys() | NATIVE_ENDPOINTS.keys() | {row.version for row in _NATIVE_ROWS}
_GATEWAY_NAMES = _NAMES | {"gemini-3.1-flash-lite-preview"}  # the sample of a relay has it
_PLAYGROUND_SUFFIXES = ("", "-openai", "-thinking")


def gateway_endpoint(name: Any) -> Endpoint | None:
    """Build the gateway's endpoint for the `model` of a body, `None` if it is not served."""
    if not isinstance(name, str) or name not in _GATEWAY_NAMES:
        return None
    return Endpoint(name, "A", (0, 0), "gateway", exclusive=(), efforts=())


def is_known_model(name: str) -> bool:
    """Return whether chat completions accept `name` as the `model` of a body (docs/wire.md 1)."""
    return any(name.removesuffix(suffix) in _NAMES for suffix in _PLAYGROUND_SUFFIXES)
