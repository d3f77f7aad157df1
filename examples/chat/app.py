"""The server: one page, and one endpoint that streams the events of a turn."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, StreamingResponse
from langchain.agents import create_agent
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel, Field

from demo.tools import TOOLS
from examples.chat.events import turn_events
from langchain_kie import ChatKieGemini

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PAGE = Path(__file__).parent / "page.html"


class Question(BaseModel):
    """What the browser sends.

    Attributes:
        thread: The conversation, chosen by the browser.
        text: What the user wrote.
        search: Whether to search the web. KIE refuses search together with functions, so that
            the tools are not available then.
    """

    thread: Annotated[str, Field(min_length=1, max_length=64)]
    text: Annotated[str, Field(min_length=1, max_length=20_000)]
    search: bool = False


def create_app(**fields: Any) -> FastAPI:
    """Return the application.

    Args:
        **fields: Fields of `ChatKieGemini`.
    """
    model = ChatKieGemini(**{"model": "gemini-3.8-flash", "include_thoughts": True, **fields})
    memory = InMemorySaver()
    agents = {
        False: create_agent(model, TOOLS, checkpointer=memory),
        True: create_agent(model, [{"google_search": {}}], checkpointer=memory),
    }

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await model.awarm_up()
        yield

    app = FastAPI(title="Chat", lifespan=lifespan)

    @app.get("/")
    async def page() -> FileResponse:
        return FileResponse(PAGE)

    @app.post("/chat")
    async def chat(question: Question) -> StreamingResponse:
        events = turn_events(agents[question.search], question.thread, question.text)
        return StreamingResponse(
            (f"data: {json.dumps(event)}\n\n" async for event in events),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    return app
