"""The client process of `benchmarks.load`: one mode of concurrency, one API. Prints JSON."""

from __future__ import annotations

import sys

if "gevent" in sys.argv:
    from gevent import monkey

    monkey.patch_all()  # before anything else is imported

import asyncio
import gc
import itertools
import json
import os
import socket
import threading
import time
from array import array
from collections import Counter
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from benchmarks.server import MODEL
from langchain_kie import ChatKieGemini

if TYPE_CHECKING:
    from collections.abc import Callable

WARM_UP = 2000
"""Calls before the first measurement."""

IDLE_SECONDS = 5.5
"""Seconds after which the pools of a burst are closed by the next call."""

_WORDS = {"text-20": 20, "paced-20": 20}


class Figures:
    """What a process has used at the start and after each phase, and what its calls took."""

    def __init__(self) -> None:
        self.errors: Counter[str] = Counter()
        self.rss: list[float] = []
        self.descriptors: list[int] = []
        self.threads: list[int] = []

    def note(self, *, memory_only: bool = False) -> None:
        """Add the memory (in MB), the descriptors and the threads of now."""
        gc.collect()
        status = Path("/proc/self/status").read_text()
        self.rss.append(int(status.split("VmRSS:")[1].split()[0]) / 1024)
        if not memory_only:
            self.threads.append(int(status.split("Threads:")[1].split()[0]))
            self.descriptors.append(len(os.listdir("/proc/self/fd")))  # noqa: PTH208

    def check(self, text: str, name: str) -> None:
        """Count a wrong answer as an error."""
        if text != "".join(f"word{n} " for n in range(_WORDS[name])):
            self.errors["a wrong answer"] += 1


