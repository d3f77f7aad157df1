"""The JSON schema of a `TypedDict`.

LangChain's conversion (seen in langchain-core 1.8.3) fails for `NotRequired`, and makes every key
required and not nullable. It can be used once it reads both (langchain#34085, #36490).
"""

from __future__ import annotations

import types
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
)

from langchain_core.utils.function_calling import convert_to_openai_function
from pydantic import Field, TypeAdapter
from pydantic.errors import PydanticUserError
from typing_extensions import ReadOnly, TypedDict, get_type_hints, is_typeddict

if TYPE_CHECKING:
    from langchain_kie._json import Json

_new_typed_dict: Any = TypedDict
_MARKERS: dict[Any, bool | None] = {Required: True, NotRequired: False, ReadOnly: None}
"""The markers of a key, and whether it is then required; `None` leaves that unchanged."""


def typed_dict_schema(typed_dict: type) -> Json:
    """The JSON schema of a `TypedDict`, in either form of annotations.

    `Annotated[<type>, <default or ...>, <description>]` is LangChain's form; `Annotated` with
    pydantic's `Field` is read too, and the `Args` of the docstring.

    Raises:
        ValueError: A type has no JSON schema, or an annotation names an unknown type.
    """
    try:
        schema = TypeAdapter(_convert(typed_dict, {})).json_schema()
    except (PydanticUserError, NameError) as error:
        raise ValueError(f"{typed_dict.__name__} has no JSON schema: {error}") from error
    return {"title": typed_dict.__name__, **schema}


def _convert(annotation: Any, converted: dict[Any, Any]) -> Any:
    """A type in which every `TypedDict` is one that pydantic can read.

    On Python 3.11, pydantic reads only those of `typing_extensions`.
    """
    if is_typeddict(annotation):
        return converted.get(annotation) or _convert_typed_dict(annotation, converted)
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is None or origin is Literal or not args:
        return annotation
    if origin is Annotated:
        return Annotated[(_convert(args[0], converted), *args[1:])]
    inner = tuple(_convert(arg, converted) for arg in args)
    if inner == args:
        return annotation
    return Union[inner] if origin is types.UnionType else origin[inner]  # noqa: UP007


def _convert_typed_dict(typed_dict: Any, converted: dict[Any, Any]) -> Any:
    new = _new_typed_dict(typed_dict.__name__, {})
    converted[typed_dict] = new  # before its members, which can refer to it
    description, descriptions = _docstring(typed_dict)
    annotations: dict[str, Any] = {}
    required: set[str] = set()
    for name, hint in get_type_hints(typed_dict, include_extras=True).items():
        is_required, inner = name in typed_dict.__required_keys__, hint
        while (origin := get_origin(inner)) in _MARKERS:
            marked, inner = _MARKERS[origin], get_args(inner)[0]
            is_required = is_required if marked is None else marked
        inner, has_default = _with_field(inner, descriptions.get(name))
        annotations[name] = _convert(inner, converted)
        required |= {name} if is_required and not has_default else set()
    new.__annotations__ = annotations
    new.__required_keys__ = frozenset(required)
    new.__optional_keys__ = frozenset(annotations.keys() - required)
    new.__doc__ = description
    new.__module__, new.__qualname__ = typed_dict.__module__, typed_dict.__qualname__
    return new


def _with_field(annotation: Any, description: str | None) -> tuple[Any, bool]:
    """A type with its description as pydantic's `Field`; whether it has a default."""
    extra: Json = {}
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        if metadata[0] is ... or isinstance(metadata[-1], str):  # LangChain's form
            annotation = inner
            described = [one for one in metadata[-1:] if isinstance(one, str)]
            description = description or next(iter(described), None)
            if len(metadata) > 1 and metadata[0] is not ...:
                extra = {"default": metadata[0]}
    if description or extra:
        field = Field(description=description, json_schema_extra=extra or None)
        annotation = Annotated[annotation, field]
    return annotation, bool(extra)


def _docstring(typed_dict: Any) -> tuple[str | None, dict[str, str]]:
    """The description of a `TypedDict`, and those of its members, from its docstring."""
    doc = typed_dict.__doc__
    if not doc or "\n" not in doc:
        return doc, {}
    texts = _new_typed_dict(typed_dict.__name__, dict.fromkeys(typed_dict.__annotations__, str))
    texts.__doc__ = doc
    function = convert_to_openai_function(texts)
    properties = function["parameters"]["properties"]
    described = {k: v["description"] for k, v in properties.items() if "description" in v}
    return function.get("description"), described
