"""Ask about each document of a file once, also if the run is killed and started again."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from examples.batch.shared_run import Progress, SharedRun
from examples.batch.worker import Worker, parse_document
from examples.connection import connection_settings
from langchain_kie import ChatKieGemini, KieConfigurationError

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reads these when it is imported
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
DOCUMENTS = Path(__file__).parent / "reviews.jsonl"
_POLL_SECONDS = 0.5
_OBJECT_STORE_BYTES = 100_000_000
_INTERRUPTED = (
    "Interrupted: no further request starts, and the answers in flight are stored. "
    "Interrupt again to end at once; KIE may then charge calls whose answers are lost.\n"
)
_CPUS_OF_A_WORKER = 0.1  # it waits for the network


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the batch.

    Args:
        arguments: The command line; that of the program by default.

    Returns:
        0 if every document has an answer, 2 if a setting cannot be used, else 1.
    """
    options = _parse(arguments)
    with connection_settings(rate_limit=True, delay=1.0) as settings:
        fields = {"model": options.model, **settings}
        if key := settings.get("api_key") or os.environ.get("KIE_API_KEY"):
            fields["api_key"] = SecretStr(key)  # so that Ray shows it nowhere
        if url := os.environ.get("KIE_BASE_URL"):
            fields.setdefault("base_url", url)
        try:
            ChatKieGemini(**fields)  # a setting that cannot be used ends the program before Ray
        except KieConfigurationError as error:
            sys.stderr.write(f"{error}\n")
            return 2
        try:
            _start_ray(options.address)
            progress = _run(options, _start_shared_run(options), fields)
        finally:
            ray.shutdown()
    return _report(progress, options.output)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.batch", description=__doc__)
    parser.add_argument(
        "--documents", type=Path, default=DOCUMENTS, help="JSON lines with `id` and `text`"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("answers.sqlite"), help="default: %(default)s"
    )
    parser.add_argument("--model", default="gemini-3.5-flash", help="default: %(default)s")
    parser.add_argument(
        "--address", help="host:port of a Ray cluster that this machine is a node of; default: none"
    )
    parser.add_argument("--workers", type=positive_integer, default=2, help="default: %(default)s")
    parser.add_argument(
        "--max-concurrency",
        type=positive_integer,
        default=16,
        help="calls of a worker; default: %(default)s",
    )
    parser.add_argument(
        "--batch-size", type=positive_integer, default=20, help="default: %(default)s"
    )
    parser.add_argument(
        "--max-requests",
        type=positive_integer,
        default=20,
        help="in 10 seconds; default: %(default)s",
    )
    options = parser.parse_args(arguments)
    if "://" in (options.address or ""):  # Ray Client: the program would run on the head node
        parser.error("--address is host:port, not a URL: start the batch on a node of the cluster")
    try:
        options.count = _count(options.documents)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    return options


def positive_integer(text: str) -> int:
    """Parse an option; argparse shows the name of this function for what is no number."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _count(path: Path) -> int:
    """Count the documents, and check them before the first is paid.

    Raises:
        ValueError: A line is no document, or two have the same id.
    """
    ids: set[str] = set()
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                document = parse_document(line)
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: {error}") from error
            if document.id in ids:
                raise ValueError(f"{path}, line {number}: the id {document.id!r} is there twice")
            ids.add(document.id)
    return len(ids)


def _start_ray(address: str | None) -> None:
    settings: dict[str, Any] = {"logging_level": logging.ERROR}
    if address:
        # A cluster gets the code of this repository; the packages must be installed there.
        settings["runtime_env"] = {"working_dir": str(ROOT), "excludes": [".venv", ".git"]}
    else:
        settings |= {
            "num_cpus": 2,
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE_BYTES,
        }
    ray.init(address=address, **settings)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # `main` gets the errors, too


def _start_shared_run(options: argparse.Namespace) -> Any:
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    shared: Any = (
        ray.remote(SharedRun)
        .options(num_cpus=0, max_concurrency=1000, scheduling_strategy=here)
        .remote(options.output.resolve(), options.max_requests)
    )
    try:
        ray.get(shared.progress.remote())
    except ray.exceptions.RayActorError as error:
        raise SystemExit(f"cannot use {options.output}: {error}") from error
    return shared


def _run(options: argparse.Namespace, shared: Any, fields: dict[str, Any]) -> Progress:
    """Answer the documents, until all are or the program is interrupted."""
    documents = str(options.documents.resolve())
    if options.address:
        documents = f"local://{documents}"  # other nodes do not have the file
    answers = (
        ray.data.read_text(documents)
        .repartition(target_num_rows_per_block=options.batch_size)
        .map_batches(
            Worker,
            fn_constructor_args=(shared, fields, options.max_concurrency),
            batch_size=options.batch_size,
            compute=ray.data.ActorPoolStrategy(
                size=options.workers,
                max_tasks_in_flight_per_actor=1,  # so that no worker gets the batch of another
            ),
            num_cpus=_CPUS_OF_A_WORKER,
        )
    )
    received = _received_signals()
    with ThreadPoolExecutor(1) as executor:
        run = executor.submit(answers.materialize)
        _show(run, shared, options.count, received)
        if not run.done():
            ray.get(shared.stop.remote("interrupted"))
            sys.stderr.write(_INTERRUPTED)
            sys.stderr.flush()
        error = run.exception()
    progress: Progress = ray.get(shared.progress.remote())
    if error and not progress.stop_reason:  # a run that stops ends with StoppedError
        raise error
    return progress


def _received_signals() -> list[int]:
    """Return a list that will have the first SIGINT or SIGTERM; the next ends the program at once.

    Nothing is raised: an exception in the middle of Ray's code may leave a lock behind.
    """
    received: list[int] = []

    def receive(number: int, _: Any) -> None:
        received.append(number)
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, receive)
    return received


def _show(run: Future[Any], shared: Any, count: int, received: list[int]) -> None:
    """Show how far the run is, until it ends or a signal is received."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Bar(*columns, TimeRemainingColumn()) as bar:
        task = bar.add_task("", total=count)
        is_done = False
        while not (is_done or received):
            is_done = bool(wait([run], _POLL_SECONDS).done)
            progress: Progress = ray.get(shared.progress.remote())
            bar.update(
                task,
                completed=progress.processed,
                description=f"{progress.total_credits:g} credits, {progress.failed} failed",
            )


def _report(progress: Progress, output: Path) -> int:
    console = Console(highlight=False)
    console.print(
        f"{progress.answered} answered, {progress.failed} failed, "
        f"{progress.skipped} answered before.",
        soft_wrap=True,
    )
    console.print(
        f"{output}: {progress.total_answers} answers for {progress.total_credits:g} credits.",
        soft_wrap=True,
    )
    if progress.total_lost:
        console.print(
            f"Calls in flight when their run was killed: {progress.total_lost}. KIE may have "
            "charged them; their credits are unknown, and not in this total.",
            soft_wrap=True,
        )
    if progress.stop_reason:
        console.print(f"Stopped: {progress.stop_reason}", markup=False, soft_wrap=True)
        console.print("To send the rest, run the same command again.")
    return 1 if progress.failed or progress.stop_reason else 0


if __name__ == "__main__":
    raise SystemExit(main())
