"""Measurements that need a fresh process: import, construction, memory.

`python -m benchmarks.fresh MEASUREMENT CLIENT BASE_URL COUNT` prints the figures as JSON.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.clients import CLIENTS, Client

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

CORE = "langchain_core.language_models.chat_models"
UNWANTED = ("langchain_tests", "rich", "starlette", "tiktoken", "transformers", "uvicorn")
_CONSTRUCTIONS = 20


def import_seconds(modules: str) -> float:
    """CPU seconds of a fresh process that imports `modules`, and nothing else."""
    process = subprocess.Popen([sys.executable, "-c", f"import {modules}"])  # noqa: S603
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{modules} cannot be imported")
    return usage.ru_utime + usage.ru_stime


def measure(measurement: str, client: Client, base_url: str, count: int = 0) -> dict[str, Any]:
    """Run a measurement in a fresh process."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.fresh",
        measurement,
        client.name,
        base_url,
        str(count),
    ]
    answer = subprocess.run(command, check=True, capture_output=True)  # noqa: S603
    return json.loads(answer.stdout)


def _construct(client: Client, base_url: str, _: int) -> dict[str, Any]:
    """CPU seconds of the first construction, and of the next ones."""
    importlib.import_module(client.package)
    if client.family == "core":
        importlib.import_module("benchmarks.baselines")
    start = time.process_time()
    client.make(base_url)
    first = time.process_time() - start
    start = time.process_time()
    for _n in range(_CONSTRUCTIONS):
        client.make(base_url)
    return {"first": first, "next": (time.process_time() - start) / _CONSTRUCTIONS}


def _memory(client: Client, base_url: str, count: int) -> dict[str, Any]:
    """The RSS after one call, and its growth over many more."""
    model = client.make(base_url)
    model.invoke("Hello")
    after_one = _rss()
    if not count:
        return {"after_one": after_one}
    for _n in range(count // 10):
        model.invoke("Hello")
    before = _rss()
    for _n in range(count):
        model.invoke("Hello")
    return {"after_one": after_one, "growth": _rss() - before}


def _media(client: Client, base_url: str, _: int) -> dict[str, Any]:
    """The peak of allocations, and the longest stop of the event loop in seconds of its CPU."""
    from benchmarks.work import PICTURES, pictures

    model = client.make(base_url)

    async def run() -> float:
        await model.ainvoke(PICTURES[:1])
        stops = []
        for _ in range(3):
            messages = pictures(40, 500_000)
            stops += [await _longest_stop(model.ainvoke(messages)) for _ in range(2)]
        return median(stops)

    stop = asyncio.run(run())
    messages = pictures(40, 500_000)
    tracemalloc.start()
    model.invoke(messages)
    _, peak = tracemalloc.get_traced_memory()
    return {"held": peak, "media": 20_000_000 * 4 // 3, "stop": stop}


def _first(client: Client, base_url: str, _: int) -> dict[str, Any]:
    """The longest stop of the event loop in the first call of a process."""
    model = client.make(base_url)

    async def run() -> float:
        return await _longest_stop(model.ainvoke("Hello"))

    return {"stop": asyncio.run(run())}


def _streams(client: Client, base_url: str, count: int) -> dict[str, Any]:
    """The RSS of each of many streams that are open at the same time."""
    model = client.make(base_url)

    async def run() -> int:
        async for _ in model.astream("Hello"):
            pass
        before = _rss()
        streams = [model.astream("Hello") for _ in range(count)]
        await asyncio.gather(*map(anext, streams))
        grown = _rss() - before
        for stream in streams:
            await stream.aclose()
        return grown

    return {"each": asyncio.run(run()) / count}


async def _longest_stop(call: Coroutine[Any, Any, Any]) -> float:
    """The longest time that the event loop spends on one callback during a call."""
    task = asyncio.create_task(call)
    longest, last = 0.0, time.thread_time()
    while not task.done():
        await asyncio.sleep(0)
        now = time.thread_time()
        longest, last = max(longest, now - last), now
    await task
    return longest


def _rss() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


class _ImportRecorder:
    """Records the unwanted packages that any code tries to import."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def find_spec(self, name: str, *_: Any) -> None:
        if name.partition(".")[0] in UNWANTED:
            self.seen.add(name)


def _unwanted(client: Client, *_: Any) -> dict[str, Any]:
    """The unwanted packages that the client tries to import, in addition to those of LangChain."""
    recorder = _ImportRecorder()
    sys.meta_path.insert(0, recorder)
    importlib.import_module(CORE)
    recorder.seen.clear()
    importlib.import_module(client.package)
    return {"seen": sorted(recorder.seen)}


_MEASUREMENTS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "construct": _construct,
    "memory": _memory,
    "media": _media,
    "first": _first,
    "streams": _streams,
    "unwanted": _unwanted,
}


def _main(measurement: str, name: str, base_url: str, count: str) -> None:
    client = next(client for client in CLIENTS if client.name == name)
    json.dump(_MEASUREMENTS[measurement](client, base_url, int(count)), sys.stdout)


if __name__ == "__main__":
    _main(*sys.argv[1:])
