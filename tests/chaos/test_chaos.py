"""Twenty small runs with faults and kills; `make chaos` runs more and larger ones."""

from __future__ import annotations

import sys
from copy import deepcopy
from dataclasses import replace

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from chaos.checks import Facts, last_text_of, text_of, violations
from chaos.proxy import FAULTS, Exchange
from chaos.run import Plan, run_all

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and uses pidfds")


async def test_agents_survive_faults_and_kills() -> None:
    seeds = range(20)
    plans = [Plan.of(seed, agents=4, steps=3 + seed % 4, kills=2) for seed in seeds]
    results = await run_all(plans, report=lambda _result: None)
    assert [(r.plan.seed, text) for r in results for text in r.violations] == []
    found = {fault for result in results for fault in result.faults}
    assert found == {"none", *FAULTS}
    assert sum(result.kills for result in results) > len(results)


def _facts() -> Facts:
    """An agent of one step, whose process was killed after the first answer."""
    call = {"name": "step", "args": {"n": 1, "part": "a"}, "id": "c1"}
    result = "done 1a x"
    client = {"thread": "agent-0", "generation": 1}
    answer = {**client, "kind": "answer", "without_credits": 0}
    return Facts(
        steps=1,
        exchanges=[
            Exchange("0/agent-0", "none", [0.01], "all"),
            Exchange("1/agent-0", "lost", [0.02], "none"),
            Exchange("1/agent-0", "none", [0.03], "all"),
            Exchange("1/agent-0", "cut", [0.04], "part"),
            Exchange("1/agent-0", "twice", [0.05, 0.06], "all"),
        ],
        events=[
            {"kind": "call", "generation": 0, "thread": "agent-0"},
            {**client, "kind": "call"},
            {**client, "kind": "retry", "after_token": False},
            {**answer, "credits": 0.03},
            {**client, "kind": "effect", "call": "c1", "n": 1, "part": "a", "result": result},
            {**client, "kind": "call"},
            {**client, "kind": "retry", "after_token": False},
            {**answer, "credits": 0.06},
            {"kind": "end of agents", "generation": 1, "tasks": [], "sockets": 3},
            {
                "kind": "end",
                "generation": 1,
                "sockets": 0,
                "threads": 0,
                "objects": 1000,
                "before": 60.0,
                "megabytes": 70.0,
            },
        ],
        killed={0},
        charged=0.21,
        threads={
            "agent-0": [
                HumanMessage("I am agent-0.", id="1"),
                AIMessage(text_of(1), id="2", tool_calls=[call]),
                ToolMessage(result, tool_call_id="c1", id="3"),
                AIMessage(last_text_of("agent-0"), id="4"),
            ]
        },
        histories={"agent-0": [["1", "2", "3"], ["1", "2"], ["1"], []]},
        max_megabytes=20,
    )


def _change(kind: str, number: int = 0, /, **values):
    """A change of the `number`th event of a kind."""

    def change(facts: Facts) -> None:
        [*facts.of(kind)][number].update(values)

    return change


def _change_messages(function):
    return lambda facts: function(facts.threads["agent-0"])


def _double_effect(facts: Facts) -> None:
    effect = next(facts.of("effect"))
    facts.events = [*facts.events, {**effect, "call": "c2"}]


def _change_exchange(number: int, **values):
    def change(facts: Facts) -> None:
        exchanges = [*facts.exchanges]
        exchanges[number] = replace(exchanges[number], **values)
        facts.exchanges = exchanges

    return change


def _cancelled(facts: Facts) -> None:
    for event in facts.of("answer"):
        event["credits"] = 0.0
    facts.events = [*facts.events, {"kind": "cancel", "generation": 1, "thread": "agent-0"}]


def _hidden_request(facts: Facts) -> None:
    facts.exchanges = [*facts.exchanges, Exchange("1/agent-0", "refuse")]


CHANGES = {
    "a lost message": (_change_messages(lambda found: found.pop(2)), "messages"),
    "a doubled message": (_change_messages(lambda found: found.append(found[-1])), "messages"),
    "a broken text": (
        _change_messages(lambda found: found.__setitem__(3, AIMessage("The ", id="4"))),
        "messages",
    ),
    "lost thoughts": (lambda facts: setattr(facts, "has_thoughts", True), "messages"),
    "another result than that of the effect": (_change("effect", result="done 1a y"), "messages"),
    "a checkpoint that lost a message": (
        lambda facts: facts.histories.update({"agent-0": [["1", "3"], ["1", "2"]]}),
        "checkpoints",
    ),
    "a step with two effects": (_double_effect, "effects"),
    "a retry after a token": (_change("retry", after_token=True), "retries"),
    "a request that is neither a call nor a retry": (_hidden_request, "retries"),
    "an answer that is not counted": (_change("answer", credits=0.0), "credits"),
    "an answer that is counted twice": (_change("answer", 1, credits=0.03), "credits"),
    "an answer that never arrived, but is counted": (_change("answer", credits=0.02), "credits"),
    "an answer without credits that was not cut": (
        lambda facts: (
            _change_exchange(3, delivered="none")(facts),
            _change("answer", without_credits=1)(facts),
        ),
        "credits",
    ),
    "a killed process that lost more than its last answer": (
        _change_exchange(1, client="0/agent-0", delivered="all"),
        "credits",
    ),
    "a cancelled call, but two answers that are not counted": (_cancelled, "credits"),
    "another bill": (lambda facts: setattr(facts, "charged", 0.22), "credits"),
    "an open socket": (_change("end", sockets=1), "leaks"),
    "more connections than agents": (_change("end of agents", sockets=4), "leaks"),
    "a thread": (_change("end", threads=1), "leaks"),
    "a task": (_change("end of agents", tasks=["task"]), "leaks"),
    "objects": (_change("end", objects=6000), "leaks"),
    "memory": (_change("end", megabytes=90.0), "leaks"),
    "a process without an end": (_change("end", kind="gone"), "leaks"),
    "an error of the process": (_change("retry", kind="violation", text="it hangs"), "errors"),
}


@pytest.mark.parametrize(("change", "check"), CHANGES.values(), ids=CHANGES)
def test_each_check_can_fail(change, check: str) -> None:
    facts = deepcopy(_facts())
    assert violations(facts) == []
    change(facts)
    assert check in {text.partition(":")[0] for text in violations(facts)}
