"""JSON Schema to what each dialect accepts, keeping the meaning.

Both go through one plain form: references resolved, one type a schema, alternatives as `anyOf`.
What a dialect cannot say goes into the description, in words. Pure; knows nothing of tools or
messages. Sources: docs/wire.md 2.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_kie._json_schema.keywords import (
    ANNOTATIONS,
    BOUND_KEYS,
    CONDITIONS,
    KEYS_OF_TYPE,
    LISTED_SCHEMAS,
    MAX_DEPTH,
    NAMED_SCHEMAS,
    ONE_SCHEMA,
    WELL_FORMED,
    Schema,
    find,
    schemas,
    type_names,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ROOM = 2_000
"""How many schemas the references may add to a schema before they are cut shorter."""


_REACHES = ((MAX_DEPTH, True), (8, True), (4, False), (2, False), (0, False))
"""How deep references are followed, and whether keywords are copied into branches: the first
that leaves a schema small enough."""


def for_chat_completions(schema: Schema) -> Schema:
    """A schema for the OpenAI-shaped dialect: references resolved, one type a schema.

    A list of types becomes `anyOf`, with each type's own keywords inside its branch, because
    KIE loses those that stand beside it (docs/wire.md 2). A recursion is cut where it begins
    again, and sooner where the whole would become too large.

    Raises:
        ValueError: A reference leads nowhere.
    """
    max_nodes = _ROOM + 4 * _size(schema)
    for max_ref_depth, spread in _REACHES[:-1]:
        try:
            return _Normalizer(schema, max_ref_depth, max_nodes, spread=spread).schema(schema)
        except _TooLarge:
            continue
    return _Normalizer(schema, 0, max_nodes, spread=False, is_last=True).schema(schema)


def _size(schema: Any) -> int:
    return sum(1 for _ in schemas(schema))


class _TooLarge(Exception):  # noqa: N818
    """The references of a schema make it too large."""


class _Normalizer:
    """One schema on its way to the plain form.

    Args:
        root: Where references are looked up.
        max_ref_depth: How many references may lead from one to the next.
        max_nodes: How many schemas may be made.
        spread: Whether keywords beside alternatives are copied into each.
        is_last: What finds no room is cut, where else all is given up.
    """

    def __init__(
        self,
        root: Schema,
        max_ref_depth: int,
        max_nodes: int,
        *,
        spread: bool,
        is_last: bool = False,
    ) -> None:
        self._root = root
        self._max_ref_depth = max_ref_depth
        self._max_nodes = max_nodes
        self._spread = spread
        self._is_last = is_last

    def schema(self, schema: Any, refs: frozenset[str] = frozenset(), depth: int = 0) -> Schema:
        """A schema in the plain form.

        Args:
            schema: What may be a schema.
            refs: The references that led here.
            depth: How deep it stands.
        """
        flat, refs = self._flat(schema, refs, depth)
        alternatives = flat.pop("anyOf", None)
        if alternatives is None:
            return _one_type_a_branch(flat, self._walked(flat, refs, depth))
        return self._with_alternatives(flat, alternatives, refs, depth)

    def _flat(self, schema: Any, refs: frozenset[str], depth: int) -> tuple[Schema, frozenset[str]]:
        """A schema that says itself what its `$ref` and `allOf` say, one level of it."""
        self._max_nodes -= 1
        if self._max_nodes < 0 and not self._is_last:
            raise _TooLarge
        if not isinstance(schema, dict):
            return {}, refs
        if depth > MAX_DEPTH or self._max_nodes < 0:
            return _truncated(schema), refs
        flat = _well_formed(schema)
        parts = schema["allOf"] if isinstance(schema.get("allOf"), list) else []
        reference = schema.get("$ref")
        if isinstance(reference, str):
            target = find(reference, self._root)
            if reference in refs or len(refs) >= self._max_ref_depth:
                parts = [_truncated(target, reference), *parts]
            else:
                refs |= {reference}
                parts = [target, *parts]
        for part in parts:
            inner, refs = self._flat(part, refs, depth + 1)
            flat = _intersect(flat, inner)
        return flat, refs

    def _walked(self, flat: Schema, refs: frozenset[str], depth: int) -> Schema:
        """A schema's keywords, the schemas in them in the plain form."""
        walked: Schema = {}
        for key, value in flat.items():
            if key in NAMED_SCHEMAS:
                walked[key] = {
                    name: self.schema(inner, refs, depth + 1)
                    for name, inner in value.items()
                    if inner is not False
                }
            elif key in LISTED_SCHEMAS:
                walked[key] = [self.schema(inner, refs, depth + 1) for inner in value]
            elif key in ONE_SCHEMA and (key == "items" or isinstance(value, dict)):
                walked[key] = self.schema(value, refs, depth + 1)
            else:
                walked[key] = value
        return walked

    def _with_alternatives(
        self, flat: Schema, alternatives: list[Any], refs: frozenset[str], depth: int
    ) -> Schema:
        """A schema with alternatives; what stands beside them goes into each, or into words."""
        outside = {k: v for k, v in flat.items() if k in ANNOTATIONS | CONDITIONS}
        beside = {k: v for k, v in flat.items() if k not in outside and k != "nullable"}
        are_remarks = bool(beside) and not any(map(_says_what, alternatives))
        if beside and self._spread and not are_remarks:
            alternatives = [a if _is_null(a) else {"allOf": [a, beside]} for a in alternatives]
            beside = {}
        made = [self.schema(a, refs, depth + 1) for a in alternatives if a is not False]
        outside = self._walked(outside, refs, depth)
        if beside and (are_remarks or "type" in beside or "properties" in beside):
            flat = {k: v for k, v in flat.items() if k not in outside}
            plain = _one_type_a_branch(flat, self._walked(flat, refs, depth) | outside)
            return with_description(plain, f"One of these holds: {as_json_text(made)}.")
        if flat.get("nullable"):
            made.append({"type": "null"})
        plain = any_of(made, outside)
        return (
            with_description(plain, f"All of this holds: {as_json_text(beside)}.")
            if beside
            else plain
        )


