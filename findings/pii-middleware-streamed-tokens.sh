#!/usr/bin/env bash
# Guess: a middleware that redacts e-mail addresses in answers also redacts the streamed tokens.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet langchain==1.5.2 langchain-core==1.8.3 langgraph==1.2.24
"$folder/venv/bin/python" -W ignore - <<'EOF'
from importlib.metadata import version

from langchain.agents import create_agent
from langchain.agents.middleware import PIIMiddleware
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

ANSWER = "Write to ann@example.org today."
question = {"messages": [("user", "Whom shall I write to?")]}


def agent():
    model = GenericFakeChatModel(messages=iter([AIMessage(ANSWER)]))
    return create_agent(model, middleware=[PIIMiddleware("email", apply_to_output=True)])


state = agent().invoke(question)["messages"][-1].text
tokens = agent().stream(question, stream_mode="messages")
streamed = "".join(chunk.text for chunk, _ in tokens if chunk.type == "AIMessageChunk")
run = agent().stream_events(question, version="v3")
events = "".join(text for message in run.messages for text in message.text)

print("langchain", version("langchain"))
print("The state and the events of version v3 are redacted. The tokens of stream_mode='messages'")
print("are not: who shows them to users shows what the middleware was to hide.")
print("state:   ", state)
print("v3:      ", events)
print("messages:", streamed)
assert "[REDACTED_EMAIL]" in state and "[REDACTED_EMAIL]" in events
assert streamed == ANSWER, "changed"
EOF
