"""What a fault is: a row of the matrix, and what it is to a client.

What must come of it is `cells.oracle`'s to say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import httpx
from call_modes import FAULT_CALL_MODES
from scripted_server import Scripted

from faults.answers import ANSWERS, NATIVE, SHAPE_A, STREAMS, Answer, Point
from langchain_kie import KieEmptyResponseError, KieError, KieProtocolError

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage

    from faults.network import Reach

Script = Callable[[Answer, Point], Scripted]


@dataclass(frozen=True)
class Effect:
    """What a fault is to a client, wherever it strikes.

    Attributes:
        kind: `legal` is no fault; `ends` is an end that looks proper, `breaks` one that does
            not; `stalls` is silence; `reports` is an error in the server's words, or nonsense.
        cls: The error that a report is.
        again: How often a report is asked again that comes before the answer, `None` for as
            often as the model may.
        code: KIE's code in it.
        status: HTTP's.
    """

    kind: Literal["legal", "ends", "breaks", "stalls", "reports"] = "reports"
    cls: type[KieError] = KieError
    again: int | None = 0
    code: int | None = None
    status: int | None = 200


LEGAL, ENDS, BREAKS, STALLS = (Effect(kind) for kind in ("legal", "ends", "breaks", "stalls"))
UNREADABLE = Effect(cls=KieProtocolError)
EMPTY = Effect(cls=KieEmptyResponseError, again=None)


@dataclass(frozen=True)
class Fault:
    """One row of the matrix.

    Attributes:
        row: The row's number.
        name: What happens.
        effect: What it is to a client.
        script: The response that has it.
        points: Where it can strike.
        answers: The answers that it can strike.
        fields: What the model is made with.
        prompt: What is asked.
        reach: Stands in for the server, where the fault is on the way to it.
        before: The response to a call made before, on the same connection.
        is_tls: The server speaks TLS.
        check: Looks at a message that is not the fault-free one.
        call_modes: The ways to ask that can meet it.
        slept: Seconds waited before each retry, where they are certain.
        is_heavy: It takes long, and is left out of the short form.
    """

    row: str
    name: str
    effect: Effect
    script: Script
    points: tuple[str, ...] = ("whole",)
    answers: tuple[Answer, ...] = ANSWERS
    fields: dict[str, Any] = field(default_factory=dict)
    prompt: str = "hi"
    reach: Reach | None = None
    before: Script | None = None
    is_tls: bool = False
    check: Callable[[AIMessage], None] | None = None
    call_modes: tuple[str, ...] = FAULT_CALL_MODES
    slept: list[float] | None = None
    is_heavy: bool = False


def rows(row: str, effect: Effect, scripts: dict[str, Script], *place: Any, **more: Any) -> Any:
    """A row for each script; `place` is the points and the answers."""
    return (Fault(row, name, effect, script, *place, **more) for name, script in scripts.items())


IMPATIENT = {"timeout": httpx.Timeout(10, read=0.2)}
JSON = {"Content-Type": "application/json"}
FEW = (SHAPE_A, NATIVE)
CHAT_STREAMS = STREAMS[:3]
