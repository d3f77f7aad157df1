#!/usr/bin/env bash
# Guess: a deep agent plans with the tool write_todos.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet deepagents==0.7.32 langchain==1.5.2 langchain-core==1.8.3 \
  langgraph==1.2.24
"$folder/venv/bin/python" - <<'EOF'
import sys
from importlib.metadata import version

from deepagents import create_deep_agent
from langchain.agents.middleware import TodoListMiddleware
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage


def tools_of(middleware):
    bound = []

    class Recorder(GenericFakeChatModel):
        def bind_tools(self, tools, **kwargs):
            bound.extend(tools)
            return self

    model = Recorder(messages=iter([AIMessage("done")]))
    agent = create_deep_agent(model, middleware=middleware)
    agent.invoke({"messages": [("user", "Plan a trip.")]})
    return sorted({tool.name for tool in bound})


print("deepagents", version("deepagents"))
print("The planning that the package describes has no tool by default: a prompt that asks the model")
print("to keep a list with write_todos gets an error. TodoListMiddleware adds it.")
default, added = tools_of([]), tools_of([TodoListMiddleware()])
described = sys.modules["deepagents.graph"].__doc__
print("described:", "planning" in described, "tools:", default)
assert "write_todos" not in default, "changed"
assert added == sorted([*default, "write_todos"])
EOF