class Threads:
    """Calls in threads, which gevent makes greenlets."""

    def __init__(self, models: dict[str, ChatKieGemini], figures: Figures) -> None:
        self._models, self._figures = models, figures

    def calls(self, count: int, at_once: int) -> array[float]:
        """Send calls; the value is the seconds of each."""
        numbers, seconds = itertools.count(), array("d")

        def work() -> None:
            while next(numbers) < count:
                start = time.perf_counter()
                try:
                    self._figures.check(self._models["text-20"].invoke("hi").text, "text-20")
                except Exception as error:  # noqa: BLE001 - every error counts
                    self._figures.errors[f"{type(error).__name__}: {error}"] += 1
                seconds.append(time.perf_counter() - start)

        self._run(work, at_once)
        return seconds

    def streams(self, count: int) -> array[float]:
        """Open streams that are all open at once; the value is the seconds to each first chunk."""
        all_open, seconds = threading.Barrier(count), array("d")

        def work() -> None:
            start, texts = time.perf_counter(), []
            try:
                for chunk in self._models["paced-20"].stream("hi"):
                    if not texts:
                        seconds.append(time.perf_counter() - start)
                        all_open.wait()
                    texts.append(chunk.text)
                self._figures.check("".join(texts), "paced-20")
            except Exception as error:  # noqa: BLE001
                self._figures.errors[f"{type(error).__name__}: {error}"] += 1
                all_open.abort()

        self._run(work, count)
        return seconds

    @staticmethod
    def _run(work: Callable[[], None], count: int) -> None:
        threads = [threading.Thread(target=work) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def settle(self) -> None:
        """Let the pools of a burst be closed."""
        time.sleep(IDLE_SECONDS)
        self.calls(1, 1)

    def close(self) -> None:
        """Nothing: the pools are the process's."""


class Tasks:
    """Calls in tasks of one event loop, of asyncio or of uvloop."""

    def __init__(
        self, models: dict[str, ChatKieGemini], figures: Figures, loop_factory: Any = None
    ) -> None:
        self._models, self._figures = models, figures
        self._runner = asyncio.Runner(loop_factory=loop_factory)

    def calls(self, count: int, at_once: int) -> array[float]:
        """As `Threads.calls`."""
        numbers, seconds = itertools.count(), array("d")

        async def work() -> None:
            while next(numbers) < count:
                start = time.perf_counter()
                try:
                    answer = await self._models["text-20"].ainvoke("hi")
                    self._figures.check(answer.text, "text-20")
                except Exception as error:  # noqa: BLE001
                    self._figures.errors[f"{type(error).__name__}: {error}"] += 1
                seconds.append(time.perf_counter() - start)

        self._run(work, at_once)
        return seconds

    def streams(self, count: int) -> array[float]:
        """As `Threads.streams`."""
        all_open, seconds = asyncio.Barrier(count), array("d")

        async def work() -> None:
            start, texts = time.perf_counter(), []
            try:
                async for chunk in self._models["paced-20"].astream("hi"):
                    if not texts:
                        seconds.append(time.perf_counter() - start)
                        await all_open.wait()
                    texts.append(chunk.text)
                self._figures.check("".join(texts), "paced-20")
            except Exception as error:  # noqa: BLE001
                self._figures.errors[f"{type(error).__name__}: {error}"] += 1
                await all_open.abort()

        self._run(work, count)
        return seconds

    def _run(self, work: Callable[[], Any], count: int) -> None:
        async def run() -> None:
            await asyncio.gather(*(work() for _ in range(count)))

        self._runner.run(run())

    def settle(self) -> None:
        """As `Threads.settle`."""
        self._runner.run(asyncio.sleep(IDLE_SECONDS))
        self.calls(1, 1)

    def close(self) -> None:
        """End the event loop, which closes its connections."""
        self._runner.close()


def caller(mode: str, models: dict[str, ChatKieGemini], figures: Figures) -> Threads | Tasks:
    """The calls of a mode."""
    if mode in {"threads", "gevent"}:
        return Threads(models, figures)
    if mode == "uvloop":
        import uvloop

        return Tasks(models, figures, uvloop.new_event_loop)
    return Tasks(models, figures)


def milliseconds(seconds: array[float], percent: int) -> float:
    """A percentile."""
    return quantiles(seconds, n=100)[percent - 1] * 1000 if len(seconds) > 1 else 0.0


def main(mode: str, api: str, url: str, calls: int, at_once: int, streams: int) -> dict[str, Any]:
    """Run the phases: calls to warm up, the calls, the streams, the streams once more."""
    figures = Figures()
    models = {
        name: ChatKieGemini(
            model=MODEL, api=api, api_key="k", base_url=f"{url}/{name}", max_retries=0, timeout=600
        )
        for name in _WORDS
    }
    socket.getaddrinfo("127.0.0.1", 80)  # gevent starts a thread for it, and keeps it
    figures.note()
    sender = caller(mode, models, figures)
    sender.calls(WARM_UP, at_once)
    figures.note()
    started, cpu = time.perf_counter(), time.process_time()
    seconds = sender.calls(calls, at_once)
    elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu
    figures.note(memory_only=True)
    started = time.perf_counter()
    first_chunks = sender.streams(streams)
    streams_elapsed = time.perf_counter() - started
    sender.settle()
    figures.note()
    sender.streams(streams)
    sender.settle()
    sender.close()
    figures.note()
    return {
        "mode": mode,
        "api": api,
        "calls": len(seconds),
        "errors": figures.errors.total(),
        "messages": figures.errors.most_common(3),
        "per_second": round(calls / elapsed),
        "cpu_ms": cpu / calls * 1000,
        **{f"p{percent}": milliseconds(seconds, percent) for percent in (50, 95, 99)},
        "streams_seconds": streams_elapsed,
        "streams_p99": milliseconds(first_chunks, 99),
        "rss": [round(value) for value in figures.rss],
        "descriptors": figures.descriptors,
        "threads": figures.threads,
    }


if __name__ == "__main__":
    mode, api, url, *numbers = sys.argv[1:]
    print(json.dumps(main(mode, api, url, *map(int, numbers))))
