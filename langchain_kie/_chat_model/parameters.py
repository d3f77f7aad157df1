"""The constructor's parameters: their names, their values in a copy, and their descriptions."""

from __future__ import annotations

import re
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, TypeAdapter

from langchain_kie._parameter_names import check_unknown, refuse_secrets, without_foreign
from langchain_kie._settings import ALIASES, CALL_ONLY, OPTION_NAMES, OTHER_NAMES
from langchain_kie.errors import KieConfigurationError

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

_CALL_OPTIONS = frozenset({*OPTION_NAMES, *CALL_ONLY, *OTHER_NAMES, "model", "api", "timeout"})


def resolve_names(
    cls: type[BaseModel], values: Mapping[str, Any], model_kwargs: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Resolve aliases; a name that is not a field goes into `model_kwargs`, with a warning.

    Args:
        cls: The class of the model.
        values: Parameters, by the names that the caller used.
        model_kwargs: The `model_kwargs` of the model that is copied, to which such a name
            is added.

    Raises:
        KieConfigurationError: A parameter is given twice, looks like a secret, or is another
            package's name for something.
    """
    known: dict[str, Any] = {}
    for given, value in values.items():
        name = ALIASES.get(given, given)
        if name in known:
            raise KieConfigurationError(f"{name} is given twice, once under an alias")
        known[name] = value
    extra = {name: known.pop(name) for name in known.keys() - cls.model_fields.keys()}
    given_kwargs = known.get("model_kwargs") or {}
    if isinstance(given_kwargs, dict):
        refuse_secrets(given_kwargs)
    if extra:
        names = (*cls.model_fields, *ALIASES)
        extra = check_unknown(extra, names, "not a parameter of ChatKieGemini")
        old = {} if given_kwargs else model_kwargs or {}
        known["model_kwargs"] = {**old, **extra, **given_kwargs}
    return known


def refuse_misplaced(names: Container[str], call_kwargs: Mapping[str, Any]) -> None:
    """Refuse what a call cannot have, before a trace or a binding shows it.

    Args:
        names: The names of the model's parameters.
        call_kwargs: The keyword arguments of a call.

    Raises:
        KieConfigurationError: An option can only be set on the model, looks like a secret, or is
            another package's name for something.
    """
    others = {n: value for n, value in call_kwargs.items() if n not in _CALL_OPTIONS}
    if misplaced := [name for name in others if name in names]:
        raise KieConfigurationError(
            f"{', '.join(sorted(misplaced))}: can only be set on the model, not on a call"
        )
    if others:
        refuse_secrets(others)
        without_foreign(others, "not a known option")


def set_values(model: BaseModel, update: Mapping[str, Any]) -> None:
    """Set parameters of a copy; the values are checked as the constructor checks them.

    Raises:
        KieConfigurationError: A setting cannot be used.
        ValueError: A value has the wrong type.
    """
    cls, values = type(model), model.__dict__
    fields = {n: v for n, v in values.items() if n in cls.model_fields}
    changes = resolve_names(cls, update, fields["model_kwargs"])
    checked = cls(**{**fields, **changes})
    for name in values.keys() - fields.keys():
        del values[name]  # what calls cached of the old values
    values.update({name: getattr(checked, name) for name in (*changes, "profile")})
    model.__pydantic_fields_set__.update(changes)


def describe(cls: type[BaseModel]) -> None:
    """Set the descriptions of the parameters, from the docstring of their class."""
    docstring = cleandoc(cls.__doc__ or "")
    entries = re.findall(r"^ {4}([a-z_]+): (.+(?:\n {8}.+)*)", docstring, re.MULTILINE)
    for name, text in entries:
        cls.model_fields[name].description = " ".join(text.split())


def json_schema_of(cls: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of the described parameters; others hold objects without a schema."""
    properties = {
        name: {
            **TypeAdapter(field.rebuild_annotation()).json_schema(),
            "description": field.description,
            **({} if field.is_required() else {"default": field.get_default()}),
        }
        for name, field in cls.model_fields.items()
        if field.description
    }
    return {
        "title": cls.__name__,
        "type": "object",
        "properties": properties,
        "required": ["model"],
    }
