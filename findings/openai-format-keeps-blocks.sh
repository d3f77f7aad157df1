#!/usr/bin/env bash
# Guess: convert_to_openai_messages leaves out blocks that OpenAI's format does not have.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet langchain-core==1.8.3
"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

from langchain_core.messages import AIMessage, convert_to_openai_messages

message = AIMessage(
    content_blocks=[
        {"type": "reasoning", "reasoning": "Which city?"},
        {"type": "text", "text": "One moment."},
        {"type": "tool_call", "name": "weather", "args": {"city": "Oslo"}, "id": "1"},
    ]
)
(converted,) = convert_to_openai_messages([message])
kinds = [block["type"] for block in converted["content"]]
print("langchain-core", version("langchain-core"))
print("A message that was made from content blocks has its call twice in OpenAI's format: in")
print("tool_calls, and as a block of the content; the reasoning block stays there too.")
print("content:", kinds, "tool_calls:", len(converted["tool_calls"]))
assert (kinds, len(converted["tool_calls"])) == (["reasoning", "text", "tool_call"], 1), "changed"
EOF
