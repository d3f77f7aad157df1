"""Runs mutmut on one room of the package, or on a sample of its mutants, and prints a row.

mutmut 3.8.1 selects tests for a project, not for a module: a mutant that survives would run
thousands. So this calls its functions, with the tests of the room.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import re
import resource
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from types import SimpleNamespace
from typing import TYPE_CHECKING

from mutmut.__main__ import _run, collect_source_file_mutation_data, create_mutants
from mutmut.configuration import config
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.runners.harness import PytestRunner
from mutmut.state import state
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir
from mutmut.workers import isolation, timeout

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOMS = {
    "_answer": ("answer", "wire", "test_error_bodies.py"),
    "_conversation": (
        "conversation",
        "wire/test_messages.py",
        "wire/test_signatures.py",
        "wire/test_rejected_requests.py",
        "test_files.py",
    ),
    "_http": (
        "http",
        "test_calls.py",
        "test_error_bodies.py",
        "test_security.py",
        "test_warm_up.py",
        "answer/test_unusual_answers.py",
        "wire/test_framing.py",
        "wire/test_options.py",
    ),
    "_json_schema": ("json_schema", "tools", "answer/test_required_calls.py"),
    "_wire": ("wire", "answer", "tools", "conversation/test_cache.py"),
}
SLOW = "tests/unit_tests/json_schema/test_large_schemas.py"
EQUIVALENT = frozenset(Path(__file__).with_name("mutation_equivalent.txt").read_text().splitlines())
KILLED = {"killed", "timeout", "suspicious", "check was interrupted by user"}  # the tests fail
MEMORY = 8 << 30  # bytes of addresses; a mutant may loop forever and append


class Runner(PytestRunner):
    """Runs the tests of a folder, and of a module, together; mutmut's order is random."""

    def run_tests(self, *, mutant_name, tests):
        paths = config().pytest_add_cli_args_test_selection
        seconds = state().duration_by_test
        order = sorted(
            tests, key=lambda test: ([not test.startswith(path) for path in paths], seconds[test])
        )
        return super().run_tests(mutant_name=mutant_name, tests=order)


def register_timeout(pid: int, seconds: float) -> None:
    """As mutmut does, but for this process alone.

    mutmut 3.8.1 sends its signal, SIGXCPU, also after the process has ended: to any other process
    of the machine that has got its number since.
    """
    timeout.register_timeout(os.pidfd_open(pid), seconds)


def send_signal(process: int, number: int) -> None:
    """Signal a process if it still exists; its file descriptor is closed."""
    try:
        signal.pidfd_send_signal(process, number)
    finally:
        os.close(process)


def tests_of_other_processes() -> Iterator[str]:
    """Yield the tests that run scripts: mutmut does not see their calls, and disturbs them."""
    for path in Path("tests/unit_tests").rglob("test_*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and re.search(
                "(fork|run)_script", ast.unparse(node)
            ):
                yield f"{path}::{node.name}"


def main() -> int:
    """Run the mutants of a room; the result is 1 if fewer than 90 % are killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("room", choices=ROOMS)
    parser.add_argument("--sample", type=int, default=0, help="how many mutants; 0: all")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    isolation.PytestRunner = Runner
    isolation.register_timeout = register_timeout
    timeout.os = SimpleNamespace(getpid=os.getpid, kill=send_signal)
    sys.dont_write_bytecode = False  # each worker imports the tests again
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    config().only_mutate = [f"langchain_kie/{options.room}/*"]
    config().pytest_add_cli_args_test_selection = [
        *(f"tests/unit_tests/{path}" for path in ROOMS[options.room]),
        *(f"--deselect={test}" for test in (SLOW, *tests_of_other_processes())),
    ]
    if not any(Path("mutants/langchain_kie", options.room).glob("*.meta")):
        rmtree("mutants", ignore_errors=True)  # of another room
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], text=True).strip()
    copy_src_dir()
    copy_also_copy_files()
    create_mutants(1)
    names = sorted(name for _, name, _ in collect_source_file_mutation_data(mutant_names=())[0])
    size = min(options.sample, len(names))
    sample = random.Random(options.seed).sample(names, size)
    _run(sample, 2 * (os.cpu_count() or 1))  # tests wait for mutants that do not answer
    results: Counter[str] = Counter()
    for data, name, code in collect_source_file_mutation_data(mutant_names=sample)[0]:
        result = status_by_exit_code[code]
        if result not in KILLED:
            diff = get_diff_for_mutant(name, path=data.path).splitlines()[3:]
            changes = [line for line in diff if line[:1] in "+-"]
            listed = {f"{Path(data.path).stem}: {line[1:].strip()}" for line in changes}
            result = "equivalent" if listed & EQUIVALENT else result
            print(f"{result}: {name}", *changes, sep="\n")
        results[result] += 1
    equivalent, killed = results["equivalent"], sum(results[result] for result in KILLED)
    score = 100 * killed / (results.total() - equivalent)
    row = options.room, len(names), results.total(), equivalent, killed, f"{score:.1f} %", commit
    print(f"| {' | '.join(map(str, row))} | {datetime.now(UTC):%Y-%m-%d} |")
    return int(score < 90)


if __name__ == "__main__":
    sys.exit(main())
