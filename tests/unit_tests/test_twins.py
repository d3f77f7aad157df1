"""Sync functions and their async twins differ only in `await`, `async` and names.

The pairs are found by their names, in every module, class and function of the package.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import langchain_kie

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(langchain_kie.__file__).parent

DIFFERENT_CODE = {
    "connection.Connection.read": "the stream of an async one joins its writes itself",
    "pools._open_pool": "the async one connects with asyncio",
    "pools.pooled_transport": "all threads share pools; each event loop has its pools",
    "transport.Transport._request": "the async one adds to the request of the sync one",
    "call.prepare": "the async one loads and converts in threads",
    "_request.PreparedCall.build": "the async one may call the sync one in a thread",
    "files.media_block": "the async one calls the sync one in a thread",
    "_warm_up.load": "the async one loads in a thread",
    "_uploads.choose_uploads": "the async one calls the sync one in a thread",
    "_uploads.upload_all": "the async one uploads concurrently",
    "_uploads._upload_once": "the async one reads in threads, and names the file",
    "doctor.Gate.acquire": "the async one calls the sync one: no question runs in an event loop",
    "_shared_work.SharedWork.run": "the async one waits in the event loop",
}
"""The pairs that are not compared, by the name of the sync one, and why."""

AWAITED = {
    "time.sleep": "asyncio.sleep",
    "response.close": "response.aclose",
    "pool.send": "pool.send",
    "pool.handle_request": "pool.handle_async_request",
    "self.limiter.acquire": "self.limiter.aacquire",
    "upload_call": "upload_call",
    "parser.invoke": "parser.ainvoke",
}
"""Calls outside the pairs that an async twin must await, here or in a thread, and their names."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Pair(NamedTuple):
    """A sync function or class and its async twin."""

    sync: Definition
    twin: Definition

    @property
    def must_await(self) -> bool:
        """Whether a call of the twin must be in an `await`, `async for` or `async with`."""
        return not isinstance(self.twin, ast.FunctionDef)

    @property
    def is_generator(self) -> bool:
        """Whether the twin is an async generator."""
        return any(isinstance(node, ast.Yield) for node in ast.walk(self.twin))


def _sync_names(name: str) -> Iterator[str]:
    """Yield the names that the sync twin may use for a name of the async one."""
    yield name
    yield name.replace("async_", "sync_")
    yield name.replace("async_", "")
    yield name.replace("Async", "")
    yield name.replace("Async", "Sync")
    yield re.sub(r"^(_*)a", r"\1", name)
    yield name.replace("asyncio", "time")


def _scopes(prefix: str, body: list[ast.stmt]) -> Iterator[tuple[str, list[ast.stmt]]]:
    """Yield a body, and those of the classes and functions in it, with the prefix of names."""
    yield prefix, body
    for node in body:
        if isinstance(node, Definition):
            yield from _scopes(f"{prefix}{node.name}.", node.body)


def _pairs(source: str) -> dict[str, Pair]:
    """Return the pairs in a module, its classes and functions, by the name of the sync one."""
    found: dict[str, Pair] = {}
    for prefix, body in _scopes("", ast.parse(source).body):
        definitions = {node.name: node for node in body if isinstance(node, Definition)}
        for name, twin in definitions.items():
            names = (n for n in _sync_names(name) if n != name and n in definitions)
            if sync_name := next(names, None):
                found[prefix + sync_name] = Pair(definitions[sync_name], twin)
    return found


PAIRS = {
    f"{path.stem}.{name}": pair
    for path in sorted(PACKAGE.rglob("*.py"))
    for name, pair in _pairs(path.read_text()).items()
}


class _Normalizer(ast.NodeTransformer):
    """Rewrites sync and async code to one form, without docstrings and annotations.

    Attributes:
        awaited: The expressions that were in an `await`, `async for` or `async with`.
    """

    def __init__(self) -> None:
        self.awaited: set[ast.AST] = set()

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
        self.awaited.add(node.iter)
        return self.visit(ast.For(**vars(node)))

    def visit_AsyncWith(self, node: ast.AsyncWith) -> Any:
        for item in node.items:
            self.awaited.update(ast.walk(item.context_expr))
        return self.visit(ast.With(**vars(node)))

    def visit_Await(self, node: ast.Await) -> Any:
        value = self.visit(node.value)
        self.awaited.add(value)
        return value

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
        if generator.is_async:
            self.awaited.add(generator.iter)
            generator.is_async = 0
        if ast.unparse(node.elt) == ast.unparse(generator.target) and not generator.ifs:
            return self.visit(generator.iter)
        return self.generic_visit(node)


def _normalized(code: str) -> tuple[ast.AST, set[ast.AST]]:
    """Return a definition in the common form, and the expressions that it awaits."""
    normalizer = _Normalizer()
    tree = normalizer.visit(ast.parse(code).body[0])
    return ast.fix_missing_locations(tree), normalizer.awaited


