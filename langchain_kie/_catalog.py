"""The models that KIE serves, one row each, and Gemini's built-in tools.

Data, and the look-ups that read it. What differs by model stands here and nowhere else: to add a
model, add a row to `MODELS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from langchain_kie._warnings import warn
from langchain_kie.errors import KieConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.language_models.model_profile import ModelProfile

Api: TypeAlias = Literal["chat_completions", "generate_content", "gateway"]
"""KIE's OpenAI-compatible API, its native Gemini API, and the gateway `/v1/chat/completions`."""

Feature: TypeAlias = Literal["search", "functions", "response_format"]

APIS: tuple[Api, ...] = get_args(Api)
DEFAULT_API: Api = "chat_completions"

PATHS: Mapping[Api, str] = MappingProxyType(
    {
        "chat_completions": "/{model}/v1/chat/completions",
        "generate_content": "/gemini/v1/models/{model}:streamGenerateContent",
        "gateway": "/v1/chat/completions",
    }
)
"""The URL path of each API; without `{model}` in it, the request body names the model."""

_STREAMING_APIS: frozenset[Api] = frozenset({"generate_content"})
"""Where `invoke` streams over HTTP, for models without a row."""

_PATH_SEGMENT = re.compile(r"[A-Za-z0-9._~@:+-]+")

LISTED_ON = "2026-10-06"
"""The day of KIE's model list that `Route.is_listed` follows (docs/wire.md 1)."""

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Every value of `reasoning_effort` that some API has, in ascending order."""

USD_PER_CREDIT = 0.005
"""What a credit costs (docs/wire.md 8)."""

_LOW_HIGH = ("low", "high")
_MEASURED = ("none", "low", "medium", "high")
"""What 3.8 Flash was measured to accept; `minimal` fails there (docs/wire.md 2)."""
_ALL: frozenset[Feature] = frozenset(get_args(Feature))
_NOT_TOGETHER: tuple[frozenset[Feature], ...] = (
    frozenset({"search", "functions"}),
    frozenset({"functions", "response_format"}),
)


@dataclass(frozen=True, slots=True)
class Route:
    """One model on one API, and what KIE documents of it there.

    Attributes:
        model: KIE's spelling in the path (dots and dashes are not interchangeable).
        documented: The features that KIE's page of this model and API describes.
        exclusive: Sets of features of which a request may use only one.
        efforts: The accepted values of `reasoning_effort`; empty where the parameter does not
            exist, `None` where nothing is known.
        limits_schemas: Whether `response_format` refuses properties named `type` and loses
            maps.
        streams_invoke: Whether `invoke` streams over HTTP too.
        is_listed: Whether KIE's model list has it, on `LISTED_ON`. A model that is not listed
            may work, a listed one may be disabled for a key.
    """

    model: str
    documented: frozenset[Feature] = _ALL
    exclusive: tuple[frozenset[Feature], ...] = _NOT_TOGETHER
    efforts: tuple[str, ...] | None = _LOW_HIGH
    limits_schemas: bool = True
    streams_invoke: bool = False
    is_listed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One model.

    Attributes:
        name: The friendly name, the one that a user would guess.
        family: Unlisted Gemini names inherit the last row of their family.
        routes: The APIs that serve it; the first is the default.
        replays_signatures: Whether thought signatures must be sent back with the tool calls of
            the turn (Gemini 3 and later).
        default_effort: The documented default of `reasoning_effort`.
        max_input_tokens: The context window (third-party statements; KIE gives none).
        max_output_tokens: The longest answer (likewise).
    """

    name: str
    family: Literal["flash", "pro"]
    routes: Mapping[Api, Route]
    replays_signatures: bool = True
    default_effort: str | None = "high"
    max_input_tokens: int = 1_048_576
    max_output_tokens: int = 65_536

    @property
    def title(self) -> str:
        """The display name, such as `Gemini 3.5 Flash`."""
        return self.name.replace("-", " ").title()

    @property
    def is_listed(self) -> bool:
        """Whether KIE's model list has it, on at least one of its APIs."""
        return any(route.is_listed for route in self.routes.values())


def _native_route(model: str, **fields: Any) -> Route:
    """A native route: KIE's native pages all describe the same features."""
    documented: frozenset[Feature] = frozenset({"search", "functions"})
    return Route(model, documented, streams_invoke=True, **fields)


def _chat_route(model: str, *documented: Feature, **fields: Any) -> Route:
    """An OpenAI-compatible route of a model whose page documents few features."""
    return Route(model, frozenset(documented), **fields)


