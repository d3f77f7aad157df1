"""Which functions to call, and with which arguments."""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

from langchain_kie.emulator.conversation import Call
from langchain_kie.emulator.hints import (
    EXPRESSION_PROPERTIES,
    Hints,
    content_words,
    split_identifier,
)
from langchain_kie.emulator.instances import fill

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_kie.emulator.conversation import Conversation, CurrentTurn, Function

_MIN_SCORE = 1.5
_MIN_SHARE_OF_BEST_SCORE = 0.5
_NAME_WORD_SCORE = 2.0
_FULL_NAME_SCORE = 10.0
_ONLY_FUNCTION_SCORE = 3.0
_VALUES_SCORE = 0.5

_USE_TOOL = re.compile(
    r"\b(?:use|using|call|with)\s+(?:the|your|a|that|this)\s+(?:tool|function)s?\b", re.IGNORECASE
)
_ONE_BY_ONE = re.compile(r"\b(?:then|afterwards|after that|finally|next)\b", re.IGNORECASE)
_FOLLOW_UP = re.compile(r"\s*(?:and|what about|how about|now)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A function, its score, and the positions in the prompt that contributed to the score."""

    function: Function
    score: float
    evidence: frozenset[int]

    @property
    def position(self) -> int:
        """Where the prompt first refers to the function."""
        return min(self.evidence, default=0)


def choose_calls(conversation: Conversation, turn: CurrentTurn) -> tuple[Call, ...]:
    """Choose the functions to call now: none, one, or several in one batch."""
    choice = conversation.choice
    allowed = [f for f in conversation.functions if not choice.names or f.name in choice.names]
    if choice.mode == "none" or not allowed:
        return ()
    candidates = _score(allowed, turn)
    new = [item for item in candidates if item.function.name not in turn.called]
    if choice.mode == "any":
        best = max(new or candidates, key=lambda item: item.score)
        return _build_calls(best, turn, one=True)[:1]
    best_score = max(item.score for item in candidates)
    threshold = max(_MIN_SCORE, _MIN_SHARE_OF_BEST_SCORE * best_score)
    chosen = _distinct([item for item in candidates if item.score >= threshold])
    chosen = [item for item in chosen if item in new]
    if len(chosen) > 1 and _ONE_BY_ONE.search(turn.prompt):
        chosen = [min(chosen, key=lambda item: item.position)]
    return tuple(call for item in chosen for call in _build_calls(item, turn, one=False))


def _score(functions: Sequence[Function], turn: CurrentTurn) -> list[_Candidate]:
    """Score each function by the words it shares with the prompt; rare words count more."""
    prompt = turn.prompt
    is_follow_up = turn.earlier and _FOLLOW_UP.match(prompt)
    words = content_words(f"{prompt}\n{turn.earlier[-1]}" if is_follow_up else prompt)
    names = [set(content_words(" ".join(split_identifier(f.name)))) for f in functions]
    texts = [
        set(content_words(f"{f.description} {' '.join(f.parameters.get('properties', {}))}"))
        for f in functions
    ]
    frequency = Counter(w for name, text in zip(names, texts, strict=True) for w in name | text)
    uses_tool = bool(_USE_TOOL.search(prompt))
    candidates = []
    for function, name, text in zip(functions, names, texts, strict=True):
        name_words, text_words = name & words.keys(), text & words.keys()
        score = sum(_NAME_WORD_SCORE / frequency[word] for word in name_words)
        score += sum(1 / frequency[word] for word in text_words)
        score += len(name_words) / len(name) if name else 0
        evidence = {words[word] for word in name_words | text_words}
        full_name = re.search(rf"(?<!\w){re.escape(function.name)}(?!\w)", prompt)
        is_identifier = "_" in function.name or not function.name.islower()
        if full_name and (is_identifier or uses_tool):
            score += _FULL_NAME_SCORE
            evidence.add(full_name.start())
        if uses_tool and len(functions) == 1:
            score += _ONLY_FUNCTION_SCORE
            evidence.add(0)
        if score and _has_values_for(function, prompt):
            score += _VALUES_SCORE
        candidates.append(_Candidate(function, score, frozenset(evidence)))
    return candidates


def _distinct(candidates: list[_Candidate]) -> list[_Candidate]:
    """Keep the candidates that have a word of the prompt which no better candidate has."""
    used: set[int] = set()
    kept = []
    for item in sorted(candidates, key=lambda item: -item.score):
        if item.evidence - used:
            kept.append(item)
        used |= item.evidence
    return [item for item in candidates if item in kept]


def _has_values_for(function: Function, prompt: str) -> bool:
    """Tell whether the prompt contains a value of the type of a required parameter."""
    values = Hints(prompt).values_by_type()
    properties = function.parameters.get("properties", {})
    required = [properties.get(key) for key in function.parameters.get("required", [])]
    return any(
        values.get(schema.get("type", "")) for schema in required if isinstance(schema, dict)
    )


def _build_calls(item: _Candidate, turn: CurrentTurn, *, one: bool) -> tuple[Call, ...]:
    function = item.function
    literal = [] if turn.results else _literal_calls(function, turn.prompt)
    if literal:
        return tuple(Call(function.name, args) for args in literal)
    hints = Hints(turn.prompt, turn.results, item.position)
    values = [] if one else hints.enumeration()
    if len(values) > 1 and _takes_one_text(function):
        return tuple(_build_call(function, hints.limited_to(value)) for value in values)
    return (_build_call(function, hints),)


def _build_call(function: Function, hints: Hints) -> Call:
    args = fill(function.parameters, hints, every_property=False)
    return Call(function.name, args if isinstance(args, dict) else {})


def _takes_one_text(function: Function) -> bool:
    properties = function.parameters.get("properties", {})
    required = function.parameters.get("required", [])
    texts = [
        key
        for key, schema in properties.items()
        if isinstance(schema, dict)
        and schema.get("type") == "string"
        and "enum" not in schema
        and EXPRESSION_PROPERTIES.isdisjoint(split_identifier(key))
    ]
    needed = [key for key in texts if key in required] or (texts if not required else [])
    lists = any(s.get("type") == "array" for s in properties.values() if isinstance(s, dict))
    return len(needed) == 1 and not lists


def _literal_calls(function: Function, prompt: str) -> list[dict[str, Any]]:
    """Parse calls in the prompt that have the form of code, such as `magic_function(3)`."""
    found = []
    properties = list(function.parameters.get("properties", {}))
    validator = Draft202012Validator(function.parameters)
    for match in re.finditer(rf"(?<!\w){re.escape(function.name)}\([^()]*\)", prompt):
        try:
            call = ast.parse(match.group(), mode="eval").body
            if not isinstance(call, ast.Call):
                continue
            args = dict(zip(properties, map(ast.literal_eval, call.args), strict=False))
            args |= {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg}
        except (SyntaxError, ValueError):
            continue
        if validator.is_valid(args):
            found.append(args)
    return found
