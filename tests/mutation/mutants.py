"""The mutants of a module: one small change of its syntax tree each.

Left alone are what no test can see or should pin: annotations, docstrings, decorators, imports,
type aliases, and texts for people (strings with a space).
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Break: ast.Continue,
    ast.Continue: ast.Break,
}
_NAMES = {
    "all": "any",
    "any": "all",
    "endswith": "startswith",
    "lower": "upper",
    "lstrip": "rstrip",
    "max": "min",
    "min": "max",
    "partition": "rpartition",
    "rpartition": "partition",
    "rstrip": "lstrip",
    "startswith": "endswith",
    "upper": "lower",
}
_CHANGED_VALUES: dict[type, Callable[[Any], Any]] = {
    bool: lambda value: not value,
    int: lambda value: value + 1,
    float: lambda value: value + 1,
    str: lambda value: "XX" + value,
    bytes: lambda value: b"XX" + value,
}
_SKIPPED_FIELDS = {"annotation", "returns", "decorator_list", "type_params", "type_comment"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: `field` of `parent` (its item `index`, if it is a list) becomes `after`.

    Attributes:
        lines: The first and the last line of the statement, or of the header of a block.
    """

    parent: ast.AST
    field: str
    index: int | None
    before: ast.AST
    after: Any
    lines: tuple[int, int]

    def apply(self) -> None:
        """Change the syntax tree; there is no way back."""
        if self.index is None:
            setattr(self.parent, self.field, self.after)
        elif self.after is None:
            del getattr(self.parent, self.field)[self.index]
        else:
            getattr(self.parent, self.field)[self.index] = self.after

    def texts(self) -> tuple[str, str]:
        """The code before and after, in one line each."""
        shown = []
        for node in (self.before, self.after):
            if isinstance(node, ast.operator | ast.cmpop | ast.boolop):
                shown.append(type(node).__name__)
            else:
                shown.append(" ".join(ast.unparse(node).split()) if node else "(removed)")
        return shown[0], shown[1]


def mutants_of(tree: ast.Module) -> list[Mutant]:
    """All mutants, in the order of the code."""
    return list(_mutants_below(tree, (1, 1)))


def _mutants_below(parent: ast.AST, lines: tuple[int, int]) -> Iterator[Mutant]:
    for field, value in ast.iter_fields(parent):
        if field in _SKIPPED_FIELDS:
            continue
        for index, node in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(node, ast.AST) or _is_skipped(node, parent):
                continue
            here = _lines_of(node) if isinstance(node, ast.stmt) else lines
            position = index if isinstance(value, list) else None
            for after in _changes(node, parent, field):
                if after is not None:
                    ast.fix_missing_locations(ast.copy_location(after, node))
                yield Mutant(parent, field, position, node, after, here)
            yield from _mutants_below(node, here)


def _lines_of(statement: ast.stmt) -> tuple[int, int]:
    body = getattr(statement, "body", None)
    end = body[0].lineno - 1 if body else statement.end_lineno or 0
    return statement.lineno, max(statement.lineno, end)


def _is_skipped(node: ast.AST, parent: ast.AST) -> bool:
    match node:
        case (
            ast.Import()
            | ast.ImportFrom()
            | ast.Assert()
            | ast.FormattedValue()  # what is shown in a text
            | ast.Expr(value=ast.Constant())  # a docstring
            | ast.If(test=ast.Name(id="TYPE_CHECKING"))
            | ast.Call(func=ast.Name(id="cast" | "TypeVar"))
        ):
            return True
        case ast.Constant(value=str() as text):
            return " " in text
        case ast.JoinedStr(values=values):
            return any(" " in part.value for part in values if isinstance(part, ast.Constant))
        case ast.Assign(targets=[ast.Name(id=name)]) if isinstance(parent, ast.Module):
            return name.startswith("__") or (name[:1].isupper() and not name.isupper())  # an alias
    return False


def _changes(node: ast.AST, parent: ast.AST, field: str) -> Iterator[ast.AST | None]:
    if type(node) in _SWAPS and not isinstance(parent, ast.UnaryOp):
        yield _SWAPS[type(node)]()
    if field in {"test", "ifs", "guard"} and not isinstance(node, ast.Compare | ast.UnaryOp):
        yield ast.UnaryOp(ast.Not(), node)
    yield from _changes_of_statement(node)
    yield from _changes_of_expression(node)


def _changes_of_statement(node: ast.AST) -> Iterator[ast.AST]:
    nothing = ast.Constant(None)
    match node:
        case ast.Expr() | ast.Raise() | ast.Delete() | ast.AugAssign():
            yield ast.Pass()
        case ast.Return(value=ast.expr() as value) if not _is_none(value):
            yield ast.Return(nothing)
        case ast.Assign(targets=targets, value=value) if not _is_none(value):
            yield ast.Assign(targets, nothing)
        case ast.AnnAssign(value=ast.expr() as value) if not _is_none(value):
            yield ast.AnnAssign(node.target, node.annotation, nothing, node.simple)
        case ast.ExceptHandler(type=ast.Tuple(elts=kinds)):
            for kind in kinds:
                others = ast.Tuple([other for other in kinds if other is not kind], ast.Load())
                yield ast.ExceptHandler(others, node.name, node.body)
        case ast.ExceptHandler():
            yield ast.ExceptHandler(ast.Tuple([], ast.Load()), node.name, node.body)


def _changes_of_expression(node: ast.AST) -> Iterator[ast.AST | None]:
    match node:
        case ast.Constant(value=value) if type(value) in _CHANGED_VALUES:
            yield ast.Constant(_CHANGED_VALUES[type(value)](value))
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.BoolOp(op=op, values=values):
            for value in values:
                others = [other for other in values if other is not value]
                yield ast.BoolOp(op, others) if len(others) > 1 else others[0]
        case ast.Name(id=name) if name in _NAMES:
            yield ast.Name(_NAMES[name], ast.Load())
        case ast.Attribute(value=value, attr=name) if name in _NAMES:
            yield ast.Attribute(value, _NAMES[name], ast.Load())
        case ast.Lambda(args=args, body=body) if not _is_none(body):
            yield ast.Lambda(args, ast.Constant(None))
        case ast.keyword(arg=str()):
            yield None


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
