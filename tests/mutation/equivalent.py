"""Mutants that behave as the code does, or differ only in how much is done before a limit."""

from __future__ import annotations

_LIMIT = "a limit that no input is meant to reach exactly"

# (module, line, before, after): why no test can, or should, notice it.
EQUIVALENT: dict[tuple[str, str, str, str], str] = {
    ("_json_schema/coerce.py", "steps: int = 0", "0", "1"): _LIMIT,
    (
        "_json_schema/normalize.py",
        'flat["items"] = {}',
        "flat['items'] = {}",
        "flat['items'] = None",
    ): "what is no schema is read as a schema of any value",
    (
        "_conversation/turns.py",
        "if role := _ROLE_BY_CLASS.get(cls) or _role_of(cls):",
        "_ROLE_BY_CLASS.get(cls) or _role_of(cls)",
        "_role_of(cls)",
    ): "only faster",
    (
        "_answer/content.py",
        'index = f"lc_block_{self.block_count}"',
        "'lc_block_'",
        "'XXlc_block_'",
    ): "any index keeps blocks apart that no other block has",
}
