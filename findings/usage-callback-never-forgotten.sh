#!/usr/bin/env bash
# Guess: a `with get_usage_metadata_callback()` block leaves nothing behind.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet langchain-core==1.8.3
"$folder/venv/bin/python" - <<'PYTHON'
import time
from importlib.metadata import version

from langchain_core.callbacks import get_usage_metadata_callback
from langchain_core.language_models import FakeListChatModel
from langchain_core.tracers.context import _configure_hooks

model = FakeListChatModel(responses=["hi"])


def microseconds() -> float:
    start = time.perf_counter()
    for _ in range(200):
        model.invoke("hi")
    return (time.perf_counter() - start) / 200 * 1e6


microseconds()
before, hooks = microseconds(), len(_configure_hooks)
for _ in range(20_000):
    with get_usage_metadata_callback():
        pass
after, more = microseconds(), len(_configure_hooks)
print("langchain-core", version("langchain-core"))
print(f"hooks: {hooks}, after 20,000 blocks (one for each request of a server): {more}")
print(f"an invoke of a fake model: {before:.0f} us, then {after:.0f} us, for the rest of the process")
assert more - hooks == 20_000, "changed"
PYTHON
