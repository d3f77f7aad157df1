"""Which model a name means, on which API; for unknown names, those that are like them.

Reads the catalog's rows; has no rules of a model itself.
"""

from __future__ import annotations

import re
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING

from langchain_kie._catalog import APIS, LISTED_ON, MODELS, PATHS, ResolvedModel, Route
from langchain_kie._warnings import warn
from langchain_kie.errors import KieConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_kie._catalog import Api, ModelSpec

_DEFAULT_API: Api = "chat_completions"
_STREAMING_APIS: frozenset[Api] = frozenset({"generate_content"})
"""Where `invoke` streams over HTTP, for models without a row."""

_PATH_SEGMENT = re.compile(r"[A-Za-z0-9._~@:+-]+")
_BY_SPELLING: Mapping[str, ModelSpec] = {
    spelling: spec
    for spec in MODELS
    for spelling in (spec.name, *(route.model for route in spec.routes.values()))
}
_NEWEST: Mapping[str, ModelSpec] = {spec.family: spec for spec in MODELS}
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
        KieConfigurationError: `api` is unknown, or the name is no string or cannot be part of the
            URL path.
    """
    if api is not None and api not in APIS:
        raise KieConfigurationError(f"api must be one of {', '.join(APIS)}; got {api!r}")
    model = _without_prefix(model)
    name = model.lower()
    if spec := _BY_SPELLING.get(name):
        chosen = api or _api_of_spelling(name, spec)
        route = spec.routes.get(chosen)
        if route is None and chosen != "gateway":
            _warn_of_api(spec.name, chosen)
        return ResolvedModel(spec.name, chosen, route or _no_rules(model, chosen), spec)
    chosen = api or _DEFAULT_API
    route = _no_rules(model, chosen)
    spec = _newest_of_family(model)
    if spec and chosen != "gateway":
        inherited = spec.routes.get(chosen) or next(iter(spec.routes.values()))
        route = replace(
            inherited, model=model, streams_invoke=route.streams_invoke, is_listed=False
        )
    return ResolvedModel(model, chosen, route, spec)


def _without_prefix(model: str) -> str:
    """The name without Google's prefix `models/`.

    Raises:
        KieConfigurationError: It is no string.
    """
    if not isinstance(model, str):
        raise KieConfigurationError(f"the name of a model must be a string; got {model!r:.100}")
    has_prefix = model.lower().startswith(_GOOGLE_PREFIX)
    return model[len(_GOOGLE_PREFIX) :] if has_prefix else model


def _api_of_spelling(model: str, spec: ModelSpec) -> Api:
    """The API on which KIE spells the model so; for the friendly name, the default API."""
    if model == spec.name:
        return next(iter(spec.routes))
    return next(api for api, route in spec.routes.items() if route.model == model)


def spelling_of(model: str) -> str:
    """How KIE spells a model of the catalog on its default API; others lose Google's prefix."""
    model = _without_prefix(model)
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
