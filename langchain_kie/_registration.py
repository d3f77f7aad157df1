"""Makes `"kie:<model>"` a model name for LangChain and Deep Agents."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from langchain_kie._answer.messages import PROVIDER
from langchain_kie.errors import KieConfigurationError

if TYPE_CHECKING:
    from langchain_kie.chat_models import ChatKieGemini

_MODULE, _TABLE = "langchain.chat_models.base", "_BUILTIN_PROVIDERS"
"""LangChain 1.5.2 has no public way to add a provider. Can go when it has one."""


def register() -> None:
    """Let LangChain find this package's models by name: `"kie:gemini-3.5-flash"`.

    Afterwards `init_chat_model`, `create_agent` and middleware accept such names. Deep Agents
    calls it itself. It adds a row to a private table of `langchain` 1.4 and 1.5, because there
    is no public one; a later version may not have it.

    Example:
        ```python
        from langchain.chat_models import init_chat_model

        import langchain_kie

        langchain_kie.register()
        model = init_chat_model("kie:gemini-3.5-flash")
        ```

    Raises:
        ImportError: The package `langchain` is not installed.
        KieConfigurationError: This version of `langchain` has no such table.
    """
    try:
        table = getattr(import_module(_MODULE), _TABLE, None)
    except ModuleNotFoundError as error:
        if error.name == "langchain":
            raise ImportError("register() needs langchain: pip install langchain") from None
        table = None
    is_known = isinstance(table, dict) and all(
        isinstance(row, tuple) and [type(part) for part in row[:2]] == [str, str] and len(row) == 3  # noqa: PLR2004 - module, class, how to call it
        for row in table.values()
    )
    if not is_known or table is None:
        raise KieConfigurationError(
            "this version of langchain does not let other packages add models by name; pass "
            "ChatKieGemini(model=...) instead of a name"
        )
    table.setdefault(PROVIDER, ("langchain_kie", "ChatKieGemini", _create))


def _create(cls: type[ChatKieGemini], **kwargs: Any) -> ChatKieGemini:
    return cls(**kwargs)
