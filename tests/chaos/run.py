"""Runs agents with faults and kills, one run for each seed, and checks what came of it.

python -m chaos.run --seeds 1000 --start 0
python -m chaos.run --seeds 1 --start 17 --agents 64 --steps 200
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Self

from langgraph.checkpoint.sqlite import SqliteSaver
from limits import MAX_WAIT

from chaos.agent_process import Job, read_events
from chaos.checks import (
    LAST_THOUGHT,
    THOUGHT,
    Facts,
    last_text_of,
    parts_of,
    text_of,
    violations,
)
from chaos.proxy import PHASES, Proxy
from langchain_kie._conversation.thought_signatures import PLACEHOLDER_SIGNATURE
from langchain_kie.emulator import Answer, ChatRequest, Emulator, Failure, ToolCall, Usage

if TYPE_CHECKING:
    from langchain_kie.emulator import Turn

TESTS = Path(__file__).parent.parent
MODELS = [
    ("gemini-2.5-flash", "chat_completions"),
    ("gemini-3-flash", "chat_completions"),
    ("gemini-3.1-pro", "chat_completions"),
    ("gemini-3.5-flash", "generate_content"),
    ("gemini-3.8-flash", "generate_content"),
]
_TOKENS_PER_SERIAL = 1000
"""At the prices of all models, this costs at least 0.01 credits, the unit of KIE's bills."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a seed decides.

    Attributes:
        seed: The seed.
        agents: How many agents run at once.
        steps: How many steps each does.
        kills: How many times the process is killed, at most.
        fault_rate: The share of requests that fail.
        cancel_rate: The share of model calls during which the agent is cancelled.
        model: The parameters of the model.
        durability: When LangGraph writes checkpoints.
    """

    seed: int
    agents: int
    steps: int
    kills: int
    fault_rate: float
    cancel_rate: float
    model: dict[str, Any]
    durability: str = "sync"

    @classmethod
    def of(cls, seed: int, *, agents: int, steps: int, kills: int, **options: Any) -> Self:
        rng = Random(f"plan {seed}")
        name, api = MODELS[seed % len(MODELS)]
        model = {
            "model": name,
            "api": api,
            "streaming": rng.random() < 0.5,
            "stream_invoke": rng.choice([None, True]),
            "include_thoughts": rng.choice([None, True]),
            "max_retries": rng.choice([0, 2, 2, 5]),
            "retry_on_timeout": rng.random() < 0.3,
        }
        return cls(
            seed=seed,
            agents=agents,
            steps=steps,
            kills=kills,
            fault_rate=rng.choice([0.1, 0.3, 0.5]),
            cancel_rate=rng.choice([0.0, 0.0, 0.2]),
            model=model,
            **options,
        )


@dataclass(slots=True)
class Result:
    """What came of a seed."""

    plan: Plan
    violations: list[str]
    seconds: float
    faults: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    growth: float = 0.0
    kills: int = 0


class Zygote:
    """The process that loads LangChain once, and forks the agents' processes."""

    async def __aenter__(self) -> Self:
        paths = [str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "chaos.agent_process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        await self._process.wait()

    async def start(self, job: Job) -> int:
        """Fork a process, and return a file descriptor to kill it with."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
        return os.pidfd_open(int(await self._line()))

    async def exit_code(self, process: int, limit: float) -> int:
        """Wait for the end of the process, and kill it after `limit` seconds."""
        try:
            async with asyncio.timeout(limit):
                return int(await self._line())
        except TimeoutError:
            signal.pidfd_send_signal(process, signal.SIGKILL)
            await self._line()
            return -1

    async def _line(self) -> bytes:
        assert self._process.stdout
        return await self._process.stdout.readline()


def model_for(plan: Plan) -> Any:
    """The function that the emulator answers with: it continues from the history alone.

    Each answer costs another amount, so that a bill shows which answer was counted.
    """
    serials = count(1)

    async def respond(request: ChatRequest) -> Answer | Failure:
        thread = request.prompt.removeprefix("I am ").rstrip(".")
        n = sum(bool(turn.calls) for turn in request.turns)
        if (found := _steps_in(request.turns)) != _expected_steps(n):
            return Failure(400, f"the history of {thread} is wrong: {found}")
        signatures = [turn.calls[0].signature for turn in request.turns if turn.calls]
        if request.api == "generate_content" and not all(map(is_signature, signatures)):
            return Failure(400, f"a thought signature of {thread} is lost: {signatures}")
        usage = Usage(next(serials) * _TOKENS_PER_SERIAL, 20, 0)
        if n == plan.steps:
            return Answer(last_text_of(thread), thoughts=LAST_THOUGHT, usage=usage)
        calls = [ToolCall("step", {"n": n + 1, "part": part}) for part in parts_of(n + 1)]
        return Answer(text_of(n + 1), tool_calls=calls, thoughts=THOUGHT, usage=usage)

    return respond


def is_signature(signature: str | None) -> bool:
    """Whether a call has the signature that came with it, and not a placeholder."""
    return signature not in {None, PLACEHOLDER_SIGNATURE}


def _steps_in(turns: tuple[Turn, ...]) -> list[Any]:
    found: list[Any] = []
    for turn in turns:
        if turn.calls:
            found.append(
                (turn.text, [(call.args.get("n"), call.args.get("part")) for call in turn.calls])
            )
        found += [result.text.rpartition(" ")[0] for result in turn.results]
    return found


def _expected_steps(n: int) -> list[Any]:
    expected: list[Any] = []
    for number in range(1, n + 1):
        parts = parts_of(number)
        expected.append((text_of(number), [(number, part) for part in parts]))
        expected += [f"done {number}{part}" for part in parts]
    return expected


async def run_seed(plan: Plan, zygote: Zygote) -> Result:
    """Run agents until they are done, and check everything."""
    start = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as folder,
        Emulator(respond=model_for(plan), credits=1e12) as emulator,
    ):
        async with Proxy(emulator.base_url, plan.seed, plan.fault_rate) as proxy:
            model = {**plan.model, "base_url": proxy.base_url, "api_key": emulator.api_key}
            killed, failed = await _run_generations(plan, folder, model, proxy, zygote)
            facts = _facts(plan, Path(folder), proxy, killed, emulator.credits_charged)
    result = Result(plan, [*failed, *violations(facts)], time.monotonic() - start)
    result.kills = len(killed)
    result.faults.update(exchange.fault for exchange in facts.exchanges)
    result.counts.update(event["kind"] for event in facts.events)
    result.growth = max((e["megabytes"] - e["before"] for e in facts.of("end")), default=0.0)
    return result


async def _run_generations(
    plan: Plan, folder: str, model: dict[str, Any], proxy: Proxy, zygote: Zygote
) -> tuple[set[int], list[str]]:
    """Start processes until one comes to its end; return the killed ones, and what failed."""
    rng = Random(f"kills {plan.seed}")
    killed: set[int] = set()
    share = max(1, plan.agents * plan.steps // (plan.kills + 1))
    for generation in count():
        may_kill = generation < plan.kills
        at, phase = rng.randint(1, share), rng.choice([*PHASES, "effect", "effect"])
        job = Job(
            folder=folder,
            agents=plan.agents,
            generation=generation,
            kill_after_effects=at if may_kill and phase == "effect" else 0,
            cancel_rate=plan.cancel_rate,
            model=model,
            durability=plan.durability,
        )
        process = await zygote.start(job)
        if may_kill and phase != "effect":
            proxy.kill_at(
                at, phase, lambda fd=process: signal.pidfd_send_signal(fd, signal.SIGKILL)
            )
        limit = MAX_WAIT + plan.agents * plan.steps  # a second more for each step of each agent
        code = await zygote.exit_code(process, limit)
        os.close(process)
        if code == -signal.SIGKILL and may_kill:
            killed.add(generation)
        else:
            failed = [f"process: ended with code {code}, or did not end"] if code else []
            return killed, failed + proxy.errors
    raise AssertionError


def _facts(plan: Plan, folder: Path, proxy: Proxy, killed: set[int], charged: float) -> Facts:
    with SqliteSaver.from_conn_string(str(folder / "checkpoints.sqlite")) as saver:

        def messages_in(item: Any) -> list[Any]:
            found: list[Any] = item.checkpoint["channel_values"].get("messages", []) if item else []
            return found

        names = [f"agent-{number}" for number in range(plan.agents)]
        configs = {name: {"configurable": {"thread_id": name}} for name in names}
        threads = {n: messages_in(saver.get_tuple(c)) for n, c in configs.items()}  # type: ignore[arg-type]
        listed = saver.list(configs[names[0]])  # type: ignore[arg-type]
        history = [[message.id for message in messages_in(item)] for item in listed]
    return Facts(
        steps=plan.steps,
        exchanges=proxy.exchanges,
        events=read_events(folder / "events.jsonl"),
        killed=killed,
        charged=charged,
        threads=threads,
        histories={names[0]: history},
        has_thoughts=plan.model["include_thoughts"] is True,
        max_megabytes=24 + 0.03 * plan.agents * plan.steps,
    )


async def run_all(plans: list[Plan], report: Any) -> list[Result]:
    """Run one plan after the other."""
    results = []
    async with Zygote() as zygote:
        for plan in plans:
            results.append(await run_seed(plan, zygote))
            report(results[-1])
    return results


def table(results: list[Result]) -> str:
    """The totals of all seeds, as Markdown."""
    faults = sum((result.faults for result in results), Counter[str]())
    counts = sum((result.counts for result in results), Counter[str]())
    rows = {
        "seeds": len(results),
        "processes killed": sum(result.kills for result in results),
        "model calls": counts["call"],
        "requests": faults.total(),
        "requests without a fault": faults.pop("none", 0),
        **{f"fault: {name}": number for name, number in sorted(faults.items())},
        "retries by the package": counts["retry"],
        "runs cancelled": counts["cancel"],
        "cancelled runs that returned": counts["returned although cancelled"],
        "warnings of connections that only the garbage collector closed": counts["dropped"],
        "resumes after an error": counts["resume"],
        "tools executed": counts["effect"],
        "tools executed again after a kill": counts["repeat"],
        "largest growth of a process, MB": round(max((r.growth for r in results), default=0)),
        "violations": sum(len(result.violations) for result in results),
    }
    lines = [f"| {name} | {number:,} |" for name, number in rows.items()]
    return "\n".join(["| | number |", "|---|---:|", *lines])


def _report(result: Result) -> None:
    plan = result.plan
    if result.violations:
        replay = f"--seeds 1 --start {plan.seed} --agents {plan.agents} --steps {plan.steps}"
        print(f"seed {plan.seed}: {plan.model}, replay with {replay} --kills {plan.kills}")
        for text in result.violations[:10]:
            print(f"    {text}")
    else:
        print(
            f"seed {plan.seed}: {result.seconds:.1f} s, {result.faults.total()} requests, "
            f"{result.kills} kills, +{result.growth:.0f} MB"
        )
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos.run", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--agents", type=int, default=8)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--durability", choices=["sync", "async", "exit"], default="sync")
    options = vars(parser.parse_args())
    first = options.pop("start")
    seeds = range(first, first + options.pop("seeds"))
    results = asyncio.run(run_all([Plan.of(seed, **options) for seed in seeds], _report))
    print(table(results))
    return 1 if any(result.violations for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
