"""The batch example: what is paid once, across a kill, a fatal error and a repeated batch."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import pytest
from chat_server import open_requests, wait_until
from limits import MAX_WAIT

from examples.batch.__main__ import _OBJECT_STORE_BYTES, DOCUMENTS, main
from examples.batch.shared_run import SharedRun, StoppedError
from examples.batch.worker import answer_all, parse_document
from langchain_kie import ChatKieGemini
from langchain_kie.emulator import Answer, Failure, Usage

ROOT = Path(__file__).parents[2]
REVIEWS = {
    document.text: document.id for document in map(parse_document, DOCUMENTS.open(encoding="utf-8"))
}
KILL_AFTER = 16
CONCURRENCY = 6
KIE_LIMIT = 20
"""Requests in 10 seconds."""


def id_of(request):
    return REVIEWS[request.prompt.partition("\n\n")[2]]


class Account:
    """Answers each document, at the same price; from `hold_after` answers on, it waits."""

    def __init__(self):
        self.hold_after = None
        self.loop = None
        self.released = asyncio.Event()
        self.answered = []
        self.held = 0

    async def __call__(self, request):
        if self.hold_after is not None and len(self.answered) >= self.hold_after:
            self.held += 1
            self.loop = asyncio.get_running_loop()
            await self.released.wait()
        self.answered.append(id_of(request))
        return Answer(f"about {id_of(request)}", usage=Usage(20_000, 1_000))

    def release(self):
        """Answer those that wait."""
        self.loop.call_soon_threadsafe(self.released.set)


# --- the complete program, on Ray ------------------------------------------------------------


@pytest.fixture
def ray_folder():
    """A short path, because Ray puts sockets there."""
    folder = tempfile.mkdtemp(prefix="ray-")
    yield Path(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def launch(ray_folder):
    """Starts programs with Ray; in the end, all of their processes are killed."""
    runs = []
    # A cluster listens on all addresses of the machine, so it needs a token.
    environment = os.environ | {
        "RAY_TMPDIR": str(ray_folder),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "PYTHONPATH": str(ROOT),
    }

    def launch_program(program, log):
        with log.open("w") as output:
            runs.append(
                subprocess.Popen(
                    program,
                    cwd=ROOT,
                    env=environment,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            )
        return runs[-1]

    yield launch_program
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(ProcessLookupError):
            if os.getsid(int(path.name)) in {run.pid for run in runs}:
                os.kill(int(path.name), signal.SIGKILL)
    for run in runs:
        run.wait()


@pytest.fixture
def start(launch, tmp_path):
    """Starts the batch, which writes to `log`."""
    return lambda **options: launch(
        command(tmp_path / "answers.sqlite", **options), tmp_path / "log"
    )


@pytest.fixture
def cluster(launch, ray_folder, tmp_path):
    """The address of a Ray cluster of one node, on free ports."""
    options = ["--head", "--block", "--port=0", "--min-worker-port=0", "--max-worker-port=0"]
    options += ["--num-cpus=2", f"--object-store-memory={_OBJECT_STORE_BYTES}"]
    options += ["--include-dashboard=false", "--disable-usage-stats"]
    log = tmp_path / "cluster.log"
    run = launch([sys.executable, "-m", "ray.scripts.scripts", "start", *options], log)
    address = ray_folder / "ray" / "ray_current_cluster"  # written after "Ray runtime started"
    wait_until(lambda: run.poll() is not None or (address.exists() and address.read_text()))
    assert run.poll() is None, log.read_text()
    return address.read_text()


def command(output, **changes):
    options = {
        "workers": 1,
        "batch_size": 40,
        "max_concurrency": CONCURRENCY,
        "max_requests": 1000,
        **changes,
    }
    program = [sys.executable, "-m", "examples.batch", "--output", str(output)]
    return program + [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]


def stored_answers(path):
    with closing(sqlite3.connect(path, timeout=MAX_WAIT)) as database:
        rows = database.execute("SELECT document FROM calls WHERE answer IS NOT NULL")
        return {document for (document,) in rows}


def interrupt(run, number, account, log):
    """Interrupt a run while calls are in flight, with SIGINT as a terminal does."""
    wait_until(lambda: run.poll() is not None or account.held >= CONCURRENCY)
    assert run.poll() is None, log.read_text()
    os.killpg(run.pid, number) if number == signal.SIGINT else run.send_signal(number)
    wait_until(
        lambda: run.poll() is not None or "no further request starts" in log.read_text(),
    )
    assert run.poll() is None, log.read_text()


@pytest.mark.parametrize("where", ["here", "cluster"])
def test_a_run_that_was_killed_goes_on_without_paying_twice(
    kie_emulator, tmp_path, start, where, request
):
    """What was in flight at the kill is paid, but its answer is lost: that alone is paid again."""
    options = {"address": request.getfixturevalue("cluster")} if where == "cluster" else {}
    kie_emulator.respond = account = Account()
    account.hold_after = KILL_AFTER
    output, log = tmp_path / "answers.sqlite", tmp_path / "log"
    run = start(**options)
    # A call keeps its place until its answer is on disk, so that all others are stored then.
    wait_until(lambda: run.poll() is not None or account.held == CONCURRENCY)
    assert run.poll() is None, log.read_text()
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    stored = stored_answers(output)  # waits until Ray's processes have ended, too
    account.release()
    wait_until(lambda: not open_requests(kie_emulator))
    lost = set(account.answered) - stored
    assert len(stored) == KILL_AFTER
    assert len(lost) == CONCURRENCY

    account.hold_after = None
    before = len(account.answered)
    status = start(**options).wait(MAX_WAIT)
    text = log.read_text()
    assert status == 0, text
    assert not stored & set(account.answered[before:])
    assert stored_answers(output) == set(REVIEWS.values())
    assert {name for name, times in Counter(account.answered).items() if times > 1} == lost

    price = kie_emulator.credits_charged / len(account.answered)
    known = float(re.search(r"40 answers for ([\d.]+) credits", text)[1])
    assert known == pytest.approx(price * len(REVIEWS))
    assert kie_emulator.credits_charged - known == pytest.approx(price * len(lost))
    assert f"24 answered, 0 failed, {KILL_AFTER} answered before." in text
    assert f"Calls in flight when their run was killed: {CONCURRENCY}. KIE may have charged" in text
    assert kie_emulator.api_key not in text


def test_an_interrupted_run_stores_what_is_in_flight_and_the_next_one_sends_the_rest(
    kie_emulator, tmp_path, start
):
    kie_emulator.respond = account = Account()
    account.hold_after = KILL_AFTER
    output, log = tmp_path / "answers.sqlite", tmp_path / "log"
    run = start(batch_size=25)
    interrupt(run, signal.SIGINT, account, log)
    account.release()
    status = run.wait(MAX_WAIT)
    text = log.read_text()
    assert status == 1, text
    assert len(account.answered) == KILL_AFTER + CONCURRENCY, "only those in flight"
    assert stored_answers(output) == set(account.answered)
    assert f"{len(account.answered)} answered, 0 failed" in text
    assert "Stopped: interrupted\nTo send the rest, run the same command again.\n" in text
    assert "Traceback" not in text

    assert start().wait(MAX_WAIT) == 0, log.read_text()
    assert Counter(account.answered) == Counter(REVIEWS.values()), "each is paid once"


def test_a_second_interrupt_ends_the_run_at_once(kie_emulator, tmp_path, start):
    kie_emulator.respond = account = Account()
    account.hold_after = KILL_AFTER
    run = start()
    interrupt(run, signal.SIGTERM, account, tmp_path / "log")
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(MAX_WAIT) == -signal.SIGINT
    assert len(stored_answers(tmp_path / "answers.sqlite")) == KILL_AFTER
    account.release()


class Clock:
    """The emulator's clock, which starts at the first request that exceeds the rate limit."""

    def __init__(self, emulator):
        self.emulator = emulator
        self.started = None

    def __call__(self):
        if len(self.emulator.requests) <= KIE_LIMIT:
            return 0.0
        self.started = self.started or time.monotonic()
        return time.monotonic() - self.started