MODELS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="gemini-2.5-flash",
        family="flash",
        routes={"chat_completions": Route("gemini-2.5-flash", efforts=(), is_listed=False)},
        replays_signatures=False,
        default_effort=None,
    ),
    ModelSpec(
        name="gemini-2.5-pro",
        family="pro",
        routes={"chat_completions": Route("gemini-2.5-pro")},
        replays_signatures=False,
    ),
    ModelSpec(
        name="gemini-3-flash",
        family="flash",
        routes={
            "chat_completions": _chat_route("gemini-3-flash", "functions", is_listed=False),
            "generate_content": _native_route("gemini-3-flash-v1betamodels", is_listed=False),
        },
    ),
    ModelSpec(
        name="gemini-3-pro",
        family="pro",
        routes={"chat_completions": Route("gemini-3-pro")},
    ),
    ModelSpec(
        name="gemini-3.1-pro",
        family="pro",
        routes={"chat_completions": _chat_route("gemini-3.1-pro", "search")},
    ),
    ModelSpec(
        name="gemini-3.5-flash",
        family="flash",
        routes={
            "generate_content": _native_route("gemini-3-5-flash"),
            "chat_completions": _chat_route("gemini-3-5-flash-openai", "search"),
        },
        default_effort=None,
    ),
    ModelSpec(
        name="gemini-3.6-flash",
        family="flash",
        routes={
            "generate_content": _native_route("gemini-3-6-flash"),
            "chat_completions": _chat_route("gemini-3-6-flash-openai", "search", "functions"),
        },
        default_effort=None,
    ),
    ModelSpec(
        name="gemini-3.7-flash",
        family="flash",
        routes={
            "generate_content": _native_route("gemini-3-7-flash"),
            "chat_completions": _chat_route("gemini-3-7-flash-openai", "search"),
        },
        default_effort=None,
    ),
    ModelSpec(
        name="gemini-3.8-flash",
        family="flash",
        routes={
            "generate_content": _native_route("gemini-3-8-flash", efforts=_MEASURED),
            "chat_completions": _chat_route("gemini-3-8-flash-openai", "search", efforts=_MEASURED),
        },
        default_effort=None,
    ),
)


@dataclass(frozen=True, slots=True)
class BuiltinTool:
    """A tool that Gemini runs itself.

    Attributes:
        name: LangChain's name for it, as in `{"type": "google_search"}`.
        wire_name: Gemini's name: the key of a native tool, the function's name on other APIs.
        feature: Its name in the catalog's rows, if KIE documents rules for it.
        must_stream: Whether answers lose something without a stream (docs/wire.md 3).
    """

    name: str
    wire_name: str
    feature: Feature | None = None
    must_stream: bool = False


BUILTIN_TOOLS: tuple[BuiltinTool, ...] = (
    BuiltinTool("google_search", "googleSearch", feature="search", must_stream=True),
    BuiltinTool("code_execution", "codeExecution"),
    BuiltinTool("url_context", "urlContext"),
)

BUILTIN_TOOLS_BY_NAME: Mapping[str, BuiltinTool] = MappingProxyType(
    {name: tool for tool in BUILTIN_TOOLS for name in (tool.name, tool.wire_name)}
)


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """Which model a call uses, on which API, and what holds there.

    Attributes:
        name: The model's friendly name; an unlisted name as the user wrote it.
        api: The API.
        route: KIE's spelling and the rules of this model on this API.
        spec: The catalog's row, of the family for an unlisted Gemini name; `None` for any other
            unlisted name.
    """

    name: str
    api: Api
    route: Route
    spec: ModelSpec | None

    @property
    def path(self) -> str:
        """The URL's path."""
        return PATHS[self.api].format(model=self.route.model)


_BY_SPELLING: Mapping[str, ModelSpec] = MappingProxyType(
    {
        spelling: spec
        for spec in MODELS
        for spelling in (spec.name, *(route.model for route in spec.routes.values()))
    }
)
_NEWEST: Mapping[str, ModelSpec] = MappingProxyType({spec.family: spec for spec in MODELS})
_GOOGLE_PREFIX = "models/"
_GEMINI_NAME = re.compile(r"gemini-.*\b(flash|pro)\b", re.IGNORECASE)


def resolve(model: str, api: Api | None = None) -> ResolvedModel:
    """Look a model up.

    One of KIE's spellings chooses its API, unless `api` is given. An unlisted name is sent
    unchanged, because models appear monthly and accounts differ. A name of the Flash or Pro
    family inherits the newest row of its family, with one warning. Other unlisted names have no
    rules; on the gateway, no unlisted name has any.

    Args:
        model: A friendly name, or one of KIE's spellings, in upper or lower case; Google's prefix
            `models/` is removed.
        api: The API, or `None` to choose by the catalog.

    Raises:
        KieConfigurationError: `api` is unknown, or the name cannot be part of the URL path.
    """
    if api is not None and api not in APIS:
        raise KieConfigurationError(f"api must be one of {', '.join(APIS)}; got {api!r}")
    name = model.lower()
    spec = _BY_SPELLING.get(name)
    if spec is None and name.startswith(_GOOGLE_PREFIX):
        name = name.removeprefix(_GOOGLE_PREFIX)
        model = model[len(_GOOGLE_PREFIX) :]
        spec = _BY_SPELLING.get(name)
    if spec:
        chosen = api or _api_of_spelling(name, spec)
        route = spec.routes.get(chosen)
        if route is None and chosen != "gateway":
            _warn_of_api(spec.name, chosen)
        return ResolvedModel(spec.name, chosen, route or _no_rules(model, chosen), spec)
    chosen = api or DEFAULT_API
    route = _no_rules(model, chosen)
    spec = _newest_of_family(model)
    if spec and chosen != "gateway":
        inherited = spec.routes.get(chosen) or next(iter(spec.routes.values()))
        route = replace(
            inherited, model=model, streams_invoke=route.streams_invoke, is_listed=False
        )
    return ResolvedModel(model, chosen, route, spec)


