"""JSON Schema in one normalized form, which all of KIE's APIs accept, with the meaning kept.

References are resolved, each schema has one type, and alternatives are an `anyOf`. What cannot be
expressed is added to the description. Pure; independent of tools and messages. Sources:
docs/wire.md 2.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_kie._json_schema.combine import any_of, as_json_text, intersect, with_description
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


class _Limits(NamedTuple):
    """How far references are resolved.

    Attributes:
        max_added_nodes: How many schemas the resolved references may add.
        max_recursion: How often a reference is followed inside its own target, and once more.
        max_ref_depth: How many references are followed in a row.
        copy_siblings: Whether the keywords next to `anyOf` are copied into its branches; if not,
            they are added to the description.
        truncate: Whether schemas are truncated when no nodes are left, instead of an error.
    """

    max_added_nodes: int = MAX_ADDED_NODES
    max_recursion: int = 1
    max_ref_depth: int = MAX_DEPTH
    copy_siblings: bool = True
    truncate: bool = False


_ATTEMPTS = (
    *(_Limits(300, max_recursion) for max_recursion in (4, 3, 2)),
    _Limits(),
    _Limits(max_ref_depth=8),
    _Limits(max_ref_depth=4, copy_siblings=False),
    _Limits(max_ref_depth=2, copy_siblings=False),
    _Limits(max_ref_depth=0, copy_siblings=False, truncate=True),
)
"""The first attempt whose result is small enough counts; the last one always is."""

_IS_EMPTY = "Always empty."
_EMPTY_ARRAY: Schema = {
    "type": "array",
    "items": {"type": "string"},
    "maxItems": 0,
    "description": _IS_EMPTY,
}
_EMPTY_CONTAINERS: Mapping[str, Schema] = {
    "items": _EMPTY_ARRAY,
    "prefixItems": _EMPTY_ARRAY,
    "additionalProperties": {
        "type": "object",
        "properties": {},
        "additionalProperties": False,
        "description": _IS_EMPTY,
    },
}
"""What is sent in place of a container of schemas that recur too often, if it must be sent."""

_COMMON_TO_BRANCHES = ANNOTATIONS | CONDITIONS
"""The keywords that stay next to `anyOf`."""


def normalize_schema(schema: Schema) -> Schema:
    """A JSON schema in the normalized form.

    A list of types becomes `anyOf`, with the keywords of each type inside its branch, because
    KIE loses those next to `anyOf` (docs/wire.md 2). A recursive reference is followed a few
    times, as far as the result stays small; then the property that needs it is left out, if it is
    optional or can be null.

    Raises:
        ValueError: A reference points to nothing.
    """
    node_count = sum(1 for _ in walk_schemas(schema))
    for limits in _ATTEMPTS:
        max_nodes = limits.max_added_nodes + 4 * node_count
        with suppress(_TooLargeError):
            try:
                return _Normalizer(schema, max_nodes, limits).normalize(schema)
            except _EndOfRecursionError as end:
                stub = {} if "type" in schema else end.stub
                return {**stub, **_split_types(_truncated(schema))}
    raise AssertionError("the last attempt truncates")  # pragma: no cover


class _TooLargeError(Exception):
    """The normalized schema would have too many nodes."""


class _EndOfRecursionError(Exception):
    """A schema needs a recursive reference that is not followed any more.

    Attributes:
        stub: A normalized schema for it, where it cannot be left out.
        is_nullable: Whether it can be null instead.
    """

    def __init__(self, stub: Schema, *, is_nullable: bool) -> None:
        super().__init__()
        self.stub = stub
        self.is_nullable = is_nullable


@dataclass(slots=True)
class _Normalizer:
    """Normalizes one schema.

    Attributes:
        root: The schema in which references are resolved.
        nodes_left: How many more schemas the result may have.
        limits: How far references are resolved.
    """

    root: Schema
    nodes_left: int
    limits: _Limits

    def normalize(self, schema: Any, refs: tuple[str, ...] = (), depth: int = 0) -> Schema:
        """Normalize a schema and all schemas inside it.

        Args:
            schema: A dict or a boolean; anything else is read as a schema of any value.
            refs: The references that were followed to reach it.
            depth: How many schemas it is nested in.

        Raises:
            _TooLargeError: The result would have too many nodes.
            _EndOfRecursionError: The schema recurs too often.
        """
        flat, refs = self._flatten(schema, refs, depth)
        alternatives = flat.pop("anyOf", None)
        if alternatives is None:
            return _split_types(self._normalize_inner(flat, refs, depth))
        return self._with_alternatives(flat, alternatives, refs, depth)

    def _flatten(
        self, schema: Any, refs: tuple[str, ...], depth: int
    ) -> tuple[Schema, tuple[str, ...]]:
        """Merge the targets of `$ref` and `allOf` into a schema, and add the `$ref` to `refs`."""
        self.nodes_left -= 1
        if self.nodes_left < 0 and not self.limits.truncate:
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
            if refs.count(reference) >= self.limits.max_recursion:
                stub = _split_types(_truncated(target, reference))
                raise _EndOfRecursionError(stub, is_nullable=schema.get("nullable") is True)
            if len(refs) >= self.limits.max_ref_depth:
                target = _truncated(target, reference)
            else:
                refs = (*refs, reference)
            parts = [target, *parts]
        for part in parts:
            inner, refs = self._flatten(part, refs, depth + 1)
            flat = intersect(flat, inner)
        return flat, refs

    def _normalize_inner(self, flat: Schema, refs: tuple[str, ...], depth: int) -> Schema:
        """Normalize the schemas directly inside a schema; remove properties that are `false`.

        Keywords of other types than the schema's are left out: they do not say anything.
        """
        normalized: Schema = {}
        types = _types_of(flat)
        for key, value in flat.items():
            if types and key in TYPE_SPECIFIC_KEYWORDS and not _applies(key, types):
                continue
            if key in NAMED_SCHEMAS:
                normalized[key] = self._normalize_properties(value, flat, refs, depth)
                continue
            try:
                normalized |= map_subschemas(
                    {key: value}, lambda inner: self.normalize(inner, refs, depth + 1)
                )
            except _EndOfRecursionError:
                if key in _EMPTY_CONTAINERS:
                    is_nullable = flat.get("nullable") is True or "null" in flat.get("type", ())
                    raise _EndOfRecursionError(
                        _EMPTY_CONTAINERS[key], is_nullable=is_nullable
                    ) from None
        if "required" in flat:
            removed = flat.get("properties", {}).keys() - normalized.get("properties", {}).keys()
            normalized["required"] = [name for name in flat["required"] if name not in removed]
        return normalized

    def _normalize_properties(
        self, properties: Schema, flat: Schema, refs: tuple[str, ...], depth: int
    ) -> Schema:
        """Normalize properties; leave out those that recur too often, if others are left."""
        kept: Schema = {}
        left_out: Schema = {}
        required = flat.get("required", ())
        for name, inner in properties.items():
            if inner is False:
                continue
            try:
                kept[name] = self.normalize(inner, refs, depth + 1)
            except _EndOfRecursionError as end:
                is_optional = name not in required or end.is_nullable
                (left_out if is_optional else kept)[name] = end.stub
        return kept or left_out

    def _with_alternatives(
        self, flat: Schema, alternatives: list[Any], refs: tuple[str, ...], depth: int
    ) -> Schema:
        """Normalize `anyOf`; the keywords next to it are moved into its branches or described."""
        alternatives = [alternative for alternative in alternatives if alternative is not False]
        outside = {k: v for k, v in flat.items() if k in _COMMON_TO_BRANCHES}
        siblings = {k: v for k, v in flat.items() if k not in outside and k != "nullable"}
        are_conditions = bool(siblings) and not any(map(_describes_value, alternatives))
        if siblings and self.limits.copy_siblings and not are_conditions:
            alternatives = [a if _is_null(a) else {"allOf": [a, siblings]} for a in alternatives]
            siblings = {}
        branches = self._normalize_branches(flat, alternatives, refs, depth)
        if are_conditions or "type" in siblings or "properties" in siblings:
            plain = _split_types(self._normalize_inner(flat, refs, depth))
            return with_description(plain, f"One of these holds: {as_json_text(branches)}.")
        if flat.get("nullable"):
            branches.append({"type": "null"})
        plain = any_of(branches, self._normalize_inner(outside, refs, depth))
        rest = f"All of this holds: {as_json_text(siblings)}." if siblings else ""
        return with_description(plain, rest)

    def _normalize_branches(
        self, flat: Schema, alternatives: list[Any], refs: tuple[str, ...], depth: int
    ) -> list[Schema]:
        """Normalize alternatives; leave out those that recur too often.

        Raises:
            _EndOfRecursionError: Nothing is left but null.
        """
        branches: list[Schema] = []
        ends: list[_EndOfRecursionError] = []
        for alternative in alternatives:
            try:
                branches.append(self.normalize(alternative, refs, depth + 1))
            except _EndOfRecursionError as end:
                ends.append(end)
        if ends and all(map(_is_null, branches)):
            is_nullable = bool(branches) or flat.get("nullable") is True
            is_nullable = is_nullable or any(end.is_nullable for end in ends)
            raise _EndOfRecursionError(ends[0].stub, is_nullable=is_nullable)
        return branches


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
            flat = intersect(flat, convert(schema[key]))
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


def _applies(keyword: str, types: list[str]) -> bool:
    """Whether a keyword of one type says something about values of one of `types`."""
    names = ("number" if name == "integer" else name for name in types)
    return any(keyword in KEYWORDS_OF_TYPE.get(name, ()) for name in names)


def _of_type(name: str, keywords: Schema) -> Schema | None:
    """A schema of one type with its keywords among `keywords`; `None` if no enum value fits."""
    branch = {
        k: v for k, v in keywords.items() if k not in TYPE_SPECIFIC_KEYWORDS or _applies(k, [name])
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
