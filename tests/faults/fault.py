"""A fault: a row of the matrix, and its effect on a client.

The expected outcome follows from both and the point of the fault (`cells.expected_outcome`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

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
    """What a client sees of a fault, wherever it strikes.

    Attributes:
        kind: `legal` is no fault. `ends` is a proper end of the body, `breaks` a lost
            connection, `stalls` silence. `reports` is an error of the server, or invalid data.
        cls: The error class of a report.
        retries: The retries of a report before the first item, `None` for as many as the model
            allows.
        code: KIE's code in the error.
        status: The HTTP status in the error.
    """

    kind: Literal["legal", "ends", "breaks", "stalls", "reports"] = "reports"
    cls: type[KieError] = KieError
    retries: int | None = 0
    code: int | None = None
    status: int | None = 200


LEGAL, ENDS, BREAKS, STALLS = (Effect(kind) for kind in ("legal", "ends", "breaks", "stalls"))
UNREADABLE = Effect(cls=KieProtocolError)
EMPTY = Effect(cls=KieEmptyResponseError, retries=None)


@dataclass(frozen=True)
class Fault:
    """One row of the matrix.

    Attributes:
        row: The row of the matrix.
        name: What happens.
        effect: What a client sees of it.
        script: Makes the faulty response.
        points: Where it can strike.
        answers: The answers that it can strike.
        times_out: The field of `httpx.Timeout` that ends the call, if any.
        prompt: The prompt.
        reach: Replaces the server, where the connection itself is faulty.
        before: Makes the response to an earlier call on the same connection.
        is_tls: Whether the server uses TLS.
        check: Checks a message that differs from the fault-free one.
        call_modes: The call modes that it can strike.
        delays: Seconds waited before each retry, where they are not random.
        is_heavy: Whether it takes long, and is run only with `FAULTS=full`.
    """

    row: str
    name: str
    effect: Effect
    script: Script
    points: tuple[str, ...] = ("complete",)
    answers: tuple[Answer, ...] = ANSWERS
    times_out: Literal["read", "write"] | None = None
    prompt: str = "hi"
    reach: Reach | None = None
    before: Script | None = None
    is_tls: bool = False
    check: Callable[[AIMessage], None] | None = None
    call_modes: tuple[str, ...] = FAULT_CALL_MODES
    delays: list[float] | None = None
    is_heavy: bool = False


def rows(row: str, effect: Effect, scripts: dict[str, Script], *place: Any, **more: Any) -> Any:
    """Return a row for each script; `place` is the points and the answers."""
    return (Fault(row, name, effect, script, *place, **more) for name, script in scripts.items())


TIMEOUTS = {None: (30.0,), "read": (0.2, 5.0), "write": (0.3, 1.5)}
"""Seconds after which a call times out. The outcome with the last number counts, which is long
enough for the server to send everything before it stalls; a shorter one that suffices saves time.
"""
JSON = {"Content-Type": "application/json"}
FEW = (SHAPE_A, NATIVE)
CHAT_STREAMS = STREAMS[:3]
