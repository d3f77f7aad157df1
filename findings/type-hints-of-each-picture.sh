#!/usr/bin/env bash
# Guess: whether a content block is a picture is a comparison with a few constant names, so that the
# pictures of a conversation cost a chat model less than a microsecond each before its own work.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet langchain-core==1.8.3
"$folder/venv/bin/python" - <<'EOF'
import time
from importlib.metadata import version
from unittest.mock import patch

from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import HumanMessage, content

model = FakeListChatModel(responses=["ok"])
original, counted = content.get_type_hints, []


def count(block_type):
    counted.append(block_type)
    return original(block_type)


def measured(block):
    messages = [HumanMessage([block] * 40)]
    with patch.object(content, "get_type_hints", count):
        counted.clear()
        model.invoke(messages)
    started = time.perf_counter()
    model.invoke(messages)
    return len(counted), (time.perf_counter() - started) * 1000


picture = {"type": "image", "base64": "aGVsbG8=", "mime_type": "image/png"}
url = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}}
print("langchain-core", version("langchain-core"))
print("Each call of any chat model resolves the annotations of five TypedDict classes again for")
print("every standard picture of the conversation, and for no picture in OpenAI's form.")
(standard, slow), (openai, fast) = measured(picture), measured(url)
print(f"40 standard pictures: get_type_hints called {standard} times, {slow:.0f} ms")
print(f"40 pictures in OpenAI's form: {openai} times, {fast:.0f} ms")
assert (standard, openai) == (200, 0), "changed"
EOF
