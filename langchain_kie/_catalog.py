"""The models KIE serves, one row each, and Gemini's built-in tools.

Data only, with the look-ups that read it. What differs by model is said here and nowhere
else; to add a model, add a row to `MODELS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from langchain_kie.errors import KieConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.language_models.model_profile import ModelProfile

Api: TypeAlias = Literal["chat_completions", "generate_content", "gateway"]
"""The routes: KIE's OpenAI-shaped one, its native Gemini one, and `/v1/chat/completions`."""

Feature: TypeAlias = Literal["search", "functions", "response_format"]

StreamShape: TypeAlias = Literal["A", "B", "C", "native"]
"""How a model streams, as recorded.

`A`: thoughts, text, finish reason, then a chunk of its own with usage and credits. `B`: usage
and credits ride in the finish chunk. `C`: no finish reason at all, and another id in every
chunk. `native`: one `GenerateContentResponse` an event.
"""

APIS: tuple[Api, ...] = get_args(Api)
DEFAULT_API: Api = "chat_completions"

PATHS: Mapping[Api, str] = MappingProxyType(
    {
        "chat_completions": "/{model}/v1/chat/completions",
        "generate_content": "/gemini/v1/models/{model}:streamGenerateContent",
        "gateway": "/v1/chat/completions",
    }
)
"""Where each dialect is; a path without `{model}` has the model in the body."""

_PATH_SEGMENT = re.compile(r"[A-Za-z0-9._~@:+-]+")

_LOW_HIGH = ("low", "high")
_ALL: frozenset[Feature] = frozenset(get_args(Feature))
_NOT_TOGETHER: tuple[frozenset[Feature], ...] = (
    frozenset({"search", "functions"}),
    frozenset({"functions", "response_format"}),
)


@dataclass(frozen=True, slots=True)
class Route:
    """How one model is reached on one dialect, and what KIE documents of it there.

    Attributes:
        model: KIE's spelling in the path (dots and dashes are not interchangeable).
        documented: The features that KIE's page of this route describes.
        exclusive: Features of which a request may use only one at a time.
        efforts: The accepted values of `reasoning_effort`; empty where it does not exist,
            `None` where nothing is known.
        limits_schemas: Whether `response_format` refuses properties named `type` and loses
            maps.
        stream_shape: How the model streams here.
        ends_without_evidence: Whether complete streams are known to end with neither a
            finish reason nor credits, usage of their own, or `[DONE]`.
    """

    model: str
    documented: frozenset[Feature] = _ALL
    exclusive: tuple[frozenset[Feature], ...] = _NOT_TOGETHER
    efforts: tuple[str, ...] | None = _LOW_HIGH
    limits_schemas: bool = True
    stream_shape: StreamShape = "A"
    ends_without_evidence: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One model.

    Attributes:
        name: The friendly name, the one that a user would guess.
        title: The name for people.
        routes: The dialects that serve it; the first is the default.
        replays_signatures: Whether thought signatures must come back with the tool calls of
            the turn (Gemini 3 and later).
        default_effort: The documented default of `reasoning_effort`.
        max_input_tokens: The context window (third-party statements; KIE gives none).
        max_output_tokens: The longest answer (likewise).
    """

    name: str
    title: str
    routes: Mapping[Api, Route]
    replays_signatures: bool = True
    default_effort: str | None = "high"
    max_input_tokens: int = 1_048_576
    max_output_tokens: int = 65_536


def _native(model: str) -> Route:
    """A row's native route: KIE's native pages are all alike."""
    return Route(model, frozenset({"search", "functions"}), stream_shape="native")


def _chat(model: str, *documented: Feature, shape: StreamShape) -> Route:
    """An OpenAI-shaped route of a model whose page says little of what excludes what."""
    return Route(model, frozenset(documented), stream_shape=shape)


MODELS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="gemini-2.5-flash",
        title="Gemini 2.5 Flash",
        routes={"chat_completions": Route("gemini-2.5-flash", efforts=())},
        replays_signatures=False,
        default_effort=None,
    ),
    ModelSpec(
        name="gemini-2.5-pro",
        title="Gemini 2.5 Pro",
        routes={"chat_completions": Route("gemini-2.5-pro")},
        replays_signatures=False,
    ),
    ModelSpec(
        name="gemini-3-flash",
        title="Gemini 3 Flash",
        routes={
            "chat_completions": _chat("gemini-3-flash", "functions", shape="A"),
            "generate_content": _native("gemini-3-flash-v1betamodels"),
        },
    ),
    ModelSpec(
        name="gemini-3-pro",
        title="Gemini 3 Pro",
        routes={"chat_completions": Route("gemini-3-pro")},
    ),
    ModelSpec(
        name="gemini-3.1-pro",
        title="Gemini 3.1 Pro",
        routes={"chat_completions": _chat("gemini-3.1-pro", "search", shape="B")},
    ),
    ModelSpec(
        name="gemini-3.5-flash",
        title="Gemini 3.5 Flash",
        routes={
            "generate_content": _native("gemini-3-5-flash"),
            "chat_completions": _chat("gemini-3-5-flash-openai", "search", shape="C"),
        },
        default_effort=None,
    ),
    ModelSpec(
        name="gemini-3.6-flash",
        title="Gemini 3.6 Flash",
        routes={
            "generate_content": _native("gemini-3-6-flash"),
            "chat_completions": _chat("gemini-3-6-flash-openai", "search", "functions", shape="C"),
        },
        default_effort=None,
    ),
    ModelSpec(
        name="gemini-3.7-flash",
        title="Gemini 3.7 Flash",
        routes={
            "generate_content": _native("gemini-3-7-flash"),
            "chat_completions": _chat("gemini-3-7-flash-openai", "search", shape="C"),
        },
        default_effort=None,
    ),
    ModelSpec(
        name="gemini-3.8-flash",
        title="Gemini 3.8 Flash",
        routes={
            "generate_content": _native("gemini-3-8-flash"),
            "chat_completions": _chat("gemini-3-8-flash-openai", "search", shape="C"),
        },
        default_effort=None,
    ),
)


@dataclass(frozen=True, slots=True)
class BuiltinTool:
    """A tool that Gemini runs itself.

    Attributes:
        name: LangChain's name for it, as in `{"type": "google_search"}`.
        wire_name: Gemini's name: the key of a native tool, the function's name elsewhere.
        feature: What a catalog row calls it where KIE documents rules for it.
    """

    name: str
    wire_name: str
    feature: Feature | None = None


BUILTIN_TOOLS: tuple[BuiltinTool, ...] = (
    BuiltinTool("google_search", "googleSearch", feature="search"),
    BuiltinTool("code_execution", "codeExecution"),
    BuiltinTool("url_context", "urlContext"),
)

BUILTIN_TOOLS_BY_NAME: Mapping[str, BuiltinTool] = MappingProxyType(
    {name: tool for tool in BUILTIN_TOOLS for name in (tool.name, tool.wire_name)}
)


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """Where a call goes: the answer to "which model, which dialect, what holds there".

    Attributes:
        name: The model's friendly name, or the name as written when the catalog has none.
        api: The dialect.
        route: KIE's spelling and the rules of this route.
        spec: The catalog's row, `None` for an unknown model.
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


