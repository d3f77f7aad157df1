"""JSON Schema, draft 2020-12: whether a value is a schema, and whether a value matches one."""

from __future__ import annotations

import re
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def _is_any(_text: str) -> bool:
    return True


# `$ref` may be text that is no URI, such as the name of a generic class.
_METASCHEMA = Draft202012Validator(
    {"$ref": "https://json-schema.org/draft/2020-12/schema"},
    validate_formats=True,
    formats={"regex": _is_pattern, "uri": _is_any, "uri-reference": _is_any},
)

_UNREADABLE = (ValueError, SystemError)
"""The second is for a lone surrogate, with some versions of jsonschema-rs (0.37.0, 0.61.2)."""


def schema_error(schema: Any) -> str:
    """Why a value is no JSON schema; empty if it is one."""
    try:
        _METASCHEMA.validate(schema)
    except ValidationError as error:
        path = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in error.instance_path)
        return f"{path} {error.message}".strip()
    except _UNREADABLE as error:
        return str(error)
    return ""


def is_valid(schema: Any, value: Any) -> bool:
    """Whether a value matches a schema; `True` if only the whole request could tell.

    Nothing is fetched. A reference that leaves the schema, and a pattern that is valid in Python
    only, make every value valid.
    """
    try:
        return Draft202012Validator(schema, retriever=_refuse).is_valid(value)
    except _UNREADABLE:
        return True


def _refuse(uri: str) -> Any:
    raise ValueError(uri)
