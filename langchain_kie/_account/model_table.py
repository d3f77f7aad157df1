"""The table of models that ships with the package, for users; it needs no network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from langchain_kie._catalog import MODELS, Api

if TYPE_CHECKING:
    from langchain_kie._catalog import ModelSpec


@dataclass(frozen=True, slots=True)
class KieModelApi:
    """One model on one API.

    Attributes:
        api: The API, as in `api=` of `ChatKieGemini`.
        model: KIE's spelling of the model; `model=` of `ChatKieGemini` accepts it, too.
        is_listed: Whether KIE's list of models had it, on the date in docs/models.md. A model
            that is not listed may work, a listed one may be disabled for a key.
        documented: What KIE documents for it, of `search`, `functions` and `response_format`.
        efforts: The values of `reasoning_effort` that it accepts; empty if there are none.
    """

    api: Api
    model: str
    is_listed: bool
    documented: tuple[str, ...]
    efforts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KieModel:
    """One model that this package knows.

    Attributes:
        name: The friendly name, for `model=` of `ChatKieGemini`.
        title: The display name.
        apis: The APIs that serve it; the first is the default.
        is_listed: Whether KIE's list of models had it, on at least one of its APIs.
        default_effort: The documented default of `reasoning_effort`, `None` if there is none.
        max_input_tokens: The size of the context, in tokens (not documented by KIE).
        max_output_tokens: The longest answer, in tokens (likewise).
    """

    name: str
    title: str
    apis: tuple[KieModelApi, ...]
    is_listed: bool
    default_effort: str | None
    max_input_tokens: int
    max_output_tokens: int


def models() -> tuple[KieModel, ...]:
    """The models that this package knows; nothing is sent.

    Other names work as well: they are sent unchanged. `KieAccount().models()` reads what KIE
    lists now.

    Returns:
        One row for each model, the oldest first.
    """
    return tuple(map(_row, MODELS))


def _row(spec: ModelSpec) -> KieModel:
    apis = tuple(
        KieModelApi(
            api, route.model, route.is_listed, tuple(sorted(route.documented)), route.efforts or ()
        )
        for api, route in spec.routes.items()
    )
    return KieModel(
        name=spec.name,
        title=spec.title,
        apis=apis,
        is_listed=spec.is_listed,
        default_effort=spec.default_effort,
        max_input_tokens=spec.max_input_tokens,
        max_output_tokens=spec.max_output_tokens,
    )