def _api_of_spelling(model: str, spec: ModelSpec) -> Api:
    """The API on which KIE spells the model so; for the friendly name, the default API."""
    if model == spec.name:
        return next(iter(spec.routes))
    return next(api for api, route in spec.routes.items() if route.model == model)


def spelling_of(model: str) -> str:
    """How KIE spells a model of the catalog on its default API; other names are unchanged."""
    spec = _BY_SPELLING.get(model.lower())
    return spec.routes[_api_of_spelling(model.lower(), spec)].model if spec else model


def _no_rules(model: str, api: Api) -> Route:
    """A route without rules, for what KIE does not document.

    Raises:
        KieConfigurationError: The name cannot be part of the URL path.
    """
    in_path = "{model}" in PATHS[api]
    is_dots = ".." in model or model == "."
    if not model or (in_path and (is_dots or not _PATH_SEGMENT.fullmatch(model))):
        raise KieConfigurationError(
            f"{model[:60]!r} cannot be a model name: use letters of ASCII, digits and ._~@:+-, "
            "without '..'"
        )
    return Route(
        model,
        exclusive=(),
        efforts=None,
        limits_schemas=False,
        streams_invoke=api in _STREAMING_APIS,
        is_listed=False,
    )


@lru_cache(maxsize=256)
def _warn_of_api(name: str, api: Api) -> None:
    """Warn, once, that KIE documents no such model on an API."""
    served = " and ".join(_BY_SPELLING[name].routes)
    warn(f"KIE does not document {name} on {api}, only on {served}; the call may fail")


@lru_cache(maxsize=256)
def _newest_of_family(model: str) -> ModelSpec | None:
    """The newest row of an unlisted name's family; warns, once for each name."""
    found = _GEMINI_NAME.search(model)
    near = _near_names(model)
    did_you_mean = f"Did you mean {' or '.join(near)}? " if near else ""
    spec = _NEWEST[found[1].lower()] if found else None
    if spec or near:
        treated = f"it is treated as {spec.name}" if spec else "it is sent unchanged"
        warn(
            f"{model!r} is not in langchain_kie.models(); {treated}. {did_you_mean}"
            "KieAccount().models() shows what KIE lists now."
        )
    return spec


def _near_names(model: str, cutoff: float = 0.8) -> list[str]:
    """Names like this that KIE lists; others only if there is none."""
    listed = [name for name, spec in _BY_SPELLING.items() if spec.is_listed]
    near = get_close_matches(model.lower(), listed, n=3, cutoff=cutoff)
    return near or get_close_matches(model.lower(), _BY_SPELLING, n=3, cutoff=cutoff)


_SAME_FOR_ALL: ModelProfile = {
    "text_inputs": True,
    "image_inputs": True,
    "image_url_inputs": True,
    "pdf_inputs": True,
    "audio_inputs": True,
    "video_inputs": True,
    "image_tool_message": True,
    "pdf_tool_message": True,
    "text_outputs": True,
    "image_outputs": False,
    "audio_outputs": False,
    "video_outputs": False,
    "reasoning_output": True,
    "tool_call_streaming": True,
    "structured_output": True,
    "attachment": True,
    "temperature": True,
}
"""What the profiles of all models have in common."""


class CatalogProfile(dict[str, Any]):
    """A profile of this catalog, not of the user: another model gets another."""


def profile_of(model: ResolvedModel) -> ModelProfile | None:
    """The LangChain profile of a model, `None` where the catalog has no row for it."""
    spec, route = model.spec, model.route
    if spec is None:
        return None
    has_tools = "functions" in route.documented
    profile: ModelProfile = {
        "name": spec.title if model.name == spec.name else model.name,
        "max_input_tokens": spec.max_input_tokens,
        "max_output_tokens": spec.max_output_tokens,
        "reasoning_effort_levels": list(route.efforts or ()),
        "tool_calling": has_tools,
        "tool_choice": has_tools,
        **_SAME_FOR_ALL,
    }
    if spec.default_effort:
        profile["reasoning_effort_default"] = spec.default_effort
    return profile


def model_hint(name: str) -> str:
    """What to try where KIE does not serve a model: near names, and those that KIE lists."""
    near = [] if name.lower() in _BY_SPELLING else _near_names(name, cutoff=0.6)
    listed = [spec.name for spec in MODELS if spec.is_listed]
    return (
        (f"Did you mean {' or '.join(near)}? " if near else "")
        + f"KIE listed {', '.join(listed)} on {LISTED_ON}; KieAccount().models() shows what it "
        "lists now. Names are exact, dots and dashes included. The models of a key are enabled at "
        "https://kie.ai/api-key."
    )