def test_calls_that_kie_limits_are_waited_for(kie_emulator, tmp_path, start):
    """All are sent at once; what was rejected is sent once more, after KIE's 10 seconds."""
    kie_emulator.respond = account = Account()
    kie_emulator.clock, kie_emulator.rate_limit = Clock(kie_emulator), True
    output, log = tmp_path / "answers.sqlite", tmp_path / "log"
    status = start(max_concurrency=len(REVIEWS)).wait(MAX_WAIT)
    text = log.read_text()
    assert status == 0, text
    assert stored_answers(output) == set(REVIEWS.values())
    assert Counter(account.answered) == Counter(REVIEWS.values()), "each is paid once"
    bodies = [request.body for request in kie_emulator.requests]
    prompts = [body["contents"][0]["parts"][0]["text"] for body in bodies]
    sent = Counter(REVIEWS[prompt.partition("\n\n")[2]] for prompt in prompts)
    assert set(sent.values()) == {1, 2}
    assert sum(times == 1 for times in sent.values()) >= KIE_LIMIT
    assert f"{len(REVIEWS)} answered, 0 failed, 0 answered before." in text
    known = float(re.search(r"40 answers for ([\d.]+) credits", text)[1])
    assert known == pytest.approx(kie_emulator.credits_charged)


# --- the parts, without Ray ------------------------------------------------------------------


