"""What LangChain asks of every chat model: its name, its serialised forms, its input.

A base class of `ChatKieGemini` that is not a pydantic model: another one would take as long to
create as the model's class itself.
"""

from __future__ import annotations

from copy import copy
from functools import cache
from inspect import signature
from typing import TYPE_CHECKING, Any, Self, TypeVar

from langchain_core.load.load import ALL_SERIALIZABLE_MAPPINGS
from langchain_core.messages import BaseMessage
from langchain_core.prompt_values import ChatPromptValue
from pydantic import SecretStr

from langchain_kie._answer.messages import PROVIDER
from langchain_kie._chat_model.parameters import refuse_misplaced
from langchain_kie._parameter_names import refuse_secrets
from langchain_kie._settings import GENERATION_PARAMETERS, ModelOptions, resolve_aliases, stop_list

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.language_models import LangSmithParams, LanguageModelInput
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.prompt_values import PromptValue

    class _ChatModel(BaseChatModel):
        model: str
        model_kwargs: dict[str, Any]
        stop: list[str] | str | None
        http_client: Any
        http_async_client: Any

else:
    _ChatModel = object

CallableT = TypeVar("CallableT", bound="Callable[..., Any]")

_LC_PATH = ("langchain_kie", "chat_models", "ChatKieGemini")
ALL_SERIALIZABLE_MAPPINGS.setdefault(_LC_PATH, _LC_PATH)
"""With `allowed_objects="all"`, `langchain_core.load` revives only classes that are listed here
(langchain-core 1.7.2), and only where the caller lists the namespace too. It can go when packages
can register themselves."""

_DEFAULTS = {
    **dict.fromkeys(("model", "api", "base_url", *GENERATION_PARAMETERS)),
    **vars(ModelOptions()),
    "model_kwargs": None,
}
"""The parameters that identify a model, and the defaults that need not be named."""


def keep_signature(method: CallableT) -> CallableT:
    """Decorate a method whose signature LangChain inspects at each call (langchain-core 1.8.3).

    `inspect` takes 15 us, and 4 us if the signature is kept. It can go when LangChain keeps it.
    """
    method.__signature__ = signature(method)  # type: ignore[attr-defined]
    return method


@cache
def _is_message_class(cls: type) -> bool:
    return issubclass(cls, BaseMessage)


class LangChainHooks(_ChatModel):
    """The methods of `ChatKieGemini` that only LangChain calls."""

    @property
    def lc_secrets(self) -> dict[str, str]:
        """The environment variable that replaces the key in a serialised model."""
        return {"api_key": "KIE_API_KEY"}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether `langchain_core.load` can dump and load the model."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """The namespace of a serialised model."""
        return [*_LC_PATH[:-1]]

    @property
    def _llm_type(self) -> str:
        return "kie-gemini-chat"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        values = self.__dict__
        return {
            name: values[name]
            for name, default in _DEFAULTS.items()
            if values[name] != default and values[name] not in (None, {})
        }

    def _get_invocation_params(
        self, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        call_kwargs = resolve_aliases(kwargs)
        if call_kwargs:
            refuse_misplaced(self.__dict__, call_kwargs)
        if self.model_kwargs:  # somebody may have added to it
            refuse_secrets(self.model_kwargs)
        stop_of_call = call_kwargs.pop("stop", None) if stop is None else stop
        return super()._get_invocation_params(stop=stop_of_call, **call_kwargs)

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        call_kwargs = resolve_aliases(kwargs)
        stop_of_call = call_kwargs.pop("stop", self.stop) if stop is None else stop
        params = super()._get_ls_params(stop=stop_list(stop_of_call) or None, **call_kwargs)
        params["ls_provider"] = PROVIDER
        return params

    if not TYPE_CHECKING:  # the types are LangChain's

        def __setattr__(self, name: str, value: Any) -> None:
            """Set a parameter so that `repr`, traces and serialised forms show no secret."""
            if name == "api_key" and isinstance(value, str):
                value = SecretStr(value)
            elif name == "model_kwargs" and isinstance(value, dict):
                refuse_secrets(value)
            super().__setattr__(name, value)

        def bind(self, **kwargs: Any) -> Any:
            """Bind options of a call to the model.

            Args:
                **kwargs: Options of a call.

            Returns:
                The model with the options bound.

            Raises:
                KieConfigurationError: An option can only be set on the model, looks like a secret
                    that the binding would show, or is another package's name for something.
            """
            refuse_misplaced(self.__dict__, resolve_aliases(kwargs))
            return super().bind(**kwargs)

    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None]) -> dict[str, Any]:
        """What `generate` says of all its calls together."""
        names = [output["model_name"] for output in llm_outputs if output]
        return {"model_name": names[0] if names else self.model}

    def __getstate__(self) -> dict[Any, Any]:
        """Pickle without the user's HTTP clients, and without values that calls cached.

        Connections cannot be pickled. The pickle, and so a hash of it, does not change by calls.
        """
        state = super().__getstate__()
        fields = {n: v for n, v in state["__dict__"].items() if n in type(self).model_fields}
        fields |= {"http_client": None, "http_async_client": None}
        return {**state, "__dict__": fields}

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Copy the model; the copy shares the user's HTTP clients."""
        memo = memo if memo is not None else {}
        for client in (self.http_client, self.http_async_client):
            memo[id(client)] = client
        return super().__deepcopy__(memo)

    def _convert_input(self, model_input: LanguageModelInput) -> PromptValue:
        if isinstance(model_input, list) and all(
            map(_is_message_class, set(map(type, model_input)))
        ):
            prompt: PromptValue = ChatPromptValue.model_construct(messages=[*model_input])
        else:
            prompt = super()._convert_input(model_input)
        if not isinstance(prompt, ChatPromptValue):
            return prompt
        if not [message for message in prompt.messages if message.content.__class__ is not str]:
            return prompt
        from langchain_kie._conversation.cache import repaired_message  # noqa: PLC0415

        return ChatPromptValue(messages=[repaired_message(message) for message in prompt.messages])

    def _convert_cached_generations(self, cache_val: list[Any]) -> list[Any]:
        """Convert copies: the originals may be the result of a call that has not ended.

        LangChain sets the cost of cached messages to 0, also in the original (langchain-core
        1.8.3), so that a callback takes a paid answer for a cached one. This can go when it copies.
        """
        return super()._convert_cached_generations([copy(cached) for cached in cache_val])
