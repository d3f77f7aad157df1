"""The tools of the demo agent."""

from __future__ import annotations

import ast
import operator
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from langchain_core.tools import tool

if TYPE_CHECKING:
    from collections.abc import Callable

_OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
}


@tool
def calculate(expression: str) -> str:
    """Calculate the value of an arithmetic expression, such as "17 * 23"."""
    try:
        return f"{_evaluate(ast.parse(expression, mode='eval').body):g}"
    except (SyntaxError, ValueError, ZeroDivisionError) as error:
        return f"cannot calculate {expression!r}: {error}"


@tool
def current_time(timezone: str) -> str:
    """Get the current time in a time zone, such as "Europe/Paris"."""
    try:
        now = datetime.now(ZoneInfo(timezone))
    except (ZoneInfoNotFoundError, ValueError):
        return f"unknown time zone {timezone!r}"
    return now.strftime("%H:%M on %A, %d %B %Y")


@tool
def count_words(text: str) -> int:
    """Count the words in a text."""
    return len(text.split())


TOOLS = [calculate, current_time, count_words]


def _evaluate(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.BinOp(left, op, right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_evaluate(left), _evaluate(right))
        case ast.UnaryOp(op, operand) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_evaluate(operand))
    raise ValueError("only numbers and the operators + - * / % are supported")