class Local:
    """Calls a `SharedRun` in this process."""

    def __init__(self, shared):
        self.shared = shared

    async def __call__(self, method, *args, **kwargs):
        return await getattr(self.shared, method)(*args, **kwargs)


@pytest.fixture
def shared(tmp_path):
    shared = SharedRun(tmp_path / "answers.sqlite", max_requests=1000)
    yield shared
    shared._database.close()


def ask(shared, texts, **fields):
    model = ChatKieGemini(**{"model": "gemini-3.5-flash", "max_retries": 0, **fields})
    asyncio.run(answer_all(model, texts, Local(shared), CONCURRENCY))
    return asyncio.run(shared.progress())


TEXTS = {document: text for text, document in REVIEWS.items()}


def test_the_total_is_what_kie_charged(kie_emulator, shared):
    progress = ask(shared, TEXTS)
    assert (progress.answered, progress.failed, progress.skipped) == (len(TEXTS), 0, 0)
    assert progress.total_credits == pytest.approx(kie_emulator.credits_charged)
    again = ask(shared, TEXTS)  # as Ray does after it lost a worker
    assert again == progress
    assert len(kie_emulator.requests) == len(TEXTS)


@pytest.mark.parametrize(
    ("fields", "settings", "text"),
    [
        ({"api_key": "wrong"}, {}, "401"),
        ({}, {"credits": 0.0}, "402"),
        ({}, {"respond": lambda _: Failure(433)}, "433"),
        ({}, {"respond": lambda _: Failure(403, "Access denied")}, "403"),
        ({}, {"respond": lambda _: Failure(505, "Disabled")}, "505"),
        ({}, {"unauthorized_models": ["gemini-3-5-flash"]}, "Enable the model for this key"),
        ({}, {"unsupported_models": ["gemini-3-5-flash"]}, "422"),
        ({"model": "gemini-9-flash"}, {}, "gemini-9-flash"),
    ],
    ids=["key", "credits", "spending", "address", "feature", "key-model", "channel", "model"],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # of the unknown model
def test_an_error_that_all_calls_meet_stops_the_run(kie_emulator, shared, fields, settings, text):
    for name, value in settings.items():
        setattr(kie_emulator, name, value)
    progress = ask(shared, TEXTS, **fields)
    assert text in progress.stop_reason
    assert 1 <= len(kie_emulator.requests) <= CONCURRENCY, "only those that had started"
    assert progress.failed == len(kie_emulator.requests)
    assert progress.answered == progress.total_credits == 0


def test_credits_that_run_out_stop_the_run_and_the_next_one_goes_on(kie_emulator, tmp_path):
    kie_emulator.respond = account = Account()
    path = tmp_path / "answers.sqlite"
    first = SharedRun(path, 1000)
    kie_emulator.credits = 10.0
    stopped = ask(first, TEXTS)
    first._database.close()
    assert stopped.stop_reason
    assert stopped.answered == len(account.answered) < len(TEXTS)
    kie_emulator.credits = 1000.0
    second = SharedRun(path, 1000)
    done = ask(second, TEXTS)
    second._database.close()
    assert done.skipped == stopped.answered
    assert done.total_answers == len(account.answered) == len(TEXTS)
    assert done.total_credits == pytest.approx(kie_emulator.credits_charged)


def test_another_error_concerns_one_document(kie_emulator, shared):
    kie_emulator.answer("Fine.", Failure(500))
    texts = dict(list(TEXTS.items())[:5])
    progress = ask(shared, texts)
    assert (progress.answered, progress.failed) == (4, 1)
    assert progress.stop_reason is None
    progress = ask(shared, texts)
    assert (progress.answered, progress.failed) == (5, 0)


def test_a_stopped_run_does_not_wait_for_the_rate_limit(tmp_path):
    async def stop_while_waiting():
        shared = SharedRun(tmp_path / "answers.sqlite", 1, period=600.0)
        assert await shared.may_start("a")
        waiting = [asyncio.create_task(shared.may_start("a")) for _ in range(5)]
        await asyncio.sleep(0)
        await shared.add_error("a", "no credits", 0.0, stop=True)
        shared._database.close()
        return [await each for each in waiting], await shared.may_start("a")

    assert asyncio.run(stop_while_waiting()) == ([False] * 5, False)


def test_a_run_that_stops_ends_when_no_call_is_in_flight(shared):
    """Ray kills the workers when `missing` fails, so it waits for the calls of all of them."""

    async def stop():
        assert await shared.may_start("a")
        assert await shared.may_start("b")
        await shared.stop("no credits")
        other = asyncio.create_task(shared.missing(["c"]))
        await asyncio.sleep(0)
        await shared.add_answer("a", "fine", 1.0)
        assert not other.done()
        assert (await shared.progress()).total_lost == 0
        for batch in (shared.missing(["b"]), other):  # the worker of b was killed
            with pytest.raises(StoppedError, match="no credits"):
                await batch
        assert (await shared.progress()).total_lost == 1

    asyncio.run(stop())


def test_a_call_is_on_disk_before_it_is_sent_and_counted_if_it_is_lost(tmp_path):
    path = tmp_path / "answers.sqlite"

    async def run(*ends):
        shared = SharedRun(path, 1000)
        before = await shared.progress()
        for document in await shared.missing("abcd"):
            assert await shared.may_start(document)
        if "answer" in ends:
            await shared.add_answer("a", "fine", 1.5)
        if "error" in ends:
            await shared.add_error("b", "bad", 0.5, stop=False)
        progress = await shared.progress()
        shared._database.close()  # c and d are lost
        return before.total_lost, progress.total_lost, progress.total_credits

    assert asyncio.run(run("answer", "error")) == (0, 0, 2.0)
    assert asyncio.run(run("error")) == (2, 2, 2.5)
    assert asyncio.run(run()) == (4, 4, 2.5)
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT * FROM calls WHERE document < 'c' ORDER BY rowid")
        assert rows.fetchall() == [
            ("a", "fine", None, "1.5"),
            ("b", None, "bad", "0.5"),
            ("b", None, "bad", "0.5"),
            ("b", None, None, "0"),
        ]


def test_all_workers_share_one_limit(tmp_path):
    async def share():
        shared = SharedRun(tmp_path / "answers.sqlite", 3, period=MAX_WAIT)
        starts = [asyncio.create_task(shared.may_start(document)) for document in "abcdefg"]
        assert await asyncio.gather(*starts[:3]) == [True] * 3
        assert not any(start.done() for start in starts[3:])
        await shared.stop("enough was seen")
        assert await asyncio.gather(*starts[3:]) == [False] * 4
        shared._database.close()

    asyncio.run(share())


def test_two_runs_cannot_use_one_file(shared, tmp_path, monkeypatch):
    monkeypatch.setattr("examples.batch.shared_run._LOCK_SECONDS", 0.0)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        SharedRun(tmp_path / "answers.sqlite")


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ('{"id": "a", "text": "x"}\n{"id": "a", "text": "y"}', "line 2: the id 'a' is there twice"),
        ('{"id": "a", "text": "x"}\n\n{"id": "b"}', "line 3: "),
        ("not JSON", "line 1: "),
    ],
)
def test_the_documents_are_checked_before_the_first_call(tmp_path, capsys, lines, error):
    path = tmp_path / "documents.jsonl"
    path.write_text(lines)
    with pytest.raises(SystemExit):
        main(["--documents", str(path)])
    assert error in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "error"),
    [
        *[
            ([f"--{name}", "0"], f"--{name}: 0 is less than 1")
            for name in ("workers", "max-concurrency", "batch-size", "max-requests")
        ],
        (["--workers", "two"], "--workers: invalid positive_integer value: 'two'"),
        (["--model", "gemini 9"], "'gemini 9' cannot be a model name"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_line(capsys, monkeypatch, options, error):
    monkeypatch.setattr("examples.batch.__main__._start_ray", lambda _: pytest.fail("Ray starts"))
    with pytest.raises(SystemExit) as exit_info:
        raise SystemExit(main(options))
    assert exit_info.value.code == 2
    assert error in capsys.readouterr().err.splitlines()[-1]


def test_a_url_is_no_address_of_a_cluster(capsys):
    """With it, the answers would be written on another machine."""
    with pytest.raises(SystemExit):
        main(["--address", "ray://head:10001"])
    assert "--address is host:port" in capsys.readouterr().err