def _lines(sync: ast.AST, twin: ast.AST) -> tuple[list[str], list[str]]:
    """Return the code of both, with the sync names."""
    code = ast.unparse(sync)
    words = {*re.findall(r"\w+", code)}

    def to_sync(match: re.Match[str]) -> str:
        return next((name for name in _sync_names(match[0]) if name in words), match[0])

    return code.splitlines(), re.sub(r"\w+", to_sync, ast.unparse(twin)).splitlines()


def _blocking_calls(
    sync: ast.AST, twin: ast.AST, awaited: set[ast.AST], pairs: dict[str, Pair]
) -> list[str]:
    """Return the calls of the twin that have an async form, and are not async or not awaited."""
    by_name = {pair.sync.name: pair for pair in pairs.values()}
    passed_on = {n.value for n in ast.walk(twin) if isinstance(n, (ast.Assign, ast.Return))}
    found: list[str] = []
    for call, twin_call in zip(ast.walk(sync), ast.walk(twin), strict=True):
        if not (isinstance(call, ast.Call) and isinstance(twin_call, ast.Call)):
            continue
        owner, dot, name = ast.unparse(call.func).rpartition(".")
        expected, must_await = AWAITED.get(owner + dot + name), True
        if pair := by_name.get(name):
            expected = owner + dot + pair.twin.name
            must_await = pair.must_await and not (pair.is_generator and twin_call in passed_on)
        if expected and (
            ast.unparse(twin_call.func) != expected or (must_await and twin_call not in awaited)
        ):
            found.append(ast.unparse(twin_call))
    return found


def check_pair(pair: Pair, pairs: dict[str, Pair]) -> None:
    """Check that both have the same code, and that the twin blocks nowhere."""
    code, twin_code = ast.unparse(pair.sync), ast.unparse(pair.twin)
    if "_warm_up.load()" not in code:  # it imports what it needs where it needs it
        twin_code = re.sub(r"\n *await _warm_up\.aload\(\)", "", twin_code)
    (sync, _), (twin, awaited) = _normalized(code), _normalized(twin_code)
    lines, twin_lines = _lines(sync, twin)
    assert twin_lines == lines
    assert _blocking_calls(sync, twin, awaited, pairs) == []


@pytest.mark.parametrize("name", sorted(PAIRS.keys() - DIFFERENT_CODE.keys()))
def test_twins_are_the_same_code(name: str) -> None:
    check_pair(PAIRS[name], PAIRS)


def test_every_exception_is_a_pair() -> None:
    assert DIFFERENT_CODE.keys() < PAIRS.keys()


@pytest.mark.parametrize("name", DIFFERENT_CODE)
def test_a_twin_with_different_code_does_not_sleep(name: str) -> None:
    assert "time.sleep" not in ast.unparse(PAIRS[name].twin)


EXAMPLE = """
def double(numbers):
    for number in numbers:
        yield from [number, number]

async def adouble(numbers):
    async for number in numbers:
        for item in [number, number]:
            yield item

class Client:
    def send(self, numbers):
        time.sleep(1)
        for number in double(numbers):
            self.post(number)

    async def asend(self, numbers):
        await asyncio.sleep(1)
        async for number in adouble(numbers):
            await self.apost(number)

    def post(self, number):
        return number

    async def apost(self, number):
        return number

def piped(client):
    def run(number):
        return client.post(number)

    async def arun(number):
        return await client.apost(number)

    return run, arun
"""


def check_all(pairs: dict[str, Pair]) -> None:
    assert pairs.keys() == {"double", "Client.send", "Client.post", "piped.run"}
    for pair in pairs.values():
        check_pair(pair, pairs)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("for item in [number, number]", "for item in [number]"),
        ("await self.apost(", "self.post("),
        ("await client.apost(", "client.post("),
        ("await self.apost(", "self.apost("),
        ("await asyncio.sleep(", "time.sleep("),
        ("await asyncio.sleep(", "asyncio.sleep("),
        ("async for number in adouble(", "for number in double("),
        ("async for number in adouble(", "for number in adouble("),
    ],
)
def test_a_real_difference_is_found(old: str, new: str) -> None:
    check_all(_pairs(EXAMPLE))
    assert old in EXAMPLE
    with pytest.raises(AssertionError):
        check_all(_pairs(EXAMPLE.replace(old, new)))


@pytest.mark.parametrize(
    ("file", "name", "old", "new"),
    [
        ("_chat_model/call", "call_model", "await _awith_uploads(", "_with_uploads("),
        ("_http/transport", "Transport.stream", "await asyncio.sleep(", "time.sleep("),
        ("_http/transport", "Transport.stream", "await response.aclose(", "response.close("),
        (
            "_tools/structured_output",
            "pipe_to_parser.parse",
            "await parser.ainvoke(",
            "parser.invoke(",
        ),
        (
            "files",
            "KieFiles.upload",
            f"await asyncio.to_thread(\n{' ' * 16}upload_call, ",
            "upload_call(",
        ),
    ],
)
def test_a_blocking_call_in_the_package_is_found(file: str, name: str, old: str, new: str) -> None:
    source = (PACKAGE / f"{file}.py").read_text()
    assert old in source
    with pytest.raises(AssertionError, match=r"== \[\]"):
        check_pair(_pairs(source.replace(old, new))[name], PAIRS)
