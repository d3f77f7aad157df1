"""Tool choices in all their forms."""

from __future__ import annotations

from typing import Any

import pytest

from langchain_kie._tools.choice import ToolChoice, normalize_tool_choice

REQUIRED, AUTO, NONE = ToolChoice("required"), ToolChoice("auto"), ToolChoice("none")
ONE = ToolChoice("required", ("a",))
TWO = ToolChoice("required", ("a", "b"))
CHOICES: list[tuple[Any, ToolChoice | None]] = [
    (None, None),
    ("auto", AUTO),
    ("none", NONE),
    ("any", REQUIRED),
    ("required", REQUIRED),
    (True, REQUIRED),
    (False, NONE),
    ("a", ONE),
    (["a"], ONE),
    (["a", "b", "a"], TWO),
    (("a", "b"), TWO),
    ({"type": "auto"}, AUTO),
    ({"type": "none"}, NONE),
    ({"type": "any", "disable_parallel_tool_use": True}, REQUIRED),
    ({"type": "required"}, REQUIRED),
    ({"type": "function", "function": {"name": "a"}}, ONE),
    ({"type": "function", "name": "a"}, ONE),
    ({"type": "tool", "name": "a"}, ONE),
    ({"name": "a"}, ONE),
    ({"tool": {"name": "a"}}, ONE),
    ({"any": {}}, REQUIRED),
    ({"auto": {}}, AUTO),
    ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "a"}]},
     ONE),
    ({"type": "allowed_tools", "allowed_tools": {
        "mode": "required", "tools": [{"type": "function", "function": {"name": "a"}}]}}, ONE),
    ({"functionCallingConfig": {"mode": "ANY"}}, REQUIRED),
    ({"functionCallingConfig": {"mode": "AUTO"}}, AUTO),
    ({"functionCallingConfig": {"mode": "NONE"}}, NONE),
    ({"functionCallingConfig": {"mode": "VALIDATED"}}, AUTO),
    ({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["a", "b"]}}, TWO),
    ({"function_calling_config": {"mode": "any", "allowed_function_names": ["a"]}}, ONE),
]  # fmt: skip


@pytest.mark.parametrize(("choice", "expected"), CHOICES, ids=str)
def test_every_form_of_a_tool_choice(choice: Any, expected: ToolChoice | None) -> None:
    assert normalize_tool_choice(choice, ["a", "b"]) == expected


def test_a_function_named_like_a_mode_can_be_chosen() -> None:
    names = ["auto", "any"]
    assert normalize_tool_choice("auto", names) == ToolChoice("required", ("auto",))
    assert normalize_tool_choice({"type": "function", "name": "any"}, names) == ToolChoice(
        "required", ("any",)
    )


@pytest.mark.parametrize(
    ("choice", "match"),
    [
        ("c", "names .'c'., but the bound tools are"),
        (["a", "c"], "names .'c'."),
        ({"type": "function", "function": {"name": "c"}}, "names .'c'."),
        ("google_search", "built-in"),
        (["a", "urlContext"], "built-in"),
        ({"type": "google_search"}, "built-in"),
        ([], "unknown form"),
        ("", "names"),
        (5, "unknown form"),
        ({}, "unknown form"),
        ({"type": "perhaps"}, "unknown form"),
        ([["a"]], "unknown form"),
        ({"type": {"a": 1}}, "unknown form"),
        ({"type": "tool", "name": ["a"]}, "unknown form"),
        ({"type": "function", "function": ["a"]}, "unknown form"),
        ({"type": "allowed_tools", "mode": "required", "tools": 5}, "unknown form"),
        ({"type": "allowed_tools", "mode": "required", "tools": [5]}, "unknown form"),
        ({"type": "allowed_tools", "mode": "required", "allowed_tools": ["a"]}, "unknown form"),
        ({"functionCallingConfig": {"allowedFunctionNames": "a"}}, "unknown form"),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"name": "a"}]}, "restricts"),
    ],
    ids=str,
)
def test_an_invalid_tool_choice_is_rejected(choice: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        normalize_tool_choice(choice, ["a", "b"])
