#!/usr/bin/env bash
# Guess: a cache hit returns a copy that is marked as free, and the paid answer stays as it was.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet langchain-core==1.8.3
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult


class Model(BaseChatModel):
    calls: int = 0

    @property
    def _llm_type(self):
        return "model"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.calls += 1
        usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        return ChatResult(generations=[ChatGeneration(message=AIMessage("hi", usage_metadata=usage))])


class Cache(InMemoryCache):
    """Another call finds the answer before the paid call ends, as in a batch or a server."""

    def update(self, *values):
        super().update(*values)
        model.invoke("hi")


class Costs(BaseCallbackHandler):
    seen = []

    def on_llm_end(self, response, **_):
        self.seen.append(response.generations[0][0].message.usage_metadata.get("total_cost"))


print("langchain-core", version("langchain-core"))
model = Model(cache=Cache(), callbacks=[Costs()])
model.invoke("hi")
print("total_cost that callbacks see (hit, then the paid call; expected 0, None):", Costs.seen)
assert Costs.seen == [0, 0], "changed"

model = Model(cache=InMemoryCache())
calls = []
for _ in range(3):
    answer = model.invoke("hi")
    model.invoke([("user", "hi"), answer, ("user", "more")])
    calls.append(model.calls)
print("calls after 1, 2, 3 runs of the same conversation of two turns (expected 2, 2, 2):", calls)
print("The mark on the cached answer is part of the next turn's key, so that it is paid again.")
assert calls == [2, 3, 3], "changed"
PYTHON
