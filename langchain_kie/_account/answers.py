"""What KIE's account endpoints answer (docs/catalogue.md): the values, and their parsers. Pure.

A parser raises `AttributeError`, `KeyError`, `OverflowError`, `TypeError` or `ValueError` for data
of another form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from langchain_kie._account.prices import KiePrice, parse_price

if TYPE_CHECKING:
    from langchain_kie._json import Json


@dataclass(frozen=True, slots=True)
class KieListedModel:
    """A model in KIE's live list, of any kind.

    Attributes:
        model: KIE's spelling of the name.
        slug: KIE's name of the model's page.
        title: The display name.
        provider: Who made it, such as `Google`; KIE's data are unreliable here.
        task_types: What it does, in KIE's words, such as `Chat`.
        description: KIE's description, empty if there is none.
        price: What it costs.
    """

    model: str
    slug: str
    title: str
    provider: str
    task_types: tuple[str, ...]
    description: str
    price: KiePrice


@dataclass(frozen=True, slots=True)
class KieSuccessPoint:
    """How calls of a model went in one interval.

    Attributes:
        start: The start, in UTC.
        end: The end, in UTC; usually 10 minutes later.
        success_rate: Percent of calls that succeeded, `None` if there were none.
        error_rate: Percent of calls that failed, `None` if there were none.
        is_normal: Whether KIE considers it normal, `None` if it does not say.
    """

    start: datetime
    end: datetime
    success_rate: float | None
    error_rate: float | None
    is_normal: bool | None


@dataclass(frozen=True, slots=True)
class KieSuccessRate:
    """How calls of a model went in the last 24 hours.

    Attributes:
        model: KIE's spelling of the name.
        points: The intervals, oldest first. None at all means that there are no data.
    """

    model: str
    points: tuple[KieSuccessPoint, ...]

    @property
    def mean(self) -> float | None:
        """The mean of the intervals with calls, in percent; KIE does not say how many calls."""
        rates = [point.success_rate for point in self.points if point.success_rate is not None]
        return sum(rates) / len(rates) if rates else None


def parse_balance(data: Any) -> float:
    """The balance."""
    return _number(data)


def _number(value: Any) -> float:
    """A number, which KIE may write as text."""
    if isinstance(value, bool):
        raise TypeError("not a number, but true or false")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


def parse_models(data: Any) -> tuple[KieListedModel, ...]:
    """The list of models, without entries that have no name."""
    entries = data["models"]
    named = [entry for entry in entries if isinstance(entry, dict) and entry.get("model")]
    if entries and not named:
        raise KeyError("model")
    return tuple(map(_parse_model, named))


def _parse_model(entry: Json) -> KieListedModel:
    tasks = entry.get("taskType") or ()
    return KieListedModel(
        model=str(entry["model"]),
        slug=str(entry.get("slug") or entry["model"]),
        title=str(entry.get("title") or entry["model"]),
        provider=str(entry.get("provider") or ""),
        task_types=tuple(map(str, tasks if isinstance(tasks, (list, tuple)) else [tasks])),
        description=str(entry.get("description") or ""),
        price=price_of(entry),
    )


def price_of(data: Json) -> KiePrice:
    """The price of a model, in its answer or its entry in the list."""
    text = data.get("pricingDesc")
    return parse_price(text if text is None else str(text))


def parse_success_rate(data: Json) -> KieSuccessRate:
    """The success rate of a model."""
    points = (
        KieSuccessPoint(
            _utc(point["start"]),
            _utc(point["end"]),
            _percent(point.get("successRate")),
            _percent(point.get("errorRate")),
            point.get("isNormal"),
        )
        for point in data.get("points") or ()
    )
    return KieSuccessRate(str(data["model"]), tuple(points))


def _percent(rate: Any) -> float | None:
    return None if rate is None else _number(rate)


def _utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