def _well_formed(schema: Schema) -> Schema:
    """The keywords of a schema that mean something, older ones in today's words."""
    flat = dict(schema)
    items = flat.get("items")
    if isinstance(items, list):
        flat["prefixItems"] = items
        flat["items"] = flat.get("additionalItems", True)
    for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if flat.get(bound) is True and limit in flat:
            flat[bound] = flat.pop(limit)
    flat = {
        key: value for key, value in flat.items() if key in WELL_FORMED and WELL_FORMED[key](value)
    }
    for key in ("const", "type", "oneOf"):
        if key in schema:
            flat = _intersect(flat, _OLDER[key](schema[key]))
    if "required" in flat:
        names = (name for name in flat["required"] if isinstance(name, str))
        flat["required"] = list(dict.fromkeys(names))
    if flat.get("items") is False:
        most = len(flat.get("prefixItems", ()))
        flat["maxItems"] = min(most, flat.get("maxItems", most))
        del flat["items"]
    return flat


_OLDER: Mapping[str, Callable[[Any], Schema]] = {
    "const": lambda value: {"enum": [value]},
    "type": lambda value: {"type": names} if (names := type_names(value)) else {},
    "oneOf": lambda value: {"anyOf": value} if isinstance(value, list) and value else {},
}


def _truncated(schema: Any, reference: str = "") -> Schema:
    """A schema without what is inside it."""
    if not isinstance(schema, dict):
        return {}
    names = type_names(schema.get("type"))
    kept: Schema = {"type": names} if names else {}
    if reference and (names or "properties" in schema):
        kept.setdefault("type", ["object"])
        name = reference.rsplit("/", 1)[-1].lstrip("#")
        kept["description"] = f"Another {name}." if name else "Of the form of the whole."
    elif isinstance(schema.get("description"), str):
        kept["description"] = schema["description"]
    return kept


def _common(first: list[Any], second: list[Any]) -> list[Any]:
    return [value for value in first if value in second] or first


def _common_types(first: list[str], second: list[str]) -> list[str]:
    """The types in both lists; an integer is a number."""
    wide = {"integer"} if "number" in first else set()
    narrow = {"integer"} if "number" in second else set()
    both = [name for name in first if name in second or name in narrow]
    return both + [name for name in second if name in wide and name not in both] or first


def _pairs(first: list[Any], second: list[Any]) -> list[Any]:
    if len(first) * len(second) > MAX_DEPTH:
        return first
    return [{"allOf": [a, b]} for a in first for b in second]


def _each_name(first: Schema, second: Schema) -> Schema:
    shared = {name: _all_of(first[name], second[name]) for name in second if name in first}
    return {**second, **first, **shared}


def _all_of(first: Any, second: Any) -> Any:
    return False if first is False or second is False else {"allOf": [first, second]}


