"""A worker: one call for each document of a batch, several at a time.

Depends on LangChain and asyncio; of Ray it uses only the call of an actor.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from langchain_core.exceptions import (
    ModelAuthenticationError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
)
from pydantic import BaseModel, Field

from langchain_kie import ChatKieGemini, KieError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Call = Callable[..., Awaitable[Any]]
    """Calls a method of `SharedRun`, by its name and with its arguments."""

FATAL_ERRORS = (ModelAuthenticationError, ModelPermissionDeniedError, ModelNotFoundError)
"""What every other call would meet, too; missing credits are a `ModelPermissionDeniedError`."""
PROMPT = "Summarize this review in at most ten words, and say whether it is good or bad.\n\n{}"


async def answer_all(
    model: ChatKieGemini, texts: Mapping[str, str], call: Call, max_concurrency: int
) -> None:
    """Answer the documents that have no answer yet; each answer is stored when it comes.

    Args:
        model: The model.
        texts: The texts of documents, by their ids.
        call: The shared state of the run.
        max_concurrency: How many calls run at a time.
    """
    missing = await call("missing", list(texts))
    slots = asyncio.Semaphore(max_concurrency)

    async def answer(document: str) -> None:
        async with slots:
            if await call("may_start", document):
                await _answer_one(model, document, texts[document], call)

    async with asyncio.TaskGroup() as group:
        for document in missing:
            group.create_task(answer(document))


async def _answer_one(model: ChatKieGemini, document: str, text: str, call: Call) -> None:
    try:
        message = await model.ainvoke(PROMPT.format(text))
    except KieError as error:
        paid = error.credits_consumed or 0.0
        await call("add_error", document, str(error), paid, stop=isinstance(error, FATAL_ERRORS))
    else:
        paid = message.response_metadata.get("credits_consumed", 0.0)
        await call("add_answer", document, message.text, paid)


class Document(BaseModel):
    """One line of the input."""

    id: Annotated[str, Field(min_length=1)]
    text: str


def parse_document(line: str) -> Document:
    """Parse a line of the input.

    Args:
        line: JSON with `id` and `text`.

    Raises:
        ValueError: If it is not such JSON.
    """
    return Document.model_validate_json(line)


class Worker:
    """What Ray Data starts in each worker process.

    Args:
        shared: The actor of the `SharedRun`.
        fields: Fields of `ChatKieGemini`.
        max_concurrency: How many calls run at a time.
    """

    def __init__(self, shared: Any, fields: Mapping[str, Any], max_concurrency: int) -> None:
        self._shared = shared
        self._max_concurrency = max_concurrency
        self._model = ChatKieGemini(**fields)
        self._runner = asyncio.Runner()  # one event loop, so that connections are used again
        self._runner.run(self._model.awarm_up())

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Answer a batch.

        Args:
            batch: The column `text`: lines of JSON.

        Returns:
            The batch: the answers are in the store.
        """
        documents = map(parse_document, batch["text"])
        texts = {document.id: document.text for document in documents}
        self._runner.run(answer_all(self._model, texts, self._call, self._max_concurrency))
        return batch

    async def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return await getattr(self._shared, method).remote(*args, **kwargs)
