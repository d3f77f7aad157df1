"""JSON Schema in one normalized form, which all of KIE's APIs accept, with the meaning kept.

References are resolved, each schema has one type, and alternatives are an `anyOf`. What cannot be
expressed is added to the description. Pure; knows nothing of tools or messages. Sources:
docs/wire.md 2.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_kie._json_schema.keywords import (
    ANNOTATIONS,
    CONDITIONS,
    KEYWORDS_OF_TYPE,
    MAX_ADDED_NODES,
    MAX_DEPTH,
    NAMED_SCHEMAS,
    TYPE_SPECIFIC_KEYWORDS,
    VALUE_CHECKS,
    Schema,
    map_subschemas,
    resolve_reference,
    type_names,
    value_type,
    walk_schemas,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ATTEMPTS = ((MAX_DEPTH, True), (8, True), (4, False), (2, False))
"""How many references are followed in a row, and whether the keywords next to `anyOf` are copied
into its branches. The first attempt whose result is small enough counts."""

_MAX_TEXT_CHARS = 10_000
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)

_COMMON_TO_BRANCHES = ANNOTATIONS | CONDITIONS
"""The keywords that stay next to `anyOf`."""


def normalize_schema(schema: Schema) -> Schema:
    """A JSON schema in the normalized form.

    A list of types becomes `anyOf`, with the keywords of each type inside its branch, because
    KIE loses those next to `anyOf` (docs/wire.md 2). A recursive reference is truncated where
    it recurs, and earlier if the result would be too large.

    Raises:
        ValueError: A reference points to nothing.
    """
    max_nodes = MAX_ADDED_NODES + 4 * sum(1 for _ in walk_schemas(schema))
    for max_ref_depth, copy_siblings in _ATTEMPTS:
        with suppress(_TooLargeError):
            return _Normalizer(schema, max_nodes, max_ref_depth, copy_siblings).normalize(schema)
    return _Normalizer(schema, max_nodes, 0, copy_siblings=False, truncate=True).normalize(schema)


class _TooLargeError(Exception):
    """The normalized schema would have too many nodes."""


@dataclass(slots=True)
class _Normalizer:
    """Normalizes one schema.

    Attributes:
        root: The schema in which references are resolved.
        nodes_left: How many more schemas the result may have.
        max_ref_depth: How many references are followed in a row.
        copy_siblings: Whether the keywords next to `anyOf` are copied into its branches; if not,
            they are added to the description.
        truncate: Whether schemas are truncated when no nodes are left, instead of an error.
    """

    root: Schema
    nodes_left: int
    max_ref_depth: int
    copy_siblings: bool
    truncate: bool = False

    def normalize(self, schema: Any, refs: frozenset[str] = frozenset(), depth: int = 0) -> Schema:
        """Normalize a schema and all schemas inside it.

        Args:
            schema: A dict or a boolean; anything else is read as a schema of any value.
            refs: The references that were followed to reach it.
            depth: How many schemas it is nested in.

        Raises:
            _TooLargeError: The result would have too many nodes.
        """
        flat, refs = self._flatten(schema, refs, depth)
        alternatives = flat.pop("anyOf", None)
        if alternatives is None:
            return _split_types(self._normalize_inner(flat, refs, depth))
        return self._with_alternatives(flat, alternatives, refs, depth)

    def _flatten(
        self, schema: Any, refs: frozenset[str], depth: int
    ) -> tuple[Schema, frozenset[str]]:
        """Merge the targets of `$ref` and `allOf` into a schema, and add the `$ref` to `refs`."""
        self.nodes_left -= 1
        if self.nodes_left < 0 and not self.truncate:
            raise _TooLargeError
        if not isinstance(schema, dict):
            return {}, refs
        if depth > MAX_DEPTH or self.nodes_left < 0:
            return _truncated(schema), refs
        flat = _valid_keywords(schema)
        parts = schema["allOf"] if isinstance(schema.get("allOf"), list) else []
        reference = schema.get("$ref")
        if isinstance(reference, str):
            target = resolve_reference(reference, self.root)
            if reference in refs or len(refs) >= self.max_ref_depth:
                target = _truncated(target, reference)
            else:
                refs |= {reference}
            parts = [target, *parts]
        for part in parts:
            inner, refs = self._flatten(part, refs, depth + 1)
            flat = _intersect(flat, inner)
        return flat, refs

    def _normalize_inner(self, flat: Schema, refs: frozenset[str], depth: int) -> Schema:
        """Normalize the schemas directly inside a schema; remove properties that are `false`."""
        for key in NAMED_SCHEMAS & flat.keys():
            allowed = {name: inner for name, inner in flat[key].items() if inner is not False}
            flat = {**flat, key: allowed}
        return map_subschemas(flat, lambda inner: self.normalize(inner, refs, depth + 1))

    def _with_alternatives(
        self, flat: Schema, alternatives: list[Any], refs: frozenset[str], depth: int
    ) -> Schema:
        """Normalize `anyOf`; the keywords next to it are moved into its branches or described."""
        outside = {k: v for k, v in flat.items() if k in _COMMON_TO_BRANCHES}
        siblings = {k: v for k, v in flat.items() if k not in outside and k != "nullable"}
        are_conditions = bool(siblings) and not any(map(_describes_value, alternatives))
        if siblings and self.copy_siblings and not are_conditions:
            alternatives = [a if _is_null(a) else {"allOf": [a, siblings]} for a in alternatives]
            siblings = {}
        branches = [self.normalize(a, refs, depth + 1) for a in alternatives if a is not False]
        if are_conditions or "type" in siblings or "properties" in siblings:
            plain = _split_types(self._normalize_inner(flat, refs, depth))
            return with_description(plain, f"One of these holds: {as_json_text(branches)}.")
        if flat.get("nullable"):
            branches.append({"type": "null"})
        plain = any_of(branches, self._normalize_inner(outside, refs, depth))
        rest = f"All of this holds: {as_json_text(siblings)}." if siblings else ""
        return with_description(plain, rest)


# --- one schema, without the schemas inside it ----------------------------------------------


def _valid_keywords(schema: Schema) -> Schema:
    """The known keywords of a schema that have valid values, in their newest spelling."""
    flat = dict(schema)
    items = flat.get("items")
    if isinstance(items, list):
        flat["prefixItems"] = items
        flat["items"] = flat.get("additionalItems", True)
    for exclusive, inclusive in _EXCLUSIVE_BOUNDS:
        if flat.get(exclusive) is True and inclusive in flat:
            flat[exclusive] = flat.pop(inclusive)
    flat = {k: v for k, v in flat.items() if k in VALUE_CHECKS and VALUE_CHECKS[k](v)}
    for key, convert in _CONVERTED_KEYWORDS.items():
        if key in schema:
            flat = _intersect(flat, convert(schema[key]))
    if "required" in flat:
        required = (name for name in flat["required"] if isinstance(name, str))
        flat["required"] = list(dict.fromkeys(required))
    if flat.get("items") is True:
        flat["items"] = {}
    elif flat.get("items") is False:
        length = len(flat.get("prefixItems", ()))
        flat["maxItems"] = min(length, flat.get("maxItems", length))
        del flat["items"]
    return flat


_EXCLUSIVE_BOUNDS = (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum"))

_CONVERTED_KEYWORDS: Mapping[str, Callable[[Any], Schema]] = {
    "const": lambda value: {"enum": [value]},
    "type": lambda value: {"type": names} if (names := type_names(value)) else {},
    "oneOf": lambda value: {"anyOf": value} if isinstance(value, list) and value else {},
}


def _truncated(schema: Any, reference: str = "") -> Schema:
    """The type of a schema, and its description or, for a reference, the name of the target."""
    if not isinstance(schema, dict):
        return {}
    types = type_names(schema.get("type"))
    kept: Schema = {"type": types} if types else {}
    if reference and (types or "properties" in schema):
        kept.setdefault("type", ["object"])
        name = reference.rsplit("/", 1)[-1].lstrip("#")
        kept["description"] = f"Another {name}." if name else "Same form as the root."
    elif isinstance(schema.get("description"), str):
        kept["description"] = schema["description"]
    return kept


def _is_null(schema: Any) -> bool:
    return isinstance(schema, dict) and type_names(schema.get("type")) == ["null"]


def _describes_value(schema: Any) -> bool:
    """Whether an alternative says more than which properties are required."""
    return isinstance(schema, dict) and not schema.keys() <= {"required", "not", "description"}


# --- two schemas that must both hold --------------------------------------------------------


def _intersect(first: Schema, second: Schema) -> Schema:
    """One schema for two that must both hold; annotations are those of the first."""
    result = {**second, **first}
    for key in [key for key in second if key in first]:
        if key in _INTERSECTIONS:
            result[key] = _INTERSECTIONS[key](first[key], second[key])
        elif first[key] != second[key]:
            result = with_description(result, f"Also {key}: {as_json_text(second[key])}.")
    return result


def _shared_values(first: list[Any], second: list[Any]) -> list[Any]:
    return [value for value in first if value in second] or first


def _shared_types(first: list[str], second: list[str]) -> list[str]:
    """The types in both lists; an integer is a number."""
    accepted = [[*types, "integer"] if "number" in types else types for types in (first, second)]
    shared = [name for name in first + second if all(name in types for types in accepted)]
    return list(dict.fromkeys(shared)) or first


def _combinations(first: list[Any], second: list[Any]) -> list[Any]:
    """Each alternative of one list with each of the other; only the first list if too many."""
    if len(first) * len(second) > MAX_DEPTH:
        return first
    return [{"allOf": [a, b]} for a in first for b in second]


def _all_properties(first: Schema, second: Schema) -> Schema:
    shared = {name: _all_of(first[name], second[name]) for name in second if name in first}
    return {**second, **first, **shared}


def _all_of(first: Any, second: Any) -> Any:
    return False if first is False or second is False else {"allOf": [first, second]}


_INTERSECTIONS: Mapping[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(ANNOTATIONS, lambda first, _: first),
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems"), min),
    **dict.fromkeys(("minProperties", "minContains"), max),
    **dict.fromkeys(("maxProperties", "maxContains"), min),
    **dict.fromkeys(("items", "additionalProperties"), _all_of),
    **dict.fromkeys(NAMED_SCHEMAS, _all_properties),
    "nullable": lambda first, second: first and second,
    "uniqueItems": lambda first, second: first or second,
    "required": lambda first, second: list(dict.fromkeys([*first, *second])),
    "type": _shared_types,
    "enum": _shared_values,
    "anyOf": _combinations,
}
"""The value of a keyword that two schemas have. For a keyword without a row the value of the
first schema is kept, and that of the second is added to the description."""


# --- one type for each schema ---------------------------------------------------------------


def _types_of(schema: Schema) -> list[str]:
    """The types that a flat schema accepts, as far as they can be known; none for any type."""
    values = schema.get("enum") or ()
    types: list[str] = schema.get("type") or list(dict.fromkeys(map(value_type, values)))
    if not types:
        types = [name for name, keys in KEYWORDS_OF_TYPE.items() if not keys.isdisjoint(schema)]
        types = types if len(types) == 1 else []
    is_nullable = schema.get("nullable") or None in values
    return [*types, "null"] if is_nullable and types and "null" not in types else types


def _split_types(schema: Schema) -> Schema:
    """Make a flat schema of several types an `anyOf` with a branch for each type."""
    types = _types_of(schema)
    schema = {k: v for k, v in schema.items() if k not in {"type", "nullable"}}
    if not types:
        return schema
    outside = {k: v for k, v in schema.items() if k in _COMMON_TO_BRANCHES}
    inside = {k: v for k, v in schema.items() if k not in outside}
    branches = [branch for name in types if (branch := _of_type(name, inside))]
    if not branches:  # no value of the enum has one of the types
        values = inside.pop("enum")
        branches = [_of_type(types[0], inside) or {}]
        outside = with_description(outside, f"One of: {as_json_text(values)[1:-1]}.")
    return any_of(branches, outside)


def _of_type(name: str, keywords: Schema) -> Schema | None:
    """A schema of one type with its keywords among `keywords`; `None` if no enum value fits."""
    applicable = KEYWORDS_OF_TYPE.get("number" if name == "integer" else name, frozenset())
    branch = {
        k: v for k, v in keywords.items() if k not in TYPE_SPECIFIC_KEYWORDS or k in applicable
    }
    if "enum" in branch:
        types = {name, "integer"} if name == "number" else {name}
        branch["enum"] = [value for value in branch["enum"] if value_type(value) in types]
        if not branch["enum"] and name != "null":
            return None
    if name == "null":
        return {"type": "null"}
    if name == "array" and "prefixItems" not in branch:
        branch.setdefault("items", {})
    return {"type": name, **branch}


# --- schemas put together -------------------------------------------------------------------


def any_of(alternatives: list[Schema], outside: Schema) -> Schema:
    """One schema for normalized alternatives, with the keywords of `outside`.

    Nested alternatives are flattened, duplicates removed, and a single one needs no `anyOf`.
    """
    branches: list[Schema] = []
    for alternative in alternatives:
        inner = alternative["anyOf"] if alternative.keys() == {"anyOf"} else [alternative]
        branches += [schema for schema in inner if schema not in branches]
    if len(branches) == 1:
        return {**branches[0], **outside}
    return {**({"anyOf": branches} if branches else {}), **outside}


def with_description(schema: Schema, sentence: str) -> Schema:
    """A schema with `sentence` at the end of its description, unless it is already in it."""
    description = schema.get("description") or ""
    if sentence in description:
        return schema
    return {**schema, "description": f"{description} {sentence}".strip()}


def as_json_text(value: Any) -> str:
    """JSON for a description; values that JSON has no form for are written as Python does.

    Text of more than `_MAX_TEXT_CHARS` characters is cut: a value that refers to one other value
    in several places can have more text than there is memory.
    """
    text, size = [], 0
    try:
        for piece in _ENCODER.iterencode(value):
            text.append(piece)
            size += len(piece)
            if size > _MAX_TEXT_CHARS:
                return "".join(text)[:_MAX_TEXT_CHARS] + "…"
        return "".join(text)
    except (ValueError, TypeError, RecursionError):
        return "(not representable as JSON)"