_BOTH: Mapping[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(ANNOTATIONS, lambda first, _: first),
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems"), min),
    **dict.fromkeys(("minProperties", "minContains"), max),
    **dict.fromkeys(("maxProperties", "maxContains"), min),
    **dict.fromkeys(("items", "additionalProperties"), _all_of),
    **dict.fromkeys(NAMED_SCHEMAS, _each_name),
    "nullable": lambda first, second: first and second,
    "uniqueItems": lambda first, second: first or second,
    "required": lambda first, second: list(dict.fromkeys([*first, *second])),
    "type": _common_types,
    "enum": _common,
    "anyOf": _pairs,
}
"""What a keyword says when two schemas must both hold; of any other, the second is told."""


def _intersect(first: Schema, second: Schema) -> Schema:
    """What two flat schemas say together; about themselves, the first one speaks."""
    merged = {**second, **first}
    for key in [key for key in second if key in first]:
        if key in _BOTH:
            merged[key] = _BOTH[key](first[key], second[key])
        elif first[key] != second[key]:
            merged = with_description(merged, f"Also {key}: {as_json_text(second[key])}.")
    return merged


def _is_null(schema: Any) -> bool:
    return isinstance(schema, dict) and type_names(schema.get("type")) == ["null"]


def _says_what(schema: Any) -> bool:
    """Whether an alternative says what a value is, and not only which parts it must have."""
    return isinstance(schema, dict) and not schema.keys() <= {"required", "not", "description"}


def _kind_of(value: Any) -> str:
    """The type of a value of an enum."""
    if value is None or isinstance(value, (bool, int)):
        kind = "integer" if isinstance(value, int) else "null"
        return "boolean" if isinstance(value, bool) else kind
    kinds = {float: "number", str: "string", list: "array", tuple: "array", dict: "object"}
    return next((name for cls, name in kinds.items() if isinstance(value, cls)), "string")


def _types_of(flat: Schema) -> list[str]:
    """The types of a flat schema; of one that names none, those that it must mean."""
    values = flat.get("enum")
    types: list[str] = list(flat.get("type", ()))
    if not types and values:
        types = list(dict.fromkeys(map(_kind_of, values)))
    elif not types:
        types = [name for name, keys in KEYS_OF_TYPE.items() if not keys.isdisjoint(flat)]
        types = types if len(types) == 1 else []
    is_nullable = flat.get("nullable") or (types and values and None in values)
    return [*types, "null"] if is_nullable and types and "null" not in types else types


def _one_type_a_branch(flat: Schema, walked: Schema) -> Schema:
    """A plain schema of the keywords `walked`, with a branch for each of the flat one's types."""
    types = _types_of(flat)
    walked = {k: v for k, v in walked.items() if k not in {"type", "nullable"}}
    if not types:
        return walked
    outside = {k: v for k, v in walked.items() if k in ANNOTATIONS | CONDITIONS}
    inside = {k: v for k, v in walked.items() if k not in outside}
    branches = [branch for name in types if (branch := _of_type(name, inside))]
    if not branches:
        untyped = {k: v for k, v in inside.items() if k != "enum"}
        branches = [_of_type(types[0], untyped) or {}]
        outside = with_description(outside, f"One of: {as_json_text(inside['enum'])[1:-1]}.")
    return any_of(branches, outside)


def _of_type(name: str, keywords: Schema) -> Schema | None:
    """What keywords say of one type, `None` if they rule it out."""
    own = KEYS_OF_TYPE.get("number" if name == "integer" else name, frozenset())
    branch = {k: v for k, v in keywords.items() if k not in BOUND_KEYS or k in own}
    if "enum" in branch:
        kinds = {name, "integer"} if name == "number" else {name}
        branch["enum"] = [v for v in branch["enum"] if _kind_of(v) in kinds]
        if not branch["enum"] and name != "null":
            return None
    if name == "null":
        return {"type": "null"}
    if name == "array" and "prefixItems" not in branch:
        branch.setdefault("items", {})
    return {"type": name, **branch}


def any_of(alternatives: list[Schema], outside: Schema) -> Schema:
    """Plain alternatives in one schema, those inside others with them, each once."""
    made: list[Schema] = []
    for alternative in alternatives:
        inner = alternative["anyOf"] if alternative.keys() == {"anyOf"} else [alternative]
        made += [schema for schema in inner if schema not in made]
    if len(made) == 1:
        return {**made[0], **outside}
    return {**({"anyOf": made} if made else {}), **outside}


def with_description(schema: Schema, words: str) -> Schema:
    """A schema whose description ends in `words`."""
    told = schema.get("description") or ""
    if words in told:
        return schema
    return {**schema, "description": f"{told} {words}".strip()}


def as_json_text(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    except (ValueError, TypeError, RecursionError):
        return "(what JSON cannot say)"
