"""Placeholder until written."""

from typing import Any


def coerced(args: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    return args
