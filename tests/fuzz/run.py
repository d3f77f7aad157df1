"""Runs every target of this folder repeatedly, each time with new examples.

A failing example is printed once, and stored in `.hypothesis`: the next run begins with it.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import pkgutil
import sys
import time
import traceback
import warnings
from multiprocessing import get_context
from typing import TYPE_CHECKING

import fuzz

if TYPE_CHECKING:
    from collections.abc import Callable

PROCESSES = 2


def targets() -> dict[str, Callable[[], object]]:
    """All targets by name; each counts its examples."""
    from fuzz.laws import COUNTS  # noqa: PLC0415 - not before FUZZ is set

    def counted(name: str, run: Callable[..., object]) -> Callable[..., object]:
        def inner(*args: object, **kwargs: object) -> object:
            COUNTS[name] += 1
            return run(*args, **kwargs)

        return inner

    found: dict[str, Callable[[], object]] = {}
    for module in pkgutil.iter_modules(fuzz.__path__):
        if not module.name.startswith("test_"):
            continue
        for name, value in vars(importlib.import_module(f"fuzz.{module.name}")).items():
            if hasattr(value, "hypothesis"):
                value.hypothesis.inner_test = counted(name, value.hypothesis.inner_test)
                found[name] = value
            elif name.startswith("Test"):
                found[name] = value("runTest").runTest
    return found


def work(number: int, seconds: float) -> tuple[dict[str, int], list[str]]:
    """Run this process's share of the targets until the time is over."""
    os.environ["FUZZ"] = "1"
    warnings.simplefilter("ignore")
    logging.disable()
    end = time.monotonic() + seconds
    names = sorted(all_targets := targets())[number::PROCESSES]
    failed: list[str] = []
    while time.monotonic() < end and len(failed) < len(names):
        for name in names:
            if name in failed or time.monotonic() > end:
                continue
            try:
                all_targets[name]()
            except Exception:  # noqa: BLE001 - every failure counts
                failed.append(name)
                print(f"--- {name}\n{traceback.format_exc(limit=-6)}", flush=True)
    from fuzz.laws import COUNTS  # noqa: PLC0415

    return {name: COUNTS[name] for name in names}, failed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz.run", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    seconds = parser.parse_args().minutes * 60
    with get_context("spawn").Pool(PROCESSES) as pool:
        results = pool.starmap(work, [(number, seconds) for number in range(PROCESSES)])
    failed = {name for _, found in results for name in found}
    for name, count in sorted(item for counts, _ in results for item in counts.items()):
        print(f"{count:9,}  {name}{'  FAILED' if name in failed else ''}")
    total = sum(sum(counts.values()) for counts, _ in results)
    print(f"{total:9,}  examples, {len(failed)} failed targets")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
