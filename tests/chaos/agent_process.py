"""The process that runs agents from a folder with checkpoints, until it is killed or done.

    python -m chaos.agent_process

reads jobs from its standard input, one JSON object a line, and forks a process for each, so that
only the first one has to load LangChain. It prints the pid of each process, and its exit code.

All processes of a folder append what happens to one file, `events.jsonl`: a killed process loses
nothing that it wrote.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import sys
import threading
import traceback
import uuid
import warnings
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated, Any

from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import HumanMessage
from langchain_core.tools import InjectedToolCallId, tool
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from chaos.proxy import CLIENT_HEADER
from langchain_kie import ChatKieGemini, KieCreditsCallback, KieError
from langchain_kie._http import retry

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

_MAX_THREAD_END = 20.0
"""Seconds after which a thread that has not ended counts as left over."""
MAX_FAILURES = 50
"""How many calls of one agent may fail, one after the other."""

_MAX_CANCEL_DELAY = 0.1
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one process does.

    Attributes:
        folder: Where the checkpoints and the events are.
        agents: How many agents run at once.
        generation: The number of this process, from 0.
        kill_after_effects: After how many effects of tools the process kills itself, before
            the results are in a checkpoint; 0 for never.
        cancel_rate: The share of model calls during which the agent is cancelled.
        model: The parameters of the model.
        durability: When LangGraph writes checkpoints.
    """

    folder: str
    agents: int
    generation: int
    kill_after_effects: int
    cancel_rate: float
    model: dict[str, Any]
    durability: Any = "sync"

    @property
    def database(self) -> str:
        return str(Path(self.folder, "checkpoints.sqlite"))


class EventFile:
    """The file of events, and the effects of tools that it contains."""

    def __init__(self, job: Job) -> None:
        self._job = job
        path = Path(job.folder, "events.jsonl")
        self.effects = {e["call"]: e["result"] for e in read_events(path) if e["kind"] == "effect"}
        self.new_effects = 0
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, kind: str, **values: Any) -> None:
        line = json.dumps({"kind": kind, "generation": self._job.generation, **values}) + "\n"
        os.write(self._file, line.encode())

    def execute(self, thread: str, call: str, n: int, part: str) -> str:
        """Execute a call once: a repeated one gets the same result, without an effect."""
        if call in self.effects:
            self.write("repeat", thread=thread, call=call)
            return self.effects[call]
        result = self.effects[call] = f"done {n}{part} {uuid.uuid4()}"
        self.write("effect", thread=thread, call=call, n=n, part=part, result=result)
        self.new_effects += 1
        if self.new_effects == self._job.kill_after_effects:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def read_events(path: Path) -> list[dict[str, Any]]:
    """Read the events that all processes of a folder wrote."""
    return [*map(json.loads, path.read_bytes().splitlines())] if path.exists() else []


class Recorder(BaseCallbackHandler):
    """Writes what happens in one conversation."""

    run_inline = True

    def __init__(self, thread: str, events: EventFile, job: Job) -> None:
        self.credits = KieCreditsCallback()
        self.task: asyncio.Task[Any]
        self.is_cancelled = False
        self.failures = 0
        self._thread = thread
        self._events = events
        self._random = Random(f"{job.generation}/{thread}")
        self._cancel_rate = job.cancel_rate
        self._has_token = False
        self._counted = self.credits.total

    def write(self, kind: str, **values: Any) -> None:
        self._events.write(kind, thread=self._thread, **values)

    def execute(self, call: str, n: int, part: str) -> str:
        return self._events.execute(self._thread, call, n, part)

    def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        self._has_token = False
        self.write("call")
        if self._random.random() < self._cancel_rate:
            delay = self._random.random() * _MAX_CANCEL_DELAY
            asyncio.get_running_loop().call_later(delay, self._cancel, self.task)

    def _cancel(self, task: asyncio.Task[Any]) -> None:
        if task.cancel():
            self.is_cancelled = True
            self.write("cancel")

    def on_llm_new_token(self, *_: Any, **__: Any) -> None:
        self._has_token = True

    def on_llm_end(self, *_: Any, **__: Any) -> None:
        self.failures = 0
        self._write_credits("answer")

    def on_llm_error(self, *_: Any, **__: Any) -> None:
        self.failures += 1
        self._write_credits("failed call")

    def on_retry_of_package(self) -> None:
        self.write("retry", after_token=self._has_token)

    def _write_credits(self, kind: str) -> None:
        old, self._counted = self._counted, self.credits.total
        amount = round(self._counted.credits_consumed - old.credits_consumed, 2)
        calls = self._counted.calls - old.calls
        unknown = self._counted.calls_without_credits - old.calls_without_credits
        self.write(kind, credits=amount, calls=calls, without_credits=unknown)


_RECORDER: ContextVar[Recorder] = ContextVar("recorder")


@tool
async def step(n: int, part: str, call_id: Annotated[str, InjectedToolCallId]) -> str:
    """Do a part of step n."""
    return _RECORDER.get().execute(call_id, n, part)


class _RetryHandler(logging.Handler):
    """Records the retries of the package, which logs one line for each."""

    def emit(self, record: logging.LogRecord) -> None:
        _RECORDER.get().on_retry_of_package()


