"""What must be true after a run, whatever broke: from what was recorded to violations."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from langchain_core.messages import BaseMessage

    from chaos.proxy import Exchange


THOUGHT, LAST_THOUGHT = "And **on**.", "It is **done**."
"""What the model thinks before its calls, and in the end."""

_OTHER_SOCKETS = 2
"""Those of an event loop."""
_MAX_OBJECTS = 5000
"""How many objects a process may keep, however many calls it made and however many failed."""


@dataclass(slots=True, kw_only=True)
class Facts:
    """What is known of a run.

    Attributes:
        steps: How many steps each agent does.
        exchanges: What the proxy saw.
        events: What the agents' processes wrote.
        killed: The generations that were killed.
        charged: What the emulator charged.
        threads: The last messages of each conversation.
        histories: For some conversations, the ids of the messages in each checkpoint, the
            latest first.
        max_megabytes: How much a process may grow.
        has_thoughts: Whether the model showed its thoughts.
    """

    steps: int
    exchanges: Sequence[Exchange]
    events: Sequence[dict[str, Any]]
    killed: set[int]
    charged: float
    threads: dict[str, list[BaseMessage]]
    histories: dict[str, list[list[str]]]
    max_megabytes: float
    has_thoughts: bool = False

    def of(self, *kinds: str) -> Iterator[dict[str, Any]]:
        """The events of some kinds."""
        return (event for event in self.events if event["kind"] in kinds)


def parts_of(n: int) -> tuple[str, ...]:
    """The calls of step `n`: some steps have two, which run at once."""
    return ("a", "b") if n % 4 == 0 else ("a",)


def text_of(n: int) -> str:
    """What the model says with the calls of step `n`."""
    return f"Schritt {n} ist schön: 你好, weiter."


def last_text_of(thread: str) -> str:
    """What the model says in the end."""
    return f"The work of {thread} is done ✓, with nothing left to do."


def thread_violations(facts: Facts) -> Iterator[str]:
    """No message is lost, doubled or broken, and each result belongs to its call."""
    results = {event["call"]: event["result"] for event in facts.of("effect")}
    thought, last_thought = (THOUGHT, LAST_THOUGHT) if facts.has_thoughts else (None, None)
    for thread, messages in facts.threads.items():
        found = [_plain(message, has_thoughts=facts.has_thoughts) for message in messages]
        ids = [message.id for message in messages]
        if len({*ids}) < len(ids):
            yield f"{thread}: a message id is there twice"
        expected: list[tuple[Any, ...]] = [("human", f"I am {thread}.")]
        for n in range(1, facts.steps + 1):
            answer = messages[len(expected)] if len(expected) < len(messages) else None
            calls = answer.tool_calls if isinstance(answer, AIMessage) else []
            expected.append(("ai", text_of(n), tuple((n, p) for p in parts_of(n)), thought))
            expected += [("tool", c["id"], results.get(c["id"] or "")) for c in calls]
        expected.append(("ai", last_text_of(thread), (), last_thought))
        if found != expected:
            pairs = enumerate(zip(found, expected, strict=False))
            at = next((index for index, (one, other) in pairs if one != other), None)
            yield f"{thread}: {len(found)} of {len(expected)} messages, the first wrong one is {at}"


def _plain(message: BaseMessage, *, has_thoughts: bool) -> tuple[Any, ...]:
    match message:
        case HumanMessage():
            return "human", message.text
        case AIMessage():
            calls = [
                (call["args"].get("n"), call["args"].get("part")) for call in message.tool_calls
            ]
            blocks = message.content_blocks if has_thoughts else []
            thoughts = [str(b.get("reasoning")) for b in blocks if b["type"] == "reasoning"]
            return "ai", message.text, tuple(calls), "".join(thoughts) if has_thoughts else None
        case ToolMessage():
            return "tool", message.tool_call_id, message.text
    return (message.type,)


def history_violations(facts: Facts) -> Iterator[str]:
    """Each checkpoint continues the one before."""
    for thread, history in facts.histories.items():
        for new, old in pairwise(history):
            if new[: len(old)] != old:
                yield f"{thread}: a checkpoint does not continue the one before"


def effect_violations(facts: Facts) -> Iterator[str]:
    """Each call of a tool, and each part of a step, has one effect."""
    effects = [*facts.of("effect")]
    for key in ("call",), ("thread", "n", "part"):
        counts = Counter(tuple(event[name] for name in key) for event in effects)
        yield from (f"{count} effects for {each}" for each, count in counts.items() if count > 1)


def retry_violations(facts: Facts) -> Iterator[str]:
    """The package does not retry after a token, and sends nothing but calls and their retries."""
    for event in facts.of("retry"):
        if event["after_token"]:
            yield f"{event['thread']}: a retry after a token"
    allowed = Counter(_client(event) for event in facts.of("call", "retry"))
    sent = Counter(exchange.client for exchange in facts.exchanges)
    for client, count in sent.items():
        if count > allowed[client]:
            yield f"{client}: {count} requests for {allowed[client]} calls and retries"


def credit_violations(facts: Facts) -> Iterator[str]:
    """What the client counted, and what was lost on the wire, is what the emulator charged."""
    answers = [*facts.of("answer", "failed call")]
    counted = Counter((_client(e), e["credits"]) for e in answers if e["credits"])
    unknown = Counter(_client(event) for event in answers if event["without_credits"])
    cancelled = Counter(_client(event) for event in facts.of("cancel"))
    by_client: dict[str, list[Exchange]] = defaultdict(list)
    for exchange in facts.exchanges:
        by_client[exchange.client].append(exchange)
    for client, exchanges in by_client.items():
        missing = [
            exchange
            for exchange in exchanges
            if exchange.delivered == "all"
            and not counted[client, exchange.charges[-1]]
            and not (exchange is exchanges[-1] and _generation(client) in facts.killed)
        ]
        for exchange in missing[cancelled[client] :]:
            yield f"{client}: {exchange} is not counted"
        if unknown[client] > sum(exchange.delivered == "part" for exchange in exchanges):
            yield f"{client}: answers without credits"
    sent = [e for e in facts.exchanges if e.charges and e.delivered != "none"]
    visible = {(exchange.client, exchange.charges[-1]) for exchange in sent}
    for (client, amount), count in counted.items():
        if count > 1 or (client, amount) not in visible:
            yield f"{client}: {amount} credits are counted {count} times, but were not charged so"
    charged = math.fsum(charge for exchange in facts.exchanges for charge in exchange.charges)
    if not math.isclose(charged, facts.charged, abs_tol=0.005):
        yield f"the answers cost {charged} credits, the emulator charged {facts.charged}"


def leak_violations(facts: Facts) -> Iterator[str]:
    """Nothing stays open, and memory does not grow with the faults."""
    for event in facts.of("end of agents"):
        if event["tasks"]:
            yield f"tasks: {event['tasks']}"
        if event["sockets"] > len(facts.threads) + _OTHER_SOCKETS:
            yield f"{event['sockets']} sockets for {len(facts.threads)} agents"
    for event in facts.of("end"):
        if event["sockets"] or event["threads"]:
            yield f"{event['sockets']} open sockets, {event['threads']} threads"
        if event["objects"] > _MAX_OBJECTS:
            yield f"{event['objects']} more objects than at the start"
        growth = event["megabytes"] - event["before"]
        if growth > facts.max_megabytes:
            yield f"memory grew by {growth:.0f} MB, more than {facts.max_megabytes:.0f}"
    if not any(facts.of("end")):
        yield "no process came to its end"


def reported_violations(facts: Facts) -> Iterator[str]:
    """Errors that the agents' processes report themselves."""
    return (f"{event.get('thread', 'process')}: {event['text']}" for event in facts.of("violation"))


CHECKS: dict[str, Callable[[Facts], Iterable[str]]] = {
    "messages": thread_violations,
    "checkpoints": history_violations,
    "effects": effect_violations,
    "retries": retry_violations,
    "credits": credit_violations,
    "leaks": leak_violations,
    "errors": reported_violations,
}


def violations(facts: Facts) -> list[str]:
    """Everything that is wrong."""
    return [f"{name}: {text}" for name, check in CHECKS.items() for text in check(facts)]


def _generation(client: str) -> int:
    return int(client.partition("/")[0])


def _client(event: dict[str, Any]) -> str:
    return f"{event['generation']}/{event['thread']}"
