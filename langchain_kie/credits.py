"""What calls cost: a callback that adds up the credits that KIE charged.

Depends on LangChain's callbacks and `response_metadata`; independent of requests.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import LLMResult
from langchain_core.tracers.context import register_configure_hook

from langchain_kie._answer.messages import PROVIDER
from langchain_kie._catalog import USD_PER_CREDIT
from langchain_kie.errors import KieError

_USD_PER_CREDIT = Decimal(str(USD_PER_CREDIT))


@dataclass(frozen=True, slots=True)
class KieCredits:
    """What the calls of one model cost, or those of all models.

    Attributes:
        credits_consumed: What KIE charged, in credits.
        cost_usd: The same in US dollars, at 0.005 for a credit (docs/wire.md 8).
        calls: The number of answers, and of failed calls that KIE reports to have charged.
        calls_without_credits: How many of these answers do not report their credits.
    """

    credits_consumed: float = 0.0
    cost_usd: float = 0.0
    calls: int = 0
    calls_without_credits: int = 0


class _Sum(NamedTuple):
    """The exact sum of the calls of one model."""

    credits: Decimal = Decimal(0)
    calls: int = 0
    calls_without_credits: int = 0


class KieCreditsCallback(BaseCallbackHandler):
    """Adds up what KIE charged; pass it in `callbacks`, or use `get_kie_credits_callback`.

    It counts each answer of `ChatKieGemini` once, streamed or not, also if it cannot be parsed
    later. It counts a failed call if KIE reports its credits (`KieError.credits_consumed`). It does
    not count answers from a LangChain cache. It cannot know what KIE charges for a call that timed
    out or was stopped. Several threads and event loops can use one callback.

    Example:
        ```python
        from langchain_kie import ChatKieGemini, KieCreditsCallback

        callback = KieCreditsCallback()
        model = ChatKieGemini(model="gemini-3.5-flash", callbacks=[callback])
        model.invoke("Hello!")
        print(callback.credits_consumed, callback.cost_usd, callback.by_model)
        ```
    """

    run_inline = True

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[str, _Sum] = {}

    @property
    def total(self) -> KieCredits:
        """What all calls cost."""
        with self._lock:
            return _credits([*self._sums.values()])

    @property
    def by_model(self) -> dict[str, KieCredits]:
        """What the calls of each model cost, by the model's name as the caller wrote it."""
        with self._lock:
            return {name: _credits([model_sum]) for name, model_sum in self._sums.items()}

    @property
    def credits_consumed(self) -> float:
        """What KIE charged for all calls, in credits."""
        return self.total.credits_consumed

    @property
    def cost_usd(self) -> float:
        """What KIE charged for all calls, in US dollars."""
        return self.total.cost_usd

    def __repr__(self) -> str:
        """Show the total."""
        return f"KieCreditsCallback({self.total})"

    def on_llm_end(self, response: LLMResult, **_kwargs: Any) -> None:
        """Count an answer; LangChain calls this."""
        for generations in response.generations:
            for generation in generations:
                message = getattr(generation, "message", None)
                if isinstance(message, AIMessage):
                    self._add_message(message)

    def on_llm_error(self, error: BaseException, **_kwargs: Any) -> None:
        """Count a failed call that KIE reports to have charged; LangChain calls this."""
        if isinstance(error, KieError) and error.credits_consumed is not None:
            self._add(error.model or "", error.credits_consumed)

    def _add_message(self, message: AIMessage) -> None:
        metadata = message.response_metadata
        if metadata.get("model_provider") == PROVIDER and not _is_cached(message):
            self._add(metadata.get("model_name", ""), metadata.get("credits_consumed"))

    def _add(self, model: str, amount: float | None) -> None:
        with self._lock:
            charged, calls, without_credits = self._sums.get(model, _Sum())
            charged += Decimal(str(amount or 0))
            self._sums[model] = _Sum(charged, calls + 1, without_credits + (amount is None))


def _credits(sums: list[_Sum]) -> KieCredits:
    amount = sum((each.credits for each in sums), Decimal(0))
    return KieCredits(
        float(amount),
        float(amount * _USD_PER_CREDIT),
        sum(each.calls for each in sums),
        sum(each.calls_without_credits for each in sums),
    )


def _is_cached(message: AIMessage) -> bool:
    """Whether LangChain took the message from a cache, where it sets the cost to 0."""
    usage: Any = message.usage_metadata
    return bool(usage) and usage.get("total_cost") == 0


_active: list[ContextVar[KieCreditsCallback | None]] = []
"""The callbacks of nested `with` blocks, the outermost first. There is one variable for each depth,
because LangChain has no function that removes a hook (langchain-core 1.8.3). When it has one, each
block can have a variable, and remove it at its end."""
_active_lock = threading.Lock()


@contextmanager
def get_kie_credits_callback() -> Iterator[KieCreditsCallback]:
    """Add up what KIE charges for the calls inside a `with` block.

    It counts what chains, agents, fallbacks, retries, batches and structured output call in the
    block; see `KieCreditsCallback`. Blocks can be nested: each counts what happens inside it.

    Yields:
        The callback with the totals.

    Example:
        ```python
        from langchain_kie import ChatKieGemini, get_kie_credits_callback

        model = ChatKieGemini(model="gemini-3.5-flash")
        with get_kie_credits_callback() as cost:
            model.batch(["One.", "Two."])
        print(cost.credits_consumed, cost.cost_usd)
        ```
    """
    callback = KieCreditsCallback()
    variable = _unused_variable()
    token = variable.set(callback)
    try:
        yield callback
    finally:
        variable.reset(token)


def _unused_variable() -> ContextVar[KieCreditsCallback | None]:
    """The first variable that has no callback in this context; a new one if all have."""
    with _active_lock:
        for variable in _active:
            if variable.get() is None:
                return variable
        name = f"kie_credits_callback_{len(_active)}"
        variable = ContextVar[KieCreditsCallback | None](name, default=None)
        register_configure_hook(variable, inheritable=True)
        _active.append(variable)
        return variable
