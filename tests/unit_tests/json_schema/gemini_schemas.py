"""Gemini's schemas as KIE reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_kie.emulator.native_fields import parse_request
from langchain_kie.emulator.schemas import read_gemini_schema

if TYPE_CHECKING:
    from langchain_kie._json import Json


def check_gemini_schema(schema: Json) -> None:
    """Check that the emulator, which is as strict as Gemini, accepts the schema."""
    config = {"responseMimeType": "application/json", "responseSchema": schema}
    body = {"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": config}
    read_gemini_schema(parse_request(body)["generationConfig"]["responseSchema"])
