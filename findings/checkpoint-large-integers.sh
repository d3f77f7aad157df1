#!/usr/bin/env bash
# Guess: a checkpointer stores a message with an integer of any size, as JSON and pickle do.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet langgraph-checkpoint==4.3.2 langchain-core==1.8.3
"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

from langchain_core.load import dumps, loads
from langchain_core.messages import AIMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

serializer = JsonPlusSerializer()


def message(number):
    call = {"name": "pay", "args": {"wei": number}, "id": "1"}
    return AIMessage("", tool_calls=[call])


print("langgraph-checkpoint", version("langgraph-checkpoint"))
print("A message cannot be stored if a tool call has an integer of more than 64 bits, although")
print("LangChain's own JSON form holds it. The error names the message, not the integer.")
largest = serializer.loads_typed(serializer.dumps_typed(message(2**64 - 1)))
assert largest.tool_calls[0]["args"] == {"wei": 2**64 - 1}
print("2**64 - 1: stored")
assert loads(dumps(message(2**64)), allowed_objects="messages").tool_calls[0]["args"]["wei"] == 2**64
try:
    serializer.dumps_typed(message(2**64))
except TypeError as error:
    print("2**64:", error)
    assert "AIMessage" in str(error)
else:
    raise SystemExit("changed: it is stored")
EOF
