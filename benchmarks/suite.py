"""The rows of the tables: which clients do which work, and what they are compared with.

Knows the works, the clients and the samplers. Knows nothing of how rows are shown.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field
from functools import partial
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


@dataclass(slots=True)
class Row:
    """One row of a table.

    Attributes:
        key: What `--only` calls it.
        title: What it shows.
        table: The table that it stands in.
        figures: By client; who cannot do it is not there.
        target: The most that ours may be, `None` where there is none.
        unit: Of the absolute figures.
        failures: Why a client is not there, when it should be.
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

    Attributes:
        base_url: The server's.
        runner: The event loop of all that is async.
        families: The clients to measure, all when empty; `plain` and `core` always are.
        only: The rows to measure, all when empty.
        rounds: How often each is measured.
        patience: After how many seconds two rounds of a row are enough.
        seconds: How long a sample takes, at least.
        calls: Over how many calls memory is watched.
        shrinking: By how much the largest sizes are divided.
    """

    base_url: str
    runner: asyncio.Runner
    families: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()
    rounds: int = 9
    patience: float = 20.0
    seconds: float = 0.08
    calls: int = 10_000
    shrinking: int = 1

    def rows(self) -> Iterator[Row]:
        """Measure, row by row."""
        for work in WORKS:
            if self._wants(work.key):
                yield self._compare(work)
        for scale in SCALES:
            if self._wants(scale.key):
                yield self._scale(scale)
        if self._wants("import"):
            yield self._import()
        if self._wants("construct"):
            yield from self._construct()
        if self._wants("memory"):
            yield from self._memory()

    def clients(self) -> list[Client]:
        """The clients that are there and asked for."""
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
        """Ready samplers of the clients that can do the work."""
        close = partial(cpu_seconds, self.base_url, close=True)
        ready: dict[str, Sampler] = {}
        for client in clients:
            try:
                model = client.make(f"{self.base_url}/{work.answer}", **work.settings)
                sampler = Sampler(work, work.prepare(model), self.runner, close)
                sampler.warm_up(self.seconds)
            except Exception as error:  # noqa: BLE001 - a peer may fail as it likes
                if client.family != "wire":
                    failures[client.name] = f"{type(error).__name__}: {error}"[:120]
            else:
                ready[client.name] = sampler
        return ready

    def _scale(self, scale: Scale) -> Row:
        """What one more costs among many, over what it costs among few; with its baseline."""
        failures: dict[str, str] = {}
        clients = [client for client in self.clients() if client.family in scale.families]
        cases: dict[str, Sampler] = {}
        least, few, many = scale.sizes
        many //= self.shrinking
        for size in (least, few, many):
            ready = self._samplers(scale.work(size), clients, failures)
            cases |= {f"{name}/{size}": sampler for name, sampler in ready.items()}
        samples = interleaved(cases, (self.rounds + 1) // 2, self.patience)
        found: dict[str, Figure] = {}
        for name in [client.name for client in clients if client.name not in failures]:
            at = {size: samples[f"{name}/{size}"] for size in (least, few, many)}
            more = {
                n: [(a - b) / (n - least) for a, b in zip(at[n], at[least], strict=True)]
                for n in (few, many)
            }
            found |= {
                name: figures({"many": more[many], "few": more[few]}, {"many": "few"})["many"]
            }
        title = f"{scale.title}, {few:,} and {many:,}"
        return Row(scale.key, title, "scaling", found, scale.target, failures=failures)

    # --- fresh processes --------------------------------------------------------------------

    def _one_a_family(self) -> list[Client]:
        return list({client.family: client for client in reversed(self.clients())}.values())[::-1]

    def _import(self) -> Row:
        """What an import adds to LangChain's own, the interpreter's start taken off.

        LangChain comes first in all, since its own time depends on how deep it is imported.
        """
        modules = {"bare": "sys", "core chat": fresh.CORE}
        for client in self._one_a_family():
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
        seen = fresh.ask("unwanted", ours, self.base_url)["seen"] if ours else []
        failures = {"ours chat": f"looks for {', '.join(seen)}"} if seen else {}
        return Row(
            "import", "import, CPU, x LangChain's own", "process", found, 1.08, "ms", failures
        )

    def _construct(self) -> Iterator[Row]:
        clients = [client for client in self._one_a_family() if client.family != "wire"]
        taken: dict[str, dict[str, list[float]]] = {"first": {}, "next": {}}
        for _ in range(max(1, self.rounds // 3)):
            for client in clients:
                answer = fresh.ask("construct", client, f"{self.base_url}/text-20")
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
        for client in self.clients():
            if client.family in {"wire", "core"}:
                continue
            calls = self.calls if client.family in {"ours", "plain"} else 0
            answer = fresh.ask("memory", client, f"{self.base_url}/text-20", calls)
            after_one[client.name] = Figure(answer["after_one"] / _MEGABYTE)
            if calls:
                growth[client.name] = Figure(answer["growth"] / _MEGABYTE)
        yield Row("memory", "RSS after one call", "process", after_one, None, "MB")
        title = f"RSS growth over {self.calls:,} calls"
        yield Row("memory", title, "process", growth, 1.0, "MB")


def socket_rate(base_url: str) -> float:
    """The chunks per second that a bare socket reads: what the server can do, at least."""
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
