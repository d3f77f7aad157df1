"""Finds an API key in an error, its causes, its traceback and its local variables."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET_KEY = "sk-CANARY-0123456789"


def check_error(error: BaseException, *, with_locals: bool = True) -> None:
    """Assert that the key is in no part of an error.

    Args:
        error: The error, with its causes and contexts.
        with_locals: Also look at the local variables of this package's frames, as a crash
            reporter does. Not useful where the caller or the server put the key there.
    """
    for current in _linked_errors(error):
        assert SECRET_KEY not in f"{current} {current!r} {current.args!r}"
        for name in ("request", "_request", "response", "_response"):
            message = vars(current).get(name)
            if message is not None:
                assert SECRET_KEY not in repr([*message.headers.multi_items()])
                request = getattr(message, "request", message)
                assert SECRET_KEY not in repr([*request.headers.multi_items()])
    assert SECRET_KEY not in "".join(traceback.format_exception(error))
    for name, value in _local_variables(error) if with_locals else ():
        assert SECRET_KEY not in value, name


def _linked_errors(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all its causes and contexts."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop()
        if current is not None and id(current) not in seen:
            seen.add(id(current))
            yield current
            waiting += [current.__cause__, current.__context__]


def _local_variables(error: BaseException) -> Iterator[tuple[str, str]]:
    for current in _linked_errors(error):
        for frame, _ in traceback.walk_tb(current.__traceback__):
            if "langchain_kie" in frame.f_code.co_filename:
                for name, value in frame.f_locals.items():
                    yield f"{frame.f_code.co_qualname}.{name}", repr(value)
