"""Runs the unit tests of a room on each mutant of its code, or on a sample of them.

A process imports the other libraries once; each mutant is a fork of it, which imports the package
with the change and runs only the tests that reach the changed lines, up to the first failure.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing import connection, get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import coverage
import pytest

from mutation.equivalent import EQUIVALENT
from mutation.mutants import Mutant, mutants_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import CodeType

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "langchain_kie"
TESTS = ROOT / "tests" / "unit_tests"
# The tests of each room, its folder first; those of memory, pools and processes are slow.
ROOMS = {
    "_wire": ("wire", "answer", "tools"),
    "_answer": ("answer", "test_error_bodies.py", "wire/test_signatures.py"),
    "_json_schema": ("json_schema", "tools"),
    "_conversation": (
        "conversation",
        "wire/test_messages.py",
        "wire/test_signatures.py",
        "test_uploads.py",
    ),
    "_http": ("http", "test_calls.py", "answer/test_unusual_answers.py"),
}
SLOW = (
    "http/test_httpx2.py",
    "http/test_memory.py",
    "http/test_pools.py",
    "http/test_processes.py",
    "json_schema/test_large_schemas.py",
)
CACHE = ROOT / ".cache" / "mutation"  # which tests reach which lines
MEMORY = 8 << 30  # bytes of addresses; a mutant may loop forever and append


@dataclass(slots=True)
class Change:
    """A mutant, and where it is."""

    path: Path
    mutant: Mutant
    tree: ast.Module
    tests: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        name, line, before, after = self.key
        return f"{name}:{self.mutant.lines[0]}: {line}\n    {before}  ->  {after}"

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Where it is, the line of the code, and what changes."""
        parent = getattr(self.mutant.parent, "lineno", self.mutant.lines[0])
        number = getattr(self.mutant.before, "lineno", parent)
        line = self.path.read_text().splitlines()[number - 1].strip()
        return (str(self.path.relative_to(PACKAGE)), line, *self.mutant.texts())


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module from a changed syntax tree."""

    def __init__(self, name: str, path: str, tree: ast.Module) -> None:
        super().__init__(name, path)
        self._tree = tree

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._tree, self.path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, path: Path, tree: ast.Module) -> None:
        parts = path.relative_to(ROOT).with_suffix("").parts
        self._is_package = parts[-1] == "__init__"
        self._name = ".".join(parts[:-1] if self._is_package else parts)
        self._path, self._tree = path, tree

    def find_spec(self, name: str, path: object, target: object = None) -> Any:
        if name != self._name:
            return None
        return importlib.util.spec_from_file_location(
            name,
            self._path,
            loader=_Loader(name, str(self._path), self._tree),
            submodule_search_locations=[str(self._path.parent)] if self._is_package else None,
        )


class _Contexts:
    """A pytest plugin: notes which lines each test reaches, and how long it takes."""

    def __init__(self, measured: coverage.Coverage) -> None:
        self._measured = measured
        self.seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._measured.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration


class _Selection:
    """A pytest plugin: keeps the tests that reach the change, and those that are newer."""

    def __init__(self, names: Iterable[str], measured: Iterable[str]) -> None:
        self._names, self._measured = set(names), set(measured)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [
            item
            for item in items
            if item.nodeid in self._names or item.nodeid not in self._measured
        ]


def _pytest(paths: Iterable[str], plugin: object) -> int:
    options = (
        "-q",
        "-x",
        "--no-header",
        "--tb=no",
        "-p",
        "no:xdist",
        "-p",
        "no:benchmark",
        "-p",
        "no:cacheprovider",
    )
    slow = [f"--deselect={(TESTS / name).relative_to(ROOT)}" for name in SLOW]
    return int(pytest.main([*options, "-o", "addopts=", *slow, *paths], plugins=[plugin]))


def _in_child(work: Callable[[Any], None], *arguments: Any) -> Any:
    """Run `work` in a fork, which sends its result through a pipe."""
    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(sender, *arguments))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    finally:
        process.join()


def _measure(sender: connection.Connection, room: str) -> None:
    files = [str(PACKAGE / room / "*")]
    measured = coverage.Coverage(data_file=None, config_file=False, include=files)
    measured.start()
    plugin = _Contexts(measured)
    status = _pytest([str(TESTS / name) for name in dict.fromkeys(ROOMS[room])], plugin)
    measured.stop()
    data = measured.get_data()
    lines = {
        path: {str(line): [name for name in names if name] for line, names in found.items()}
        for path in data.measured_files()
        if (found := data.contexts_by_lineno(path))
    }
    ours = ("langchain_kie", "pytest_langchain_kie", "tests", "unit_tests", "conftest")
    modules = [
        name
        for name, module in sys.modules.items()
        if not name.startswith(ours)
        and str(ROOT / "tests") not in str(getattr(module, "__file__", ""))
    ]
    sender.send([status, lines, dict(plugin.seconds), modules])
    sys.stdout.flush()
    os._exit(0)


def _measured(room: str) -> tuple[Any, list[str]]:
    """The result of `_measure`, kept until the code changes, and the newer files of tests."""
    digest = hashlib.sha256(repr(ROOMS[room]).encode())
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(path.read_bytes())
    file = CACHE / f"{room}-{digest.hexdigest()[:16]}.json"
    if not file.exists():
        found = _in_child(_measure, room)
        if found[0]:
            sys.exit(f"{room}: the tests fail without a mutant")
        CACHE.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found))
    since = file.stat().st_mtime
    tests = (TESTS / ROOMS[room][0]).rglob("test_*.py")
    newer = [str(path.relative_to(ROOT)) for path in tests if path.stat().st_mtime > since]
    return json.loads(file.read_text()), newer


def _run_mutant(change: Change, measured: Iterable[str], newer: Iterable[str]) -> None:
    os.setpgid(0, 0)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    change.mutant.apply()
    sys.meta_path.insert(0, _Finder(change.path, change.tree))
    status = 1
    files = dict.fromkeys(name.split("::")[0] for name in change.tests)
    with suppress(BaseException):
        status = _pytest([*files, *newer], _Selection(change.tests, measured))
    os._exit(status)


def _changes_of(room: str, part: str) -> Iterator[Change]:
    for path in sorted((PACKAGE / room).rglob("*.py")):
        if str(path.relative_to(PACKAGE)).startswith(part):
            tree = ast.parse(path.read_text())
            yield from (Change(path, mutant, tree) for mutant in mutants_of(tree))


def _choose_tests(change: Change, lines: Any, seconds: dict[str, float], room: str) -> None:
    """The tests that reach the lines; all of them, if the lines run at import."""
    found = lines.get(str(change.path), {})
    first, last = change.mutant.lines
    reached = [found[str(line)] for line in range(first, last + 1) if str(line) in found]
    names = {name for tests in reached for name in tests}
    folder = f"tests/unit_tests/{ROOMS[room][0]}"
    if reached and not names:
        names = set(seconds)
    cost: Counter[str] = Counter()
    for name in names:
        cost[name.split("::")[0]] += seconds.get(name, 0.0)
    order = sorted(cost, key=lambda file: (not file.startswith(folder), cost[file]))
    change.tests = sorted(names, key=lambda name: order.index(name.split("::")[0]))
    change.seconds = cost.total()


def _run_all(
    changes: list[Change], measured: Iterable[str], processes: int, newer: Iterable[str] = ()
) -> Iterator[tuple[Change, str]]:
    """Run the mutants; yield each with `killed`, `timeout` or `survived`."""
    context = get_context("fork")
    waiting = list(reversed(changes))
    running: dict[Any, tuple[Any, Change, float]] = {}
    while waiting or running:
        while waiting and len(running) < processes:
            change = waiting.pop()
            process = context.Process(target=_run_mutant, args=(change, measured, newer))
            process.start()
            end = time.monotonic() + 60 + 10 * change.seconds
            running[process.sentinel] = process, change, end
        ended = set(connection.wait(list(running), timeout=1))
        for sentinel, (process, change, end) in list(running.items()):
            if sentinel not in ended and time.monotonic() < end:
                continue
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.join()
            del running[sentinel]
            if sentinel not in ended:
                yield change, "timeout"
            else:
                is_killed = process.exitcode not in {
                    pytest.ExitCode.OK,
                    pytest.ExitCode.NO_TESTS_COLLECTED,
                }
                yield change, "killed" if is_killed else "survived"


def _passes_unchanged(change: Change, measured: Iterable[str]) -> bool:
    """Whether the same way of running without a change finds no failure."""
    nothing = Mutant(change.tree, "body", None, change.tree, change.tree.body, (1, 1))
    same = Change(change.path, nothing, change.tree, change.tests, change.seconds)
    return [result for _, result in _run_all([same], measured, 1)] == ["survived"]


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.check_output(command, cwd=ROOT, text=True).strip()


def test_room(room: str, part: str, options: argparse.Namespace) -> bool:
    """Run the mutants of a room, and print the survivors and a row; whether the score is enough."""
    (_, lines, seconds, modules), newer = _measured(room)
    for name in modules:
        with suppress(Exception):
            importlib.import_module(name)
    changes = list(_changes_of(room, part))
    total = len(changes)
    if options.sample and options.sample < total:
        changes = random.Random(options.seed).sample(changes, options.sample)
    equivalent = [change for change in changes if change.key in EQUIVALENT]
    changes = [change for change in changes if change.key not in EQUIVALENT]
    for change in changes:
        _choose_tests(change, lines, seconds, room)
    fast = min(changes, key=lambda change: (not change.tests, change.seconds))
    if not _passes_unchanged(fast, seconds):
        sys.exit(f"{room}: the tests fail in a fork, without a mutant")
    results: Counter[str] = Counter()
    start = time.monotonic()
    for change, result in _run_all(changes, seconds, options.processes, newer):
        results[result] += 1
        if results.total() % 20 == 0:
            print(
                f"{results.total()} of {len(changes)} after {time.monotonic() - start:.0f} s",
                flush=True,
            )
        if result != "killed":
            print(f"{result}: {change}  ({len(change.tests)} tests)", flush=True)
    killed = results["killed"] + results["timeout"]
    score = 100 * killed / max(1, len(changes))
    print(f"{(time.monotonic() - start) / max(1, len(changes)):.1f} seconds per mutant")
    print(
        f"| `{part}` | {total} | {len(changes)} | {len(equivalent)} | {killed} | {score:.1f} % "
        f"| {_commit()} | {datetime.now(UTC):%Y-%m-%d} |",
        flush=True,
    )
    return score >= options.least


def main() -> int:
    """Parse the options and test the rooms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--room", nargs="*", default=list(ROOMS), help="a room, or a file in it")
    parser.add_argument("--sample", type=int, default=0, help="mutants per room; 0: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--least", type=float, default=90.0, help="the lowest score, in percent")
    options = parser.parse_args()
    os.chdir(ROOT)
    print("| room | mutants | tried | equivalent | killed | score | commit | date |")
    passed = [
        _in_child(_room_in_child, part, options)  # a room's libraries stay out of the next one
        for part in options.room
    ]
    return 0 if all(passed) else 1


def _room_in_child(sender: connection.Connection, part: str, options: argparse.Namespace) -> None:
    sender.send(test_room(part.split("/", maxsplit=1)[0], part, options))


if __name__ == "__main__":
    sys.exit(main())