async def _run_agent(job: Job, number: int, saver: AsyncSqliteSaver, events: EventFile) -> None:
    """Run one agent to its end, and resume it after each error that a retry can help."""
    thread = f"agent-{number}"
    recorder = Recorder(thread, events, job)
    _RECORDER.set(recorder)
    headers = {CLIENT_HEADER: f"{job.generation}/{thread}"}
    model = ChatKieGemini(**job.model, default_headers=headers)
    agent: Any = create_agent(model, [step], checkpointer=saver)
    config: RunnableConfig = {
        "configurable": {"thread_id": thread},
        "recursion_limit": 100_000,
        "callbacks": [recorder.credits, recorder],
    }
    question = HumanMessage(f"I am {thread}.", id=f"{thread}/question")
    while recorder.failures < MAX_FAILURES:
        # `next` of the state is also empty after a kill between a result and its checkpoint
        # (langgraph 1.2), so only a run that returns shows that the agent is done.
        has_started = (await agent.aget_state(config)).created_at is not None
        messages = None if has_started else {"messages": [question]}
        run = agent.ainvoke(messages, config, durability=job.durability)
        recorder.is_cancelled = False
        recorder.task = asyncio.create_task(run)
        await asyncio.wait([recorder.task])
        if recorder.is_cancelled:
            # The saver does not commit what it inserted while it was cancelled.
            await saver.conn.commit()
        if recorder.task.cancelled():
            continue
        if not (error := recorder.task.exception()):
            if not recorder.is_cancelled:
                return
            # A cancelled write may also be missing (seen once with langgraph 1.2.24).
            recorder.write("returned although cancelled")
            continue
        recorder.write("resume", error=type(error).__name__)
        shown = f"{traceback.format_exception(error)} {error.args} {vars(error)}"
        if job.model["api_key"] in shown:
            recorder.write("violation", text="an error shows the key")
        if not (isinstance(error, KieError) and error.is_retryable):
            recorder.write("violation", text=f"not retryable: {error!r}")
            return
    recorder.write("violation", text=f"{MAX_FAILURES} calls failed")


async def _run_agents(job: Job, events: EventFile) -> None:
    def on_loop_error(_loop: Any, context: dict[str, Any]) -> None:
        events.write("violation", text=f"event loop: {context}")

    asyncio.get_running_loop().set_exception_handler(on_loop_error)
    async with AsyncSqliteSaver.from_conn_string(job.database) as saver:
        await saver.conn.execute("PRAGMA synchronous=OFF")  # a kill loses nothing; a power cut does
        await saver.setup()
        async with asyncio.TaskGroup() as group:
            for number in range(job.agents):
                group.create_task(_run_agent(job, number, saver, events))
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    events.write("end of agents", tasks=[repr(task) for task in tasks], sockets=_sockets())


def _sockets() -> int:
    """The number of open sockets of this process."""
    found = 0
    for file in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the descriptor of the folder itself
            found += str(file.readlink()).startswith("socket:")
    return found


def _megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE / 2**20


def _on_unraisable(job: Job, events: EventFile, found: Any) -> None:
    """Report what could not be raised; only cancelled agents may drop an open connection."""
    is_dropped = job.cancel_rate and issubclass(found.exc_type, ResourceWarning)
    events.write("dropped" if is_dropped else "violation", text=f"unraisable: {found}")


def run(job: Job) -> None:
    """Run the agents, and write what the process leaves open."""
    events = EventFile(job)
    logger = logging.getLogger(retry.__name__)
    logger.propagate = False
    logger.handlers[:] = [_RetryHandler()]
    # Whether a call is retried does not depend on these; the tests do not wait so long.
    retry.RATE_LIMIT_WINDOW, retry.MAX_BACKOFF = 0.0, 0.01
    warnings.simplefilter("error", ResourceWarning)
    sys.unraisablehook = partial(_on_unraisable, job, events)
    objects = len(gc.get_objects())
    sockets, threads, before = _sockets(), threading.enumerate(), _megabytes()
    asyncio.run(_run_agents(job, events))
    left = [thread for thread in threading.enumerate() if thread not in threads]
    for thread in left:
        thread.join(_MAX_THREAD_END)  # aiosqlite's may still be ending
    while gc.collect():  # what a collection frees may free more
        pass
    events.write(
        "end",
        sockets=_sockets() - sockets,
        threads=sum(thread.is_alive() for thread in left),
        objects=len(gc.get_objects()) - objects,
        before=round(before, 1),
        megabytes=round(_megabytes(), 1),
    )


def main() -> None:
    """Fork a process for each job."""
    ChatKieGemini(model="gemini-3.5-flash", api_key="none").warm_up()
    gc.collect()
    gc.freeze()  # a collection in a fork neither visits nor copies what was loaded here
    for line in sys.stdin:
        if not (pid := os.fork()):
            code = 1
            try:
                run(Job(**json.loads(line)))
                code = 0
            except BaseException:  # noqa: BLE001 - the runner sees the exit code
                traceback.print_exc()
            finally:
                os._exit(code)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
