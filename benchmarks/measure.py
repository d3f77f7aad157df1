"""Takes samples of every client in interleaved rounds.

Knows clocks and statistics. Knows nothing of what is measured.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from inspect import iscoroutinefunction
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from benchmarks.work import Work

_LONG = 0.2
_MOST_REPEATS = 200
_LEAST_ROUNDS = 7


@dataclass(frozen=True, slots=True)
class Figure:
    """The cost of one client.

    Attributes:
        value: The median per unit, in seconds or megabytes.
        ratio: The median of the ratios to the baseline in each round; `None` without a baseline.
        spread: The interquartile range of the ratios; `None` with only one round.
    """

    value: float
    ratio: float | None = None
    spread: float | None = None


@dataclass(slots=True)
class Sampler:
    """Repeats a work with a model until the resolution of the clock does not matter.

    A sample is in CPU seconds of this process, or is what the work returns.
    """

    work: Work
    model: Any
    runner: asyncio.Runner
    close_connections: Callable[[], Any]
    repeats: int = 1

    def warm_up(self, seconds: float) -> None:
        """Run until caches are full, and find how many runs take `seconds`."""
        spent = self._spend(time.perf_counter)
        if spent < _LONG:
            spent = self._spend(time.perf_counter)
        self.repeats = max(1, min(_MOST_REPEATS, int(seconds / spent)))

    def __call__(self) -> float:
        """Take one sample, in seconds per unit."""
        return self._spend(time.process_time) / self.work.units

    def _spend(self, clock: Callable[[], float]) -> float:
        if iscoroutinefunction(self.work.run):
            return self.runner.run(self._spend_async(clock))
        gc.collect()
        start = clock()
        returned = [self.work.run(self.model) for _ in range(self.repeats)]
        spent = (clock() - start) / self.repeats
        return spent if returned[0] is None else median(returned)

    async def _spend_async(self, clock: Callable[[], float]) -> float:
        """As `_spend`; before the start, open the connections that are needed, or close all."""
        if self.work.is_cold:
            self.close_connections()
        else:
            await self.work.run(self.model)
        gc.collect()
        start = clock()
        for _ in range(self.repeats):
            await self.work.run(self.model)
        return (clock() - start) / self.repeats


def interleaved(
    cases: Mapping[str, Callable[[], float]], rounds: int, patience: float
) -> dict[str, list[float]]:
    """Take a sample of each case in every round; each round starts with another case.

    After `patience` seconds, no round is started. The garbage collector ignores the objects that
    exist before, such as modules and clients.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    names = list(cases)
    samples: dict[str, list[float]] = {name: [] for name in names}
    start = time.perf_counter()
    for number in range(rounds):
        if number >= _LEAST_ROUNDS and time.perf_counter() - start > patience:
            break
        first = number % max(1, len(names))
        for name in names[first:] + names[:first]:
            samples[name].append(cases[name]())
    return samples


def figures(samples: Mapping[str, list[float]], baselines: Mapping[str, str]) -> dict[str, Figure]:
    """The median cost of each case, and its ratio to the baseline in the same round."""
    return {
        name: _figure(taken, samples.get(baselines.get(name, "")))
        for name, taken in samples.items()
    }


def _figure(taken: list[float], base: list[float] | None) -> Figure:
    if base is None:
        return Figure(median(taken))
    ratios = [one / other for one, other in zip(taken, base, strict=True)]
    spread = None
    if len(ratios) > 1:
        low, _, high = quantiles(ratios, n=4)
        spread = high - low
    return Figure(median(taken), median(ratios), spread)
