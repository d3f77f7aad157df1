"""Server tools that KIE does not have: errors that name the tool and what to use instead. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langchain_kie._json import Json

_INSTEAD = (
    (re.compile("search_?retrieval|web_?search"), 'bind {"google_search": {}} instead'),
    (re.compile("web_?fetch"), 'bind {"url_context": {}} instead'),
    (re.compile("code_?(execution|interpreter)"), 'bind {"code_execution": {}} instead'),
    (re.compile("mcp"), "load the tools of the MCP server with langchain-mcp-adapters instead"),
    (re.compile("^custom$"), "bind a function with one string parameter, which takes the text"),
    (re.compile(""), "bind a function that does the same"),
)
"""What there is instead of a tool, by its name in lower case; the first match counts."""

_FUNCTION_TYPES = frozenset({"function", "object"})
_DEFINITION_KEYS = frozenset({"function", "toolSpec", "properties", "title"})
"""Keys of a dict that defines a function, in addition to those of its schema."""


def reject_server_tool(tool: Json, schema_keys: frozenset[str]) -> None:
    """Reject a dict that names a tool of another server, and defines no function.

    OpenAI and Anthropic have a `type`, Gemini has a key: `{"google_maps": {}}`.

    Args:
        tool: The dict.
        schema_keys: The keys under which a function has its schema.

    Raises:
        ValueError: The dict names such a tool; the message says what to use instead.
    """
    if not tool or not tool.keys().isdisjoint(_DEFINITION_KEYS | schema_keys):
        return
    name = tool.get("type")
    if name is None and "name" not in tool:
        name = next((key for key, value in tool.items() if isinstance(value, dict)), None)
    if name and str(name).lower() not in _FUNCTION_TYPES:
        advice = next(text for row, text in _INSTEAD if row.search(str(name).lower()))
        raise ValueError(f"KIE has no server tool {name!r}: {advice}")
