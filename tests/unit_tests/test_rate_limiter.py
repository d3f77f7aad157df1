"""`KieRateLimiter` on a clock that only moves when somebody waits."""

from __future__ import annotations

import asyncio
import copy
import pickle
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from call_modes import CALL_MODES, fixture, model_at, server_sending

from langchain_kie import ChatKieGemini, KieConfigurationError, KieRateLimiter
from langchain_kie import rate_limiter as module

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """A clock, and a sleep that sets it; `slept` has the seconds of each sleep."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module, "asyncio", SimpleNamespace(sleep=clock.asleep))
    return clock


async def start_sync(limiter: KieRateLimiter) -> bool:
    return limiter.acquire()


async def start_async(limiter: KieRateLimiter) -> bool:
    return await limiter.aacquire()


ACQUIRE_MODES = [start_sync, start_async]


@pytest.mark.parametrize("acquire", ACQUIRE_MODES)
@pytest.mark.parametrize(
    ("requests", "period", "margin"), [(20, 10.0, 0.0), (20, 10.0, 0.25), (1, 1.0, 0.1), (3, 7, 0)]
)
async def test_no_window_has_too_many_requests(
    clock: Clock, acquire: Callable[..., Any], requests: int, period: float, margin: float
) -> None:
    limiter = KieRateLimiter(requests, period, margin=margin)
    starts = []
    for _ in range(3 * requests):
        assert await acquire(limiter)
        starts.append(clock.now)
        clock.now += 0.01
    gaps = [later - start for start, later in zip(starts, starts[requests:], strict=False)]
    assert min(gaps) >= period + margin - 1e-9
    assert starts[requests - 1] - starts[0] < period, "the first requests start at once"
    assert max(gaps) < period + margin + 0.02 * requests, "nobody waits longer than needed"
    assert len(clock.slept) <= 2 * requests, "each call sleeps at most once"


def test_the_defaults_are_kies_limit(clock: Clock) -> None:
    limiter = KieRateLimiter()
    assert [limiter.acquire(blocking=False) for _ in range(21)] == [True] * 20 + [False]
    clock.now += 10.0
    assert not limiter.acquire(blocking=False), "the margin"
    clock.now += 0.25
    assert limiter.acquire(blocking=False)


async def test_a_call_that_must_not_wait_returns_at_once(clock: Clock) -> None:
    limiter = KieRateLimiter(1, 10, margin=0)
    assert await limiter.aacquire(blocking=False)
    assert not await limiter.aacquire(blocking=False)
    assert not limiter.acquire(blocking=False)
    assert clock.slept == []
    clock.now += 10
    assert limiter.acquire(blocking=False), "a refused call does not count"


class Interrupted(BaseException):
    """Ends a wait, as `KeyboardInterrupt` does."""


@pytest.mark.parametrize("acquire", ACQUIRE_MODES)
async def test_an_interrupted_wait_gives_its_turn_back(
    clock: Clock, acquire: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter = KieRateLimiter(1, 10, margin=0)
    limiter.acquire()

    def interrupt(_: float) -> None:
        raise Interrupted

    with monkeypatch.context() as patched:
        patched.setattr(clock, "sleep", interrupt)
        for _ in range(5):
            with pytest.raises(Interrupted):
                await acquire(limiter)
    start = clock.now
    assert await acquire(limiter)
    assert clock.now - start == 10


async def test_cancelled_tasks_give_their_turns_back() -> None:
    limiter = KieRateLimiter(1, 3600)
    assert await limiter.aacquire()
    waiting = [asyncio.create_task(limiter.aacquire()) for _ in range(50)]
    await asyncio.sleep(0)
    assert len(limiter._starts) == 51
    for task in waiting:
        task.cancel()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(result) for result in results} == {asyncio.CancelledError}
    assert len(limiter._starts) == 1


class Steps:
    """A clock that the test moves; whoever sleeps starts again when the test lets it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeping: list[asyncio.Future[None]] = []

    def monotonic(self) -> float:
        return self.now

    async def asleep(self, _: float) -> None:
        self.sleeping.append(asyncio.get_running_loop().create_future())
        await self.sleeping[-1]

    async def move(self, seconds: float) -> None:
        """Let time pass, and wake all."""
        self.now += seconds
        sleeping, self.sleeping = self.sleeping, []
        for future in sleeping:
            if not future.done():
                future.set_result(None)
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    steps = Steps()
    monkeypatch.setattr(module, "time", steps)
    monkeypatch.setattr(module, "asyncio", SimpleNamespace(sleep=steps.asleep))
    return steps


class Group:
    """Tasks that acquire a limiter; `starts` has when each did."""

    def __init__(self, limiter: KieRateLimiter, steps: Steps, count: int) -> None:
        self.starts: dict[int, float] = {}

        async def call(number: int) -> None:
            await limiter.aacquire()
            self.starts[number] = steps.now - 1000

        self.tasks = [asyncio.create_task(call(number)) for number in range(count)]


