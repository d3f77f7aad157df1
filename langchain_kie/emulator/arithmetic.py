"""Arithmetic expressions in a prompt, evaluated without running code."""

from __future__ import annotations

import ast
import operator
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_OPERAND = r"[-(]{0,8}\d{1,40}(?:\.\d{1,40})?\){0,8}"
_EXPRESSION = re.compile(
    rf"(?<![\w.-]){_OPERAND}(?:\s{{0,4}}(?:\*\*|[-+*/x\u00d7\u00f7^%])\s{{0,4}}{_OPERAND}){{1,64}}(?![\w-])"
)
_SIGNS = str.maketrans({"x": "*", "\u00d7": "*", "\u00f7": "/", "^": "**"})
_WORDS = tuple(
    (re.compile(rf"(?<=\d)\s+{words}\s+(?=\d)"), sign)
    for words, sign in (
        ("(?:times|multiplied by)", "*"),
        ("divided by", "/"),
        ("plus", "+"),
        ("minus", "-"),
    )
)
_MAX_EXPONENT = 64
_MAX_BASE = 10_000

_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


def find_expression(text: str) -> str | None:
    """Find the first expression in a text, in Python's syntax."""
    for words, sign in _WORDS:
        text = words.sub(sign, text)
    found = _EXPRESSION.search(text)
    if found is None:
        return None
    expression = found.group().translate(_SIGNS)
    return expression if evaluate(expression) is not None else None


def evaluate(expression: str) -> int | float | None:
    """Calculate the value; `None` if there is none, or if the numbers are too large."""
    try:
        value = _value(ast.parse(expression, mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _value(node: ast.expr) -> int | float:
    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
            base, other = _value(left), _value(right)
            if isinstance(sign, ast.Pow) and (abs(other) > _MAX_EXPONENT or abs(base) > _MAX_BASE):
                raise OverflowError
            result: int | float = _OPERATORS[type(sign)](base, other)
            return result
    raise ValueError(ast.dump(node))
