"""The rows of the tables: which clients are measured with which work and which baseline.

Knows the works, the clients and the samplers. Knows nothing of how rows are shown.
"""

from __future__ import annotations

import socket
import subprocess
import time
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks import fresh
from benchmarks.clients import CLIENTS, Client
from benchmarks.measure import Figure, Sampler, figures, interleaved
from benchmarks.server import cpu_seconds
from benchmarks.work import SCALES, WORKS, Scale, Work

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Mapping

OURS = ("ours chat", "ours native")
_BASELINES = {client.name: client.baseline for client in CLIENTS}
_MEGABYTE = 1024 * 1024
_SOCKET_READS = 20
_OPEN_STREAMS = 1_000


@dataclass(slots=True)
class Row:
    """One row of a table.

    Attributes:
        key: The name for `--only`.
        title: The title in the table.
        table: The table that has this row.
        figures: By client, without the clients that do not support the work.
        target: The maximum for this package; `None` without a target.
        unit: The unit of the absolute figures.
        failures: The error of each client that failed.
    """

    key: str
    title: str
    table: str
    figures: Mapping[str, Figure]
    target: float | None
    unit: str = "µs"
    failures: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Suite:
    """Everything that is measured.

    Samples are short and rounds many: the speed of a machine can change within tenths of a second,
    so that only samples next to each other can be compared.

    Attributes:
        base_url: The URL of the server.
        runner: The event loop of the async calls.
        families: The clients to measure, all if empty; `plain` and `core` are always measured.
        only: The rows to measure, all if empty.
        rounds: The number of samples of each case.
        patience: Seconds after which a row gets no more rounds, except the first seven.
        seconds: The minimum duration of a sample.
        calls: The number of calls over which the memory growth is measured.
        shrinking: The divisor of the largest sizes.
    """

    base_url: str
    runner: asyncio.Runner
    families: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()
    rounds: int = 31
    patience: float = 40.0
    seconds: float = 0.02
    calls: int = 10_000
    shrinking: int = 1

    def rows(self) -> Iterator[Row]:
        """Measure and yield the rows."""
        for work in WORKS:
            if self._wants(work.key):
                yield self._compare(work)
        for scale in SCALES:
            if self._wants(scale.key):
                yield self._scale(scale)
        in_fresh_processes = {
            "import": self._import,
            "construct": self._construct,
            "memory": self._memory,
            "media": self._media,
            "loop": self._first_stop,
            "open": self._open_streams,
        }
        for key, measure in in_fresh_processes.items():
            if self._wants(key):
                yield from measure()

    def clients(self) -> list[Client]:
        """The clients that are installed and selected."""
        return [
            client
            for client in CLIENTS
            if client.is_installed
            and (not self.families or client.family in self.families | {"plain", "core"})
        ]

    def _wants(self, key: str) -> bool:
        return not self.only or key in self.only

    def _compare(self, work: Work) -> Row:
        failures: dict[str, str] = {}
        samplers = self._samplers(work, self.clients(), failures)
        found = figures(interleaved(samplers, self.rounds, self.patience), _BASELINES)
        return Row(work.key, work.title, "calls", found, work.target, failures=failures)

    def _samplers(
        self, work: Work, clients: list[Client], failures: dict[str, str]
    ) -> dict[str, Sampler]:
        """The samplers of the clients that support the work, warmed up."""
        close = partial(cpu_seconds, self.base_url, close=True)
        ready: dict[str, Sampler] = {}
        for client in clients:
            try:
                model = client.make(f"{self.base_url}/{work.answer}", **work.settings)
                sampler = Sampler(work, work.prepare(model), self.runner, close)
                sampler.warm_up(self.seconds)
            except Exception as error:  # noqa: BLE001 - another package may raise anything
                if client.family != "wire":
                    failures[client.name] = f"{type(error).__name__}: {error}"[:120]
            else:
                ready[client.name] = sampler
        return ready

    def _scale(self, scale: Scale) -> Row:
        """The cost of one more among many, with the cost among few as the baseline."""
        failures: dict[str, str] = {}
        clients = [client for client in self.clients() if client.family in scale.families]
        cases: dict[str, Sampler] = {}
        least, few, many = scale.sizes
        if least is not None:
            many //= self.shrinking
        for size in [size for size in (least, few, many) if size is not None]:
            ready = self._samplers(scale.work(size), clients, failures)
            cases |= {f"{name}/{size}": sampler for name, sampler in ready.items()}
        samples = interleaved(cases, (self.rounds + 1) // 2, self.patience)
        found: dict[str, Figure] = {}
        for name in [client.name for client in clients if client.name not in failures]:
            more = {n: samples[f"{name}/{n}"] for n in (few, many)}
            if least is not None:
                fixed = samples[f"{name}/{least}"]
                more = {
                    n: [(a - b) / (n - least) for a, b in zip(taken, fixed, strict=True)]
                    for n, taken in more.items()
                }
            found |= {
                name: figures({"many": more[many], "few": more[few]}, {"many": "few"})["many"]
            }
        title = f"{scale.title}, {few:,} and {many:,}"
        return Row(scale.key, title, "scaling", found, scale.target, failures=failures)

    # --- fresh processes --------------------------------------------------------------------

    def _one_per_family(self) -> list[Client]:
        return list({client.family: client for client in reversed(self.clients())}.values())[::-1]

    def _complete_clients(self) -> list[Client]:
        return [client for client in self.clients() if client.family not in {"wire", "core"}]

    def _import(self) -> Iterator[Row]:
        """The import time in addition to LangChain's, without the start of the interpreter.

        LangChain is always imported first, because its time depends on the depth of the import.
        """
        modules = {"bare": "sys", "core chat": fresh.CORE}
        for client in self._one_per_family():
            if client.family not in {"wire", "core", "plain"}:
                modules[client.name] = f"{fresh.CORE}, {client.package}"
        for module in modules.values():
            fresh.import_seconds(module)
        cases = {
            name: lambda module=module: fresh.import_seconds(module)
            for name, module in modules.items()
        }
        samples = interleaved(cases, self.rounds, 4 * self.patience)
        bare = samples.pop("bare")
        above = {
            name: [one - least for one, least in zip(taken, bare, strict=True)]
            for name, taken in samples.items()
        }
        found = figures(above, dict.fromkeys(above.keys() - {"core chat"}, "core chat"))
        ours = next((client for client in self.clients() if client.family == "ours"), None)
        seen = fresh.measure("unwanted", ours, self.base_url)["seen"] if ours else []
        failures = {"ours chat": f"tries to import {', '.join(seen)}"} if seen else {}
        yield Row(
            "import", "import, CPU, x LangChain's own", "process", found, 1.08, "ms", failures
        )

    def _construct(self) -> Iterator[Row]:
        clients = [client for client in self._one_per_family() if client.family != "wire"]
        taken: dict[str, dict[str, list[float]]] = {"first": {}, "next": {}}
        for _ in range(max(1, self.rounds // 3)):
            for client in clients:
                answer = fresh.measure("construct", client, f"{self.base_url}/text-20")
                for which, seconds in answer.items():
                    taken[which].setdefault(client.name, []).append(seconds)
        for which, samples in taken.items():
            baselines = dict.fromkeys(samples.keys() - {"core chat"}, "core chat")
            found = figures(samples, baselines)
            title = f"construct, {which}, x a bare model's"
            yield Row("construct", title, "process", found, 3.0, "ms")

    def _memory(self) -> Iterator[Row]:
        after_one: dict[str, Figure] = {}
        growth: dict[str, Figure] = {}
        for client in self._complete_clients():
            calls = self.calls if client.family in {"ours", "plain"} else 0
            answer = fresh.measure("memory", client, f"{self.base_url}/text-20", calls)
            after_one[client.name] = Figure(answer["after_one"] / _MEGABYTE)
            if calls:
                growth[client.name] = Figure(answer["growth"] / _MEGABYTE)
        yield Row("memory", "RSS after one call", "process", after_one, None, "MB")
        title = f"RSS growth over {self.calls:,} calls"
        yield Row("memory", title, "process", growth, 1.0, "MB")

    def _media(self) -> Iterator[Row]:
        """What a call with 20 MB of media holds, and how long it stops the event loop."""
        held: dict[str, Figure] = {}
        stops: dict[str, Figure] = {}
        for client in self._complete_clients():
            answer = fresh.measure("media", client, f"{self.base_url}/text-20")
            copies = answer["held"] / answer["media"]
            held[client.name] = Figure(answer["held"] / _MEGABYTE, copies)
            stops[client.name] = Figure(answer["stop"])
        yield Row("media", "memory of 20 MB of media, copies", "process", held, 2.0, "MB")
        title = "`ainvoke()` with it, longest stop of the event loop"
        yield Row("media", title, "process", stops, 0.01, "ms")

    def _first_stop(self) -> Iterator[Row]:
        """How long the first call of a process stops its event loop."""
        found: dict[str, Figure] = {}
        for client in self._complete_clients():
            answers = [
                fresh.measure("first", client, f"{self.base_url}/text-20")["stop"] for _ in range(3)
            ]
            found[client.name] = Figure(median(answers))
        title = "first `ainvoke()` of a process, longest stop of the event loop"
        yield Row("loop", title, "process", found, 0.05, "ms")

    def _open_streams(self) -> Iterator[Row]:
        """The memory of a stream while many are open, relative to langchain-openai's."""
        taken: dict[str, float] = {}
        failures: dict[str, str] = {}
        for client in self._complete_clients():
            url = f"{self.base_url}/text-20"
            try:
                taken[client.name] = fresh.measure("streams", client, url, _OPEN_STREAMS)["each"]
            except subprocess.CalledProcessError:  # another package may raise anything
                failures[client.name] = f"cannot hold {_OPEN_STREAMS:,} streams"
        openai = taken.get("openai chat")
        found = {
            name: Figure(each / _MEGABYTE, each / openai if openai else None)
            for name, each in taken.items()
        }
        title = f"memory of each of {_OPEN_STREAMS:,} open streams, x openai's"
        yield Row("open", title, "process", found, 0.5, "MB", failures)


def socket_rate(base_url: str) -> float:
    """The chunks per second that a plain socket reads: a lower bound of the server's speed."""
    parts = urlsplit(base_url)
    body = b'{"stream":true}'
    request = b"POST /text-2000/v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s"
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
        start = time.perf_counter()
        for _ in range(_SOCKET_READS):
            connection.sendall(request % (len(body), body))
            tail = b""
            while not tail.endswith(b"\r\n0\r\n\r\n"):
                tail = (tail + connection.recv(1 << 16))[-16:]
        return _SOCKET_READS * 2000 / (time.perf_counter() - start)