async def test_those_behind_a_cancelled_call_move_up(steps: Steps) -> None:
    group = Group(KieRateLimiter(2, 10, margin=0), steps, 8)
    await steps.move(0)
    assert [*group.starts] == [0, 1]
    for task in group.tasks[2:6]:
        task.cancel()
    await steps.move(1)
    await steps.move(9)
    assert group.starts == {0: 0, 1: 0, 6: 10, 7: 10}


@pytest.mark.parametrize("late", [2, 9, 15, 40])
async def test_a_late_start_delays_those_that_follow(steps: Steps, late: int) -> None:
    """An event loop that was blocked wakes its tasks too late."""
    group = Group(KieRateLimiter(3, 10, margin=0), steps, 12)
    await steps.move(0)
    await steps.move(10 + late)
    while len(group.starts) < 12:
        await steps.move(1)
    starts = sorted(group.starts.values())
    assert starts[:6] == [0] * 3 + [10 + late] * 3
    gaps = [later - start for start, later in zip(starts, starts[3:], strict=False)]
    assert min(gaps) >= 10
    assert starts[-1] <= 10 + late + 20 + 1


@pytest.mark.parametrize("seed", range(40))
async def test_no_window_has_too_many_whatever_happens(steps: Steps, seed: int) -> None:
    choose, count = random.Random(seed), seed % 4 + 1
    limiter, starts, tasks = KieRateLimiter(count, 10, margin=0), [], []

    async def call() -> None:
        await limiter.aacquire()
        starts.append(steps.now)

    for _ in range(30):
        tasks += [asyncio.create_task(call()) for _ in range(choose.randrange(5))]
        choose.choice(tasks or [asyncio.create_task(call())]).cancel()
        if limiter.acquire(blocking=False):
            starts.append(steps.now)
        await steps.move(choose.choice([0, 0.1, 1, 3, 10, 25]))
    for _ in range(1000):
        await steps.move(1)
    assert all(task.done() for task in tasks)
    starts.sort()
    assert all(later - start >= 10 for start, later in zip(starts, starts[count:], strict=False))
    assert len(limiter._starts) <= count


async def test_tasks_start_in_the_order_of_arrival(clock: Clock) -> None:
    limiter, order = KieRateLimiter(2, 10, margin=0), []

    async def call(number: int) -> None:
        await limiter.aacquire()
        order.append((number, clock.now - 1000))

    await asyncio.gather(*(call(number) for number in range(6)))
    assert order == [(0, 0), (1, 0), (2, 10), (3, 10), (4, 20), (5, 20)]


def test_threads_and_event_loops_share_a_limit() -> None:
    limiter, barrier = KieRateLimiter(20, 3600), threading.Barrier(8)

    def take(number: int) -> int:
        barrier.wait()
        if number % 2:
            return sum(limiter.acquire(blocking=False) for _ in range(10))

        async def many() -> int:
            return sum([await limiter.aacquire(blocking=False) for _ in range(10)])

        return asyncio.run(many())

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(take, range(8))) == 20


def test_old_requests_are_forgotten(clock: Clock) -> None:
    limiter = KieRateLimiter(5, 1, margin=0)
    for _ in range(1000):
        limiter.acquire()
    assert len(limiter._starts) <= 5


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"max_requests": 0}, "max_requests"),
        ({"max_requests": True}, "max_requests"),
        ({"max_requests": 1.5}, "max_requests"),
        ({"period": 0}, "period"),
        ({"period": float("nan")}, "period"),
        ({"margin": -1}, "margin"),
    ],
)
def test_values_out_of_range_are_named(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(KieConfigurationError, match=named):
        KieRateLimiter(**arguments)


def test_copies_of_a_model_share_the_limiter_and_pickles_keep_the_limits() -> None:
    limiter = KieRateLimiter(7, 3, margin=1)
    model = ChatKieGemini(model="gemini-3-flash", api_key="k", rate_limiter=limiter)
    for twin in (copy.copy(model), copy.deepcopy(model), model.model_copy(deep=True)):
        assert twin.rate_limiter is limiter
    assert copy.copy(limiter) is copy.deepcopy(limiter) is limiter
    restored = pickle.loads(pickle.dumps(model)).rate_limiter
    assert restored is not limiter
    assert repr(restored) == repr(limiter) == "KieRateLimiter(7, 3, margin=1)"


async def test_a_model_acquires_it_once_for_each_call() -> None:
    with server_sending(fixture("shape_b.sse")) as server:
        for call_mode in CALL_MODES:
            limiter = KieRateLimiter(5, 3600)
            await call_mode(model_at(server, rate_limiter=limiter))
            assert len(limiter._starts) == 1, call_mode
