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
from examples.chat.turns import KEEP_ALIVE, Turns
from langchain_kie import ChatKieGemini

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from langchain_core.tools import BaseTool

    from examples.chat.turns import Event

PAGE = Path(__file__).parent / "page.html"
_HEADERS = {
    # No script, style, image or connection but those of this server.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'unsafe-inline'; "
        "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
}
_STREAM_HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx sends each event at once
}


class Question(BaseModel):
    """What the browser sends.

    Attributes:
        thread: The conversation, a random id of the browser.
        text: What the user wrote.
        search: Whether to search the web. KIE rejects search together with functions, so the
            tools are not available then.
    """

    thread: Annotated[str, Field(min_length=1, max_length=64)]
    text: Annotated[str, Field(min_length=1, max_length=20_000)]
    search: bool = False


def create_app(*, tools: Sequence[BaseTool] = TOOLS, **fields: Any) -> FastAPI:
    """Create the application.

    Args:
        tools: The tools of the agent.
        **fields: Fields of `ChatKieGemini`.
    """
    model = ChatKieGemini(**{"include_thoughts": True, **fields})
    memory = InMemorySaver()  # in production a database, such as AsyncPostgresSaver
    agents = {
        False: create_agent(model, tools, checkpointer=memory),
        True: create_agent(model, [{"google_search": {}}], checkpointer=memory),
    }
    turns = Turns()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await model.awarm_up()
        yield
        await turns.stop_all()

    app = FastAPI(title="Chat", lifespan=lifespan)

    @app.get("/")
    async def page() -> FileResponse:
        return FileResponse(PAGE, headers=_HEADERS)

    @app.post("/chat")
    async def chat(question: Question) -> StreamingResponse:
        events = turns.events(agents[question.search], question.thread, question.text)
        return StreamingResponse(
            (_encode(event) async for event in events),
            media_type="text/event-stream",
            headers=_STREAM_HEADERS,
        )

    return app


def _encode(event: Event) -> str:
    """Write a server-sent event; a comment keeps the connection open."""
    return ": keep-alive\n\n" if event is KEEP_ALIVE else f"data: {json.dumps(event)}\n\n"
