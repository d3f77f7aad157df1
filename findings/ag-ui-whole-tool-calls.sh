#!/usr/bin/env bash
# Guess: a tool call that comes whole in one chunk reaches an AG-UI client with its arguments.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ag-ui-langgraph==0.0.47 fastapi langchain==1.5.2 \
  langchain-core==1.8.3 langgraph==1.2.24
"$folder/venv/bin/python" - <<'EOF'
import asyncio
from importlib.metadata import version

from ag_ui.core import RunAgentInput, UserMessage
from ag_ui_langgraph import LangGraphAgent
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

WHOLE = [{"name": "f", "args": '{"city": "Oslo"}', "id": "1", "index": 0}]
NAME_FIRST = [{**WHOLE[0], "args": ""}], [{**WHOLE[0], "name": None, "id": None}]


class Scripted(BaseChatModel):
    pieces: list

    def _stream(self, *args, **kwargs):
        for piece in self.pieces:
            chunk = AIMessageChunk("", tool_call_chunks=piece)
            yield ChatGenerationChunk(message=chunk)
        yield ChatGenerationChunk(message=AIMessageChunk("", chunk_position="last"))

    def _generate(self, *args, **kwargs):
        raise NotImplementedError

    @property
    def _llm_type(self):
        return "scripted"


async def delivered(*pieces):
    model = Scripted(pieces=list(pieces))

    async def answer(state):
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", answer)
    graph.add_edge(START, "model")
    agent = LangGraphAgent(name="a", graph=graph.compile(checkpointer=InMemorySaver()))
    question = UserMessage(id="1", role="user", content="hi")
    given = RunAgentInput(
        thread_id="t", run_id="r", state={}, messages=[question], tools=[], context=[],
        forwarded_props={},
    )
    events = [event async for event in agent.run(given)]
    return [str(e.type).removeprefix("EventType.") for e in events if "TOOL_CALL" in str(e.type)]


print("ag-ui-langgraph", version("ag-ui-langgraph"))
print("The arguments of a call are read only from chunks after the one with its name.")
whole, name_first = asyncio.run(delivered(WHOLE)), asyncio.run(delivered(*NAME_FIRST))
print("whole:", whole)
print("name first:", name_first)
assert whole == ["TOOL_CALL_START", "TOOL_CALL_END"], "changed"
assert name_first == ["TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END"], "changed"
EOF