def resolve(model: str, api: Api | None = None) -> ResolvedModel:
    """Find where `model` lives.

    A spelling of KIE's own that belongs to one dialect chooses that dialect, unless `api`
    says another. A name that the catalog does not know, or that is not known to be served on
    `api`, goes out as written, without rules: models appear monthly and accounts differ.

    Args:
        model: A friendly name, or one of KIE's spellings.
        api: The dialect, or `None` to choose by the catalog.

    Raises:
        KieConfigurationError: There is no such dialect, or the name cannot stand in its path.
    """
    if api is not None and api not in APIS:
        raise KieConfigurationError(f"api {api!r} is none of {', '.join(APIS)}")
    spec = _BY_SPELLING.get(model)
    if spec is None:
        return ResolvedModel(model, api or DEFAULT_API, _unruled(model, api or DEFAULT_API), None)
    chosen = api or _spelled_api(model, spec)
    return ResolvedModel(
        spec.name, chosen, spec.routes.get(chosen) or _unruled(model, chosen), spec
    )


def _spelled_api(model: str, spec: ModelSpec) -> Api:
    """The dialect whose spelling of the model `model` is; the friendly name is the default's."""
    if model == spec.name:
        return next(iter(spec.routes))
    return next(api for api, route in spec.routes.items() if route.model == model)


def _unruled(model: str, api: Api) -> Route:
    in_path = "{model}" in PATHS[api]
    is_dots = ".." in model or model == "."
    if not model or (in_path and (is_dots or not _PATH_SEGMENT.fullmatch(model))):
        raise KieConfigurationError(f"{model[:60]!r} cannot be a model's name")
    return Route(model, exclusive=(), efforts=None, limits_schemas=False)


def profile_of(target: ResolvedModel) -> ModelProfile | None:
    """The LangChain profile of a catalog model, `None` for an unknown one.

    `structured_output` is left `False` for every name with "gemini-3" in it, because
    `langchain.agents.create_agent` takes it as leave to send tools together with
    `response_format`, which KIE forbids or leaves undocumented; with `False` it asks for
    the answer through a tool call, which works everywhere.
    """
    spec, route = target.spec, target.route
    if spec is None:
        return None
    profile: ModelProfile = {
        "name": spec.title,
        "max_input_tokens": spec.max_input_tokens,
        "max_output_tokens": spec.max_output_tokens,
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
        "reasoning_effort_levels": list(route.efforts or ()),
        "tool_calling": "functions" in route.documented,
        "tool_choice": "functions" in route.documented,
        "tool_call_streaming": True,
        "structured_output": "response_format" in route.documented and "gemini-3" not in spec.name,
        "attachment": True,
        "temperature": True,
    }
    if spec.default_effort:
        profile["reasoning_effort_default"] = spec.default_effort
    return profile


Target = ResolvedModel
