"""A local HTTP server that behaves like KIE.ai's Gemini API, for tests without key or credits.

It serves KIE's OpenAI-compatible and native Gemini APIs, the gateway, the File Upload API, the
list of models and the balance on one address. It rejects what KIE rejects, with KIE's messages,
and streams each model in the shape that was recorded for it. What the model says comes from
scripted answers, from a `respond` function, or from a few fixed rules. Keywords of `Emulator`
select behaviour that KIE shows only at times.

    with Emulator() as emulator:
        ChatKieGemini(model=..., base_url=emulator.base_url, api_key=emulator.api_key)

`python -m langchain_kie.emulator` serves it from the command line, and the pytest fixtures
`kie_emulator` and `kie_model` are found by pytest. All of it needs the extra
`langchain-kie[emulator]`.
"""

from __future__ import annotations

_EXTRA = frozenset({"jsonschema_rs", "python_multipart", "starlette", "uvicorn"})

try:
    from langchain_kie.emulator.conversation import (
        Answer,
        ChatRequest,
        CodeRun,
        Failure,
        Grounding,
        MediaFile,
        RawAnswer,
        Support,
        Tool,
        ToolCall,
        ToolChoice,
        ToolResult,
        Turn,
        Usage,
    )
    from langchain_kie.emulator.responder import respond as default_respond
    from langchain_kie.emulator.server import Emulator
    from langchain_kie.emulator.settings import ToolCallFormat
    from langchain_kie.emulator.state import ReceivedRequest
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] not in _EXTRA:
        raise
    raise ImportError(
        f"The emulator needs {error.name}, which is not installed. "
        'Run: pip install "langchain-kie[emulator]"'
    ) from error

__all__ = [
    "Answer",
    "ChatRequest",
    "CodeRun",
    "Emulator",
    "Failure",
    "Grounding",
    "MediaFile",
    "RawAnswer",
    "ReceivedRequest",
    "Support",
    "Tool",
    "ToolCall",
    "ToolCallFormat",
    "ToolChoice",
    "ToolResult",
    "Turn",
    "Usage",
    "default_respond",
]
