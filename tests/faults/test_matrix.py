"""The fault matrix: each fault, at each of its points, in each form of answer and call mode.

`FAULTS=full` runs all of it. Otherwise every fault runs at each point with one answer and two
call modes, which change from point to point.
"""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING

import pytest

from faults import bodies, status, transport
from faults.answers import POINTS
from faults.cells import Cell, fault_free
from faults.fault import TIMEOUTS

if TYPE_CHECKING:
    from faults.answers import Answer, Point
    from faults.fault import Fault

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning"),
]

IS_FULL = os.environ.get("FAULTS") == "full"


def _items() -> list[pytest.param]:
    items, counter = [], count()
    for fault in (*transport.ROWS, *status.ROWS, *bodies.ROWS):
        if fault.is_heavy and not IS_FULL:
            continue
        for point in map(POINTS.__getitem__, fault.points):
            answers = [answer for answer in fault.answers if point.exists_in(answer)]
            call_modes = fault.call_modes
            if not IS_FULL:
                i = next(counter)
                answers = [answers[i % len(answers)]]
                call_modes = (
                    call_modes[2 * i % len(call_modes)],
                    call_modes[(2 * i + 1) % len(call_modes)],
                )
            items += [
                pytest.param(
                    fault,
                    point,
                    answer,
                    call_modes,
                    id=f"{fault.row} {fault.name}-{point.name}-{answer.name}",
                )
                for answer in answers
            ]
    return items


@pytest.mark.parametrize(("fault", "point", "answer", "call_modes"), _items())
async def test_a_fault_has_its_expected_outcome(
    fault: Fault,
    point: Point,
    answer: Answer,
    call_modes: tuple[str, ...],
    no_sleep: list[float],
    record_property,
    monkeypatch,
) -> None:
    failures: dict[str, str] = {}
    for call_mode in call_modes:
        right = await fault_free(answer, call_mode)
        for seconds in TIMEOUTS[fault.times_out]:
            monkeypatch.setattr("langchain_kie._http.read_deadline.USAGE_TIMEOUT", seconds)
            try:
                await Cell(fault, point, answer, call_mode, right, no_sleep, seconds).check()
            except AssertionError as error:
                failures[call_mode] = f"{call_mode}: {error}"
            else:
                failures.pop(call_mode, None)
                break
    record_property("cells", [(fault.row, point.column, len(call_modes), len(failures))])
    assert not failures, "\n".join(failures.values())
