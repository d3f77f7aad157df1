"""Which functions to call, and with what.

Knows the overlap of a prompt's words with a function's. Does not know schemas' insides.
"""

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
    split_identifier,
    telling_words,
)
from langchain_kie.emulator.instances import fill

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_kie.emulator.conversation import Conversation, Function

_THRESHOLD = 1.5
_NAME_WEIGHT = 2.0
_WHOLE_NAME_SCORE = 10.0
_ONLY_TOOL_SCORE = 3.0
_VALUES_SCORE = 0.5
_WORTH_OF_BEST = 0.5

_USE_TOOL = re.compile(
    r"\b(?:use|using|call|with)\s+(?:the|your|a|that|this)\s+(?:tool|function)s?\b", re.IGNORECASE
)
_ONE_BY_ONE = re.compile(r"\b(?:then|afterwards|after that|finally|next)\b", re.IGNORECASE)
_FOLLOW_UP = re.compile(r"\s*(?:and|what about|how about|now)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Active:
    """The turn that is to be answered.

    Attributes:
        prompt: What the user said last.
        before: What the user said before that.
        results: What functions gave back since.
        called: The functions called since.
    """

    prompt: str
    before: str
    results: tuple[str, ...]
    called: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Scored:
    function: Function
    score: float
    evidence: frozenset[int]

    @property
    def position(self) -> int:
        """Where the prompt first speaks of it."""
        return min(self.evidence, default=0)


def choose_calls(conversation: Conversation, active: Active) -> tuple[Call, ...]:
    """Decide which functions to call now: none, one, or several at once."""
    choice = conversation.choice
    allowed = [f for f in conversation.functions if not choice.names or f.name in choice.names]
    if choice.mode == "none" or not allowed:
        return ()
    scored = _scores(allowed, active)
    if choice.mode == "any":
        fresh = [item for item in scored if item.function.name not in active.called]
        best = max(fresh or scored, key=lambda item: item.score)
        return _calls_of(best, active, one=True)[:1]
    least = max(_THRESHOLD, _WORTH_OF_BEST * max(item.score for item in scored))
    wanted = _apart([item for item in scored if item.score >= least])
    wanted = [item for item in wanted if item.function.name not in active.called]
    if len(wanted) > 1 and _ONE_BY_ONE.search(active.prompt):
        wanted = [min(wanted, key=lambda item: item.position)]
    return tuple(call for item in wanted for call in _calls_of(item, active, one=False))


def _scores(functions: Sequence[Function], active: Active) -> list[_Scored]:
    """Score each function by the words it shares with the prompt; a rarer word weighs more."""
    prompt = active.prompt
    follows_up = bool(_FOLLOW_UP.match(prompt))
    words = telling_words(f"{prompt}\n{active.before}" if follows_up else prompt)
    names = [set(telling_words(" ".join(split_identifier(f.name)))) for f in functions]
    texts = [
        set(telling_words(f"{f.description} {' '.join(f.parameters.get('properties', {}))}"))
        for f in functions
    ]
    shared = Counter(word for name, text in zip(names, texts, strict=True) for word in name | text)
    scored = []
    for function, name, text in zip(functions, names, texts, strict=True):
        met_name, met_text = name & words.keys(), text & words.keys()
        score = sum(_NAME_WEIGHT / shared[word] for word in met_name)
        score += sum(1 / shared[word] for word in met_text)
        score += len(met_name) / len(name) if name else 0
        evidence = {words[word] for word in met_name | met_text}
        spelled = re.search(rf"(?<!\w){re.escape(function.name)}(?!\w)", prompt)
        if spelled and (
            "_" in function.name or not function.name.islower() or _USE_TOOL.search(prompt)
        ):
            score += _WHOLE_NAME_SCORE
            evidence.add(spelled.start())
        if _USE_TOOL.search(prompt) and len(functions) == 1:
            score += _ONLY_TOOL_SCORE
            evidence.add(0)
        if score and _has_values_for(function, prompt):
            score += _VALUES_SCORE
        scored.append(_Scored(function, score, frozenset(evidence)))
    return scored


def _apart(wanted: list[_Scored]) -> list[_Scored]:
    """Let each word of the prompt speak for one function, the one that it fits best."""
    spent: set[int] = set()
    kept = []
    for item in sorted(wanted, key=lambda item: -item.score):
        if item.evidence - spent:
            kept.append(item)
        spent |= item.evidence
    return [item for item in wanted if item in kept]


def _has_values_for(function: Function, prompt: str) -> bool:
    """Say whether the prompt has a value of the kind that a required argument is of."""
    hints = Hints(prompt)
    kinds = {
        "string": [*hints.quotes, *hints.names],
        "integer": hints.numbers,
        "number": hints.numbers,
    }
    properties = function.parameters.get("properties", {})
    required = [properties.get(key) for key in function.parameters.get("required", [])]
    return any(kinds.get(schema.get("type", "")) for schema in required if isinstance(schema, dict))


def _calls_of(item: _Scored, active: Active, *, one: bool) -> tuple[Call, ...]:
    function = item.function
    spelled = [] if active.results else _spelled_calls(function, active.prompt)
    if spelled:
        return tuple(Call(function.name, args) for args in spelled)
    hints = Hints(active.prompt, active.results, item.position)
    values = [] if one else hints.enumeration()
    if len(values) > 1 and _takes_one_text(function):
        return tuple(_call_with(function, hints.only(value)) for value in values)
    return (_call_with(function, hints),)


def _call_with(function: Function, hints: Hints) -> Call:
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


def _spelled_calls(function: Function, prompt: str) -> list[dict[str, Any]]:
    """Read calls that the prompt spells out, such as `magic_function(3)`."""
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
