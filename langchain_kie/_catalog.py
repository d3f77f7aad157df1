"""The models that KIE serves, one row each, and Gemini's built-in tools.

What differs by model stands here and nowhere else: to add a model, add a row to `MODELS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.language_models.model_profile import ModelProfile

Api: TypeAlias = Literal["chat_completions", "generate_content", "gateway"]
"""KIE's OpenAI-compatible API, its native Gemini API, and the gateway `/v1/chat/completions`."""

Feature: TypeAlias = Literal["search", "functions", "response_format"]

APIS: tuple[Api, ...] = get_args(Api)

PATHS: Mapping[Api, str] = {
    "chat_completions": "/{model}/v1/chat/completions",
    "generate_content": "/gemini/v1/models/{model}:streamGenerateContent",
    "gateway": "/v1/chat/completions",
}
"""The URL path of each API; without `{model}` in it, the request body names the model."""

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


def _flash(
    name: str, spelling: str, *documented: Feature, efforts: tuple[str, ...] = _LOW_HIGH
) -> ModelSpec:
    """A Flash model since 3.5, native by default; `documented` is for its OpenAI-compatible API."""
    native = _native_route(spelling, efforts=efforts)
    chat = _chat_route(f"{spelling}-openai", *documented, efforts=efforts)
    routes: dict[Api, Route] = {"generate_content": native, "chat_completions": chat}
    return ModelSpec(name=name, family="flash", routes=routes, default_effort=None)


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
    _flash("gemini-3.5-flash", "gemini-3-5-flash", "search"),
    _flash("gemini-3.6-flash", "gemini-3-6-flash", "search", "functions"),
    _flash("gemini-3.7-flash", "gemini-3-7-flash", "search"),
    _flash("gemini-3.8-flash", "gemini-3-8-flash", "search", efforts=_MEASURED),
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

BUILTIN_TOOLS_BY_NAME: Mapping[str, BuiltinTool] = {
    name: tool for tool in BUILTIN_TOOLS for name in (tool.name, tool.wire_name)
}


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
