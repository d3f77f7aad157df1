"""KIE.ai's Gemini API on a real socket, to test agents without key, network or credits.

It plays both dialects, deterministically, refuses what KIE refuses, in KIE's words, and
streams each model in the shape recorded for it. It plays the File Upload API too, on the same
address. How it answers: `langchain_kie.emulator.brain`.

    with Emulator() as emulator:
        ChatKieGemini(model=..., base_url=emulator.base_url, api_key=emulator.api_key)

Also `python -m langchain_kie.emulator`, and the fixture `kie_emulator` of
`langchain_kie.emulator.pytest_plugin`. Needs the extra `langchain-kie[emulator]`.
"""

from __future__ import annotations

_EXTRA = frozenset({"jsonschema", "python_multipart", "starlette", "uvicorn"})

try:
    from langchain_kie.emulator.server import Emulator
    from langchain_kie.emulator.world import ReceivedRequest
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] not in _EXTRA:
        raise
    raise ImportError(
        f"The emulator needs {error.name}, which is not installed. "
        'Run: pip install "langchain-kie[emulator]"'
    ) from error

__all__ = ["Emulator", "ReceivedRequest"]
