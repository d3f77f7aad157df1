"""Sync functions and their async twins differ only in `await`, `async` and names."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from langchain_kie import ChatKieGemini, KieFiles
from langchain_kie._http import pools, read_deadline
from langchain_kie._http.transport import Transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

TWINS: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
    (Transport.stream, Transport.astream),
    (Transport._send, Transport._asend),
    (read_deadline.read_pieces, read_deadline.aread_pieces),
    (pools._open_pool, pools._open_async_pool),
    (ChatKieGemini._generate, ChatKieGemini._agenerate),
    (ChatKieGemini._stream, ChatKieGemini._astream),
    (ChatKieGemini._call, ChatKieGemini._acall),
    (ChatKieGemini._with_uploads, ChatKieGemini._awith_uploads),
    (KieFiles.upload, KieFiles.aupload),
]


class _Normalizer(ast.NodeTransformer):
    """Rewrites sync and async code to one form, without docstrings and annotations."""

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> Any:
        return self.visit(ast.FunctionDef(**vars(node)))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        node.returns = None
        if ast.get_docstring(node):
            del node.body[0]
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> Any:
        return ast.arg(node.arg)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        return self.visit(ast.Assign([node.target], node.value))

    def visit_AsyncFor(self, node: ast.AsyncFor) -> Any:
        return self.visit(ast.For(**vars(node)))

    def visit_AsyncWith(self, node: ast.AsyncWith) -> Any:
        return self.visit(ast.With(**vars(node)))

    def visit_Await(self, node: ast.Await) -> Any:
        return self.visit(node.value)

    def visit_Expr(self, node: ast.Expr) -> Any:
        """Write `yield from` as a loop, since async code has no other form."""
        if isinstance(node.value, ast.YieldFrom):
            item = ast.Name("item", ast.Store())
            return self.visit(ast.For(item, node.value.value, [ast.Expr(ast.Yield(item))], []))
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> Any:
        """Write `asyncio.to_thread(function, *arguments)` as a call of the function."""
        if ast.unparse(node.func) == "asyncio.to_thread":
            node = ast.Call(node.args[0], node.args[1:], node.keywords)
        return self.generic_visit(node)

    def visit_ListComp(self, node: ast.ListComp) -> Any:
        """Write `[item async for item in items]` as `items`."""
        (generator,) = node.generators
        generator.is_async = 0
        if ast.unparse(node.elt) == ast.unparse(generator.target) and not generator.ifs:
            return self.visit(generator.iter)
        return self.generic_visit(node)


def _normalized(function: Callable[..., Any]) -> str:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return ast.unparse(ast.fix_missing_locations(_Normalizer().visit(tree)))


def _sync_names(name: str) -> Iterator[str]:
    """Yield the names that the sync twin may use for a name of the async one."""
    yield name
    yield name.replace("async_", "")
    yield name.replace("Async", "")
    yield name.replace("Async", "Sync")
    yield re.sub(r"^(_*)a", r"\1", name)
    yield name.replace("asyncio", "time")


def _lines(sync: Callable[..., Any], twin: Callable[..., Any]) -> tuple[list[str], list[str]]:
    """Return the code of both, with the sync names."""
    code = _normalized(sync)
    words = {*re.findall(r"\w+", code)}

    def to_sync(match: re.Match[str]) -> str:
        return next((name for name in _sync_names(match[0]) if name in words), match[0])

    twin_code = re.sub(r"\w+", to_sync, _normalized(twin))
    return code.splitlines(), twin_code.splitlines()


@pytest.mark.parametrize(("sync", "twin"), TWINS, ids=lambda function: function.__qualname__)
def test_twins_are_the_same_code(sync: Callable[..., Any], twin: Callable[..., Any]) -> None:
    lines, twin_lines = _lines(sync, twin)
    assert twin_lines == lines


def double(numbers: Iterator[int]) -> Iterator[int]:
    for number in numbers:
        yield from [number, number]


async def adouble(numbers: AsyncIterator[int]) -> AsyncIterator[int]:
    async for number in numbers:
        for item in [number, number]:
            yield item


async def ashorter(numbers: AsyncIterator[int]) -> AsyncIterator[int]:
    async for number in numbers:
        for item in [number]:
            yield item


def test_only_a_real_difference_is_found() -> None:
    lines, twin_lines = _lines(double, adouble)
    assert twin_lines[1:] == lines[1:]
    lines, twin_lines = _lines(double, ashorter)
    assert twin_lines[1:] != lines[1:]
