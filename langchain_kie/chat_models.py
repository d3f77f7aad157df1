"""`ChatKieGemini`: joins LangChain, the codecs and the transport.

Fields, options and glue only: `_wire` knows what a message looks like in a request, `_http` sends
it, `_catalog` knows what differs by model. Modules that only a call or a tool needs are imported
where they are used, so that importing this package and constructing a model are fast.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from copy import copy
from functools import cache
from http import HTTPStatus
from inspect import cleandoc
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar, cast, overload

from langchain_core.language_models import LangSmithParams, LanguageModelInput
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.load.load import ALL_SERIALIZABLE_MAPPINGS
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.prompt_values import ChatPromptValue, PromptValue
from langchain_core.runnables import Runnable
from langchain_core.utils import from_env, secret_from_env
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from langchain_kie import _settings, _warm_up
from langchain_kie._answer import content_blocks
from langchain_kie._answer.messages import PROVIDER, chat_result, generation_chunks, merge_chunks
from langchain_kie._catalog import Api, CatalogProfile, model_hint, profile_of, resolve
from langchain_kie._parameter_names import check_unknown, refuse_secrets
from langchain_kie._settings import (
    ALIASES,
    CALL_ONLY,
    OPTION_NAMES,
    MediaUpload,
    Method,
    ModelOptions,
    resolve_aliases,
    stop_list,
)
from langchain_kie.errors import KieConfigurationError, KieError, KieModelNotFoundError

if TYPE_CHECKING:
    from langchain_core.caches import BaseCache
    from langchain_core.callbacks import (
        AsyncCallbackManagerForLLMRun,
        BaseCallbackHandler,
        BaseCallbackManager,
        CallbackManagerForLLMRun,
    )
    from langchain_core.language_models.model_profile import ModelProfile
    from langchain_core.messages import AIMessageChunk
    from langchain_core.outputs import ChatGenerationChunk, ChatResult
    from langchain_core.rate_limiters import BaseRateLimiter
    from langchain_core.tools import BaseTool
    from typing_extensions import TypedDict, Unpack

    from langchain_kie._answer.assembler import MessageAssembler
    from langchain_kie._http.transport import Transport
    from langchain_kie._request import PreparedCall
    from langchain_kie._settings import AsyncHttpClient, HttpClient, Timeout
    from langchain_kie.files import KieFiles

    class _Parameters(TypedDict, total=False):
        """What the constructor takes besides the model: fields, aliases, LangChain's parameters."""

        api_key: SecretStr | str | None
        kie_api_key: SecretStr | str | None
        base_url: str
        allow_http: bool
        api: Api | None
        temperature: float | None
        top_p: float | None
        max_tokens: int | None
        max_output_tokens: int | None
        max_completion_tokens: int | None
        stop: Sequence[str] | None
        stop_sequences: Sequence[str] | None
        reasoning_effort: str | None
        thinking_level: str | None
        include_thoughts: bool | None
        check_combinations: bool
        media_upload: MediaUpload
        inline_media_limit: int
        require_media_seen: bool
        detect_error_text: bool
        stream_invoke: bool | None
        stream_usage: bool
        upload_url: str | None
        streaming: bool
        timeout: float | Timeout | None
        request_timeout: float | Timeout | None
        max_retries: int
        retry_on_timeout: bool
        default_headers: dict[str, str] | None
        http_client: HttpClient | None
        http_async_client: AsyncHttpClient | None
        model_kwargs: dict[str, Any]
        name: str | None
        cache: BaseCache | bool | None
        verbose: bool
        callbacks: list[BaseCallbackHandler] | BaseCallbackManager | None
        tags: list[str] | None
        metadata: dict[str, Any] | None
        custom_get_token_ids: Callable[[str], list[int]] | None
        rate_limiter: BaseRateLimiter | None
        disable_streaming: bool | Literal["tool_calling"]
        output_version: str | None
        profile: ModelProfile | None

else:
    BaseTool = Any
    """LangChain's fallbacks read the hints of `bind_tools` at run time; importing the class takes
    5 ms (langchain-core 1.7.2). It can go when `langchain_core.language_models` imports it."""

SchemaT = TypeVar("SchemaT")

content_blocks.register()

_LOST_FILE = re.compile("download failed|failed to get file information")

_LC_PATH = ("langchain_kie", "chat_models", "ChatKieGemini")
ALL_SERIALIZABLE_MAPPINGS.setdefault(_LC_PATH, _LC_PATH)
"""With `allowed_objects="all"`, `langchain_core.load` revives only classes that are listed here
(langchain-core 1.7.2), and only where the caller lists the namespace too. It can go when packages
can register themselves."""


def _not_serialised() -> Any:
    """A field each time: pydantic 2.10 mixes up the validators of fields that share one."""
    return Field(default=None, exclude=True, repr=False)


class ChatKieGemini(BaseChatModel):
    """Gemini models served by KIE.ai.

    Example:
        ```python
        from langchain_kie import ChatKieGemini

        model = ChatKieGemini(model="gemini-3.5-flash")
        model.invoke("Why is the sky blue?").text
        ```

    Every option of a call can also be passed to `invoke`, `stream` and `bind`. A pickled model
    contains the API key, for worker processes; no other serialised form does.

    Args:
        model: A friendly name (`gemini-3.5-flash`) or one of KIE's spellings. An unlisted Gemini
            name is sent unchanged and treated as the newest model of its family. Alias:
            `model_name`.
        api_key: The API key; by default `KIE_API_KEY`. A model can be constructed without a key;
            `warm_up()` and the first call raise the error. Alias: `kie_api_key`.
        base_url: The URL of the API; by default `KIE_BASE_URL`, else `https://api.kie.ai`. It is
            the host, with the path prefix of a relay if it has one; an end that names an
            endpoint (`/v1`, `/<model>/v1`, `/v1/chat/completions`, `/gemini/v1`) is removed.
        allow_http: Whether `base_url` and `upload_url` may use http for another host than this
            machine (`http://emulator:8787`). The key is then sent without encryption, with one
            warning for each host; by default it is an error.
        api: `chat_completions`, `generate_content` or `gateway`; `None` chooses by the catalog.
            `gateway` accepts any model name.
        temperature: Sampling temperature, for Gemini 0 to 2; sent only when set.
        top_p: Nucleus sampling, 0 to 1; sent only when set.
        max_tokens: The longest answer, in tokens, thinking included. Some models ignore it;
            gemini-2.5-flash cuts long answers without it (docs/wire.md 2). 1 or more. Aliases:
            `max_output_tokens`, `max_completion_tokens`.
        stop: One stop sequence or several. Alias: `stop_sequences`.
        reasoning_effort: `none`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`; a value
            that the model is not known to accept is sent as the nearest, with a warning. Alias:
            `thinking_level`.
        include_thoughts: Whether thoughts come with the answer; `None` leaves it to the server.
        check_combinations: Whether to refuse combinations that KIE documents as impossible, such
            as search with functions, and to request through a function an answer that
            `response_format` cannot carry. By default it does; `False` sends everything unchanged.
        media_upload: Which media are uploaded and sent as URLs: `auto` (the default) uploads the
            largest until the rest is within `inline_media_limit`, `always` uploads all, `never`
            none. An uploaded file is public to everybody who has its URL; KIE keeps it for 24
            hours. The first upload that `auto` makes in a process warns.
        inline_media_limit: Bytes of media that may go inline in one request; by default
            1,500,000.
        require_media_seen: Whether to raise `KieMediaNotSeenError` when the counted prompt tokens
            are fewer than its media must cost. KIE's counter is not always right, so it is off
            by default.
        detect_error_text: Whether an answer that is exactly one of the upstream's known error
            messages ("image download failed", "Internal error") is raised as an error. By default
            it is.
        stream_invoke: Whether `invoke` streams over HTTP and assembles the answer itself. `None`
            chooses by the catalog: on `generate_content` it does, because KIE was measured to
            hang on calls that do not stream (docs/wire.md 2).
        stream_usage: Whether a stream on `gateway` requests token counts
            (`stream_options={"include_usage": True}`), as most OpenAI-compatible servers need.
            By default it does; KIE's other APIs always count.
        upload_url: The URL of the file upload; by default `KIE_UPLOAD_URL`, else KIE's upload
            host, or `base_url` if that is not KIE's.
        streaming: Whether `invoke` streams too, for callbacks; by default not.
        timeout: Seconds, or a `Timeout` of httpx or httpx2. `None` is 10 s to connect, 180 s
            between two events of an answer, 60 s to send and to wait for a connection. Alias:
            `request_timeout`.
        max_retries: How often a call that failed before its answer began is retried, 0 or more;
            by default 2.
        retry_on_timeout: Whether a call that timed out after it was sent is retried too. KIE may
            have billed it, so it is off by default.
        default_headers: Headers to send with every request. They may be secret, so they are not
            serialised.
        http_client: A `Client` of httpx or httpx2 to use instead of the shared connections;
            `timeout` still applies.
        http_async_client: The same for async calls: an `AsyncClient` of httpx or httpx2.
        model_kwargs: Additional members of the request body, sent unchanged.

    Raises:
        KieConfigurationError: A parameter is invalid, or looks like a secret that would be sent
            in the body of the request. It is a `ValueError`, too.
    """

    model: str
    api_key: Annotated[SecretStr | None, AfterValidator(_settings.checked_key)] = Field(
        default_factory=secret_from_env("KIE_API_KEY", default=None), validate_default=True
    )
    allow_http: bool = False
    base_url: Annotated[str, AfterValidator(_settings.checked_url_field)] = Field(
        default_factory=from_env("KIE_BASE_URL", default=_settings.DEFAULT_BASE_URL),
        validate_default=True,
    )
    api: Api | None = None
    temperature: Annotated[float | None, AfterValidator(_settings.checked_temperature)] = (
        ModelOptions.temperature
    )
    top_p: Annotated[float | None, AfterValidator(_settings.checked_top_p)] = ModelOptions.top_p
    max_tokens: Annotated[int | None, AfterValidator(_settings.checked_max_tokens)] = (
        ModelOptions.max_tokens
    )
    stop: list[str] | str | None = None
    reasoning_effort: str | None = ModelOptions.reasoning_effort
    include_thoughts: bool | None = ModelOptions.include_thoughts
    check_combinations: bool = ModelOptions.check_combinations
    media_upload: MediaUpload = ModelOptions.media_upload
    inline_media_limit: int = Field(default=ModelOptions.inline_media_limit, ge=0)
    require_media_seen: bool = ModelOptions.require_media_seen
    detect_error_text: bool = ModelOptions.detect_error_text
    stream_invoke: bool | None = ModelOptions.stream_invoke
    stream_usage: bool = ModelOptions.stream_usage
    upload_url: Annotated[str | None, AfterValidator(_settings.checked_url_field)] = None
    streaming: bool = False
    timeout: Annotated[Any, AfterValidator(_settings.checked_timeout)] = None
    max_retries: int = Field(default=2, ge=0)
    retry_on_timeout: bool = False
    default_headers: Annotated[dict[str, str] | None, AfterValidator(_settings.checked_headers)] = (
        _not_serialised()
    )
    http_client: Annotated[Any, AfterValidator(_settings.checked_sync_client)] = _not_serialised()
    http_async_client: Annotated[Any, AfterValidator(_settings.checked_async_client)] = (
        _not_serialised()
    )
    model_kwargs: dict[str, Any] = Field(default_factory=dict)

    model_config = ConfigDict(hide_input_in_errors=True)

    if TYPE_CHECKING:

        @overload
        def __init__(self, *, model: str, **parameters: Unpack[_Parameters]) -> None: ...
        @overload
        def __init__(self, *, model_name: str, **parameters: Unpack[_Parameters]) -> None: ...
        def __init__(self, **parameters: Any) -> None: ...

    else:

        def __init__(self, *args: Any, **parameters: Any) -> None:
            try:
                super().__init__(*args, **parameters)
            except ValidationError as error:
                failure = _settings.error_from_pydantic(error, type(self).__name__)
            else:
                return
            raise failure  # without a context: pydantic's error holds the values

    @model_validator(mode="before")
    @classmethod
    def _gather_kwargs(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Resolve names, and leave out a profile of the catalog, which follows the model."""
        known = cls._resolve_names(values)
        if isinstance(known.get("profile"), CatalogProfile):
            del known["profile"]
        return known

    @classmethod
    def _resolve_names(
        cls, values: dict[str, Any], model_kwargs: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Resolve aliases; a name that is not a field goes into `model_kwargs`, with a warning.

        Args:
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

    @model_validator(mode="after")
    def _check_model(self) -> ChatKieGemini:
        """Look up the model, and its profile.

        LangChain checks the keys of a profile that `_resolve_model_profile` returns each time,
        which takes longer than everything else (langchain-core 1.7.2; this can go when it is
        checked once). A profile of the user's has been checked by now.
        """
        resolved = resolve(self.model, self.api)
        if self.profile is None:
            profile = profile_of(resolved)
            self.profile = profile and cast("ModelProfile", CatalogProfile(profile))
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _core_schema: Any, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """The parameters that this class adds: those of LangChain hold objects without a schema."""
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

    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None]) -> dict[str, Any]:
        """What `generate` says of all its calls together."""
        names = [output["model_name"] for output in llm_outputs if output]
        return {"model_name": names[0] if names else self.model}

    # --- what LangChain asks about the model ------------------------------------------------

    @property
    def model_name(self) -> str:
        """The model name; LangChain's tracing reads it under this name."""
        return self.model

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
            for name in _IDENTIFYING
            if values[name] not in (None, {}) and values[name] != _DEFAULTS[name]
        }

    def _get_invocation_params(
        self, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        call_kwargs = resolve_aliases(kwargs)
        if call_kwargs:
            _refuse_misplaced(call_kwargs)
        stop_of_call = call_kwargs.pop("stop", None) if stop is None else stop
        return super()._get_invocation_params(stop=stop_of_call, **call_kwargs)

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        call_kwargs = resolve_aliases(kwargs)
        stop_of_call = call_kwargs.pop("stop", self.stop) if stop is None else stop
        params = super()._get_ls_params(stop=stop_list(stop_of_call) or None, **call_kwargs)
        params["ls_provider"] = PROVIDER
        return params

    def get_num_tokens(self, text: str) -> int:
        """Estimate the tokens of a text, without a tokenizer.

        A Chinese, Japanese or Korean character is one token; four other characters are one.

        Args:
            text: The text.

        Returns:
            The number of tokens, rounded up.
        """
        return _settings.estimate_text_tokens(text)

    def get_num_tokens_from_messages(
        self, messages: Sequence[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Estimate the tokens of messages and tools, without a tokenizer.

        Text, tool calls and schemas count one token for four characters, Chinese, Japanese and
        Korean text one for each character. An image counts 1,100
        tokens; a PDF one token for 100 bytes, audio for 500, video for 2,500. A PDF, audio or
        video of which only the URL is known counts 2,600, 1,900 or 6,000.

        Args:
            messages: The messages.
            tools: Tools, as `bind_tools` takes them.

        Returns:
            The number of tokens.

        Raises:
            ValueError: A message contains a block that cannot be sent.
        """
        from langchain_kie._conversation.token_estimate import estimate_tokens  # noqa: PLC0415
        from langchain_kie._tools.definitions import normalize_tool  # noqa: PLC0415

        schemas: list[Any] = [n for tool in tools or () for n in normalize_tool(tool)]
        return estimate_tokens(messages, schemas or None)

    def __getstate__(self) -> dict[Any, Any]:
        """Pickle without the user's HTTP clients, and without values that calls cached.

        Connections cannot be pickled. The pickle, and so a hash of it, does not change by calls.
        """
        state = super().__getstate__()
        fields = {n: v for n, v in state["__dict__"].items() if n in type(self).model_fields}
        fields |= {"http_client": None, "http_async_client": None}
        return {**state, "__dict__": fields}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy the model; the new values are checked as the constructor checks them.

        Args:
            update: New values of parameters, also under their aliases. Another `model` or `api`
                has its own profile, unless the old one was passed to the constructor. A name
                that is no parameter goes into `model_kwargs`, with a warning.
            deep: Whether to copy the values too.

        Returns:
            The copy.

        Raises:
            KieConfigurationError: A setting cannot be used.
            ValueError: A value has the wrong type.
        """
        if not update:
            return super().model_copy(deep=deep)
        cls = type(self)
        fields = {n: v for n, v in self.__dict__.items() if n in cls.model_fields}
        changes = cls._resolve_names(dict(update), fields["model_kwargs"])
        checked = cls(**{**fields, **changes})
        copied = super().model_copy(deep=deep)
        for name in list(copied.__dict__.keys() - fields.keys()):
            del copied.__dict__[name]  # what calls cached of the old values
        new = {name: getattr(checked, name) for name in (*changes, "profile")}
        copied.__dict__.update(new)
        copied.__pydantic_fields_set__.update(changes)
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> ChatKieGemini:
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

    # --- calls ------------------------------------------------------------------------------

    def warm_up(self) -> None:
        """Load what calls need: modules, the TLS context and a connection pool. Sends nothing.

        Without it the first call of a process does so, and takes 0.2 to 0.5 seconds longer.

        Raises:
            KieConfigurationError: There is no API key, or a setting cannot be used.
        """
        _warm_up.load()
        self._transport().open()

    async def awarm_up(self) -> None:
        """Load what calls need, in a thread, and open the connection pool of this event loop.

        The first async call does so as well: it does not stop the event loop either.

        Raises:
            KieConfigurationError: There is no API key, or a setting cannot be used.
        """
        await _warm_up.aload()
        await self._transport().aopen()

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - core calls it
        **kwargs: Any,
    ) -> ChatResult:
        [message] = self._call(messages, stop, kwargs, stream=False)
        return chat_result(message)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        [message] = [message async for message in self._acall(messages, stop, kwargs, stream=False)]
        return chat_result(message)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        return self._call(messages, stop, kwargs, stream=True)

    def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        return self._acall(messages, stop, kwargs, stream=True)

    def _call(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        kwargs: dict[str, Any],
        *,
        stream: bool,
    ) -> Iterator[Any]:
        """Make one call, and yield the chunks of its answer, or only the message that they are.

        If KIE lost an uploaded file, the file is uploaded again and the call is repeated, once.

        Raises:
            ValueError: The conversation or an option cannot be sent.
            KieError: The call failed.
        """
        may_repeat, earlier_credits = True, 0.0
        while True:
            prepared = self._with_uploads(self._prepare(messages, stop, kwargs))
            call, assembler = prepared.build(stream=stream)
            assembler.earlier_credits = earlier_credits
            chunks: list[AIMessageChunk] = []
            try:
                for event in self._transport().stream(call):
                    chunk = assembler.feed(event)
                    if chunk and stream:
                        for piece in generation_chunks(chunk):  # noqa: UP028 - as `_acall`
                            yield piece
                    elif chunk:
                        chunks.append(chunk)
                last = assembler.finish()
                ends = generation_chunks(last) if stream else [merge_chunks([*chunks, last])]
                for end in ends:  # noqa: UP028
                    yield end
            except KieError as error:
                error.partial = stream and assembler.has_output
                if not (_ready_to_repeat(error, prepared, assembler) and may_repeat):
                    raise
                may_repeat = False
                earlier_credits = error.credits_consumed or 0.0
            else:
                return

    async def _acall(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        kwargs: dict[str, Any],
        *,
        stream: bool,
    ) -> AsyncIterator[Any]:
        """Make one call, and yield the chunks of its answer; as `_call`."""
        may_repeat, earlier_credits = True, 0.0
        while True:
            prepared = await self._awith_uploads(await self._aprepare(messages, stop, kwargs))
            call, assembler = await prepared.abuild(stream=stream)
            assembler.earlier_credits = earlier_credits
            chunks: list[AIMessageChunk] = []
            try:
                async for event in self._transport().astream(call):
                    chunk = assembler.feed(event)
                    if chunk and stream:
                        for piece in generation_chunks(chunk):
                            yield piece
                    elif chunk:
                        chunks.append(chunk)
                last = assembler.finish()
                ends = generation_chunks(last) if stream else [merge_chunks([*chunks, last])]
                for end in ends:
                    yield end
            except KieError as error:
                error.partial = stream and assembler.has_output
                if not (_ready_to_repeat(error, prepared, assembler) and may_repeat):
                    raise
                may_repeat = False
                earlier_credits = error.credits_consumed or 0.0
            else:
                return

    def _prepare(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> PreparedCall:
        """Check one call; nothing is read or sent.

        Raises:
            ValueError: The conversation or an option cannot be sent.
        """
        from langchain_kie._request import PreparedCall  # noqa: PLC0415 - loads at the first call

        call_kwargs = resolve_aliases(kwargs)
        call_kwargs.pop("stream", None)
        call_kwargs["stop"] = call_kwargs.get("stop") if stop is None else stop
        model_of_call = call_kwargs.pop("model", None)
        model_name = model_of_call or self.model
        resolved = resolve(model_name, call_kwargs.pop("api", None) or self.api)
        timeout = _settings.checked_timeout(call_kwargs.pop("timeout", None))
        values = self.__dict__
        call = PreparedCall(
            messages,
            call_kwargs,
            {name: values[name] for name in OPTION_NAMES},
            resolved,
            model_name=model_name,
            extra=self.model_kwargs,
            timeout=timeout,
        )
        if call.media:
            call.check_media(profile_of(resolved) if model_of_call else self.profile)
        return call

    async def _aprepare(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> PreparedCall:
        """As `_prepare`; the first call loads in a thread what calls need.

        Long messages are converted in a thread.
        """
        await _warm_up.aload()
        from langchain_kie._request import is_long  # noqa: PLC0415 - loads at the first call

        if not is_long(messages):
            return self._prepare(messages, stop, kwargs)
        call = await asyncio.to_thread(self._prepare, messages, stop, kwargs)
        call.is_long = True
        return call

    def _with_uploads(self, call: PreparedCall) -> PreparedCall:
        """Upload the media that do not go inline.

        Raises:
            ValueError: A file cannot be read.
            KieError: An upload failed; nothing else was sent.
        """
        if not call.media:
            return call
        from langchain_kie._uploads import choose_uploads, upload_all, warn_of_uploads  # noqa: PLC0415

        if chosen := choose_uploads(call.media, call.options):
            call.build(stream=False)  # raises for what cannot be sent, before a file is public
            warn_of_uploads(chosen, call.options)
            upload_all(chosen, self._files())
        return call

    async def _awith_uploads(self, call: PreparedCall) -> PreparedCall:
        """Upload the media that do not go inline; as `_with_uploads`."""
        if not call.media:
            return call
        from langchain_kie._uploads import (  # noqa: PLC0415
            achoose_uploads,
            aupload_all,
            warn_of_uploads,
        )

        if chosen := await achoose_uploads(call.media, call.options):
            await call.abuild(stream=False)
            warn_of_uploads(chosen, call.options)
            await aupload_all(chosen, self._files())
        return call

    def _files(self) -> KieFiles:
        """The file upload of this model's account."""
        from langchain_kie.files import KieFiles  # noqa: PLC0415

        return KieFiles(
            api_key=self.api_key,
            upload_url=_settings.upload_url_for(
                self.base_url, self.upload_url, allow_http=self.allow_http
            ),
            allow_http=self.allow_http,
            timeout=self.timeout,
            max_retries=self.max_retries,
            http_client=self.http_client,
            http_async_client=self.http_async_client,
        )

    def _transport(self) -> Transport:
        """The transport; settings are checked again, because assignments do not check them."""
        from langchain_kie._http.transport import transport_for  # noqa: PLC0415 - loads httpx

        return transport_for(
            api_key=self.api_key,
            base_url=self.base_url,
            allow_http=self.allow_http,
            timeout=self.timeout,
            max_retries=self.max_retries,
            retry_on_timeout=self.retry_on_timeout,
            headers=self.default_headers or {},
            client=self.http_client,
            async_client=self.http_async_client,
        )

    # --- tools and structured output --------------------------------------------------------

    if not TYPE_CHECKING:  # the types are LangChain's

        def bind(self, **kwargs: Any) -> Any:
            """Bind options of a call to the model.

            Args:
                **kwargs: Options of a call.

            Returns:
                The model with the options bound.

            Raises:
                KieConfigurationError: An option can only be set on the model, or looks like a
                    secret: the binding would show it.
            """
            _refuse_misplaced(resolve_aliases(kwargs))
            return super().bind(**kwargs)

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | bool | dict[str, Any] | Sequence[str] | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        response_format: dict[str, Any] | type | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools to the model.

        Args:
            tools: Everything that LangChain accepts as a tool, and Gemini's built-in tools
                `google_search`, `code_execution` and `url_context`, as `{"google_search": {}}`
                or `{"type": "google_search"}`, also in Gemini's spelling (`googleSearch`).
            tool_choice: `"auto"`, `"none"`, `"any"` or `True` (the model must call a tool), the
                name of a tool or a list of names, or OpenAI's dict. By default the model decides.
                An answer without a required call is a `KieToolCallMissingError`, because agents
                would repeat the call without end; `require_tool_call=False` returns it instead.
            strict: Whether arguments must match the schema exactly, on APIs that support it.
            parallel_tool_calls: Whether the model may make several calls at once, on APIs that
                support it.
            response_format: A schema for the answer, or OpenAI's `response_format`.
            **kwargs: Other options of the call.

        Returns:
            The model with the tools bound.

        Raises:
            ValueError: A tool cannot be sent, or `tool_choice` names a tool that is not bound.
        """
        from langchain_kie._tools.choice import normalize_tool_choice  # noqa: PLC0415
        from langchain_kie._tools.definitions import normalize_tool  # noqa: PLC0415
        from langchain_kie._tools.structured_output import build_response_format  # noqa: PLC0415

        formatted = [n for tool in tools for n in normalize_tool(tool, strict=strict)]
        names = [tool["function"]["name"] for tool in formatted if tool["type"] == "function"]
        choice = normalize_tool_choice(tool_choice, names)
        bound: dict[str, Any] = {
            "tools": formatted or None,
            "tool_choice": choice and (list(choice.names) or choice.mode),
            "parallel_tool_calls": parallel_tool_calls,
            "response_format": response_format and build_response_format(response_format, strict),
        }
        return self.bind(**{k: v for k, v in bound.items() if v is not None}, **kwargs)

    if TYPE_CHECKING:

        @overload
        def with_structured_output(
            self,
            schema: type[SchemaT],
            *,
            method: Method | None = ...,
            include_raw: Literal[False] = ...,
            strict: bool | None = ...,
            tools: Sequence[Any] | None = ...,
            **kwargs: Any,
        ) -> Runnable[LanguageModelInput, SchemaT]: ...
        @overload
        def with_structured_output(
            self,
            schema: dict[str, Any] | type,
            *,
            method: Method | None = ...,
            include_raw: Literal[True],
            strict: bool | None = ...,
            tools: Sequence[Any] | None = ...,
            **kwargs: Any,
        ) -> Runnable[LanguageModelInput, dict[str, Any]]: ...
        @overload
        def with_structured_output(
            self,
            schema: dict[str, Any] | type,
            *,
            method: Method | None = ...,
            include_raw: bool = ...,
            strict: bool | None = ...,
            tools: Sequence[Any] | None = ...,
            **kwargs: Any,
        ) -> Runnable[LanguageModelInput, Any]: ...

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        method: Method | None = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        tools: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Make the model answer in a schema.

        Args:
            schema: A pydantic class, a `TypedDict`, a JSON schema or an OpenAI function.
            method: `json_schema`, the default and the same as `None`, lets KIE enforce the
                schema; `function_calling` forces a call of a function with that schema;
                `json_mode` only requests JSON, so the prompt must describe it.
            include_raw: Whether to return `{"raw", "parsed", "parsing_error"}` instead of raising
                parsing errors.
            strict: Sent with the schema; by default not sent.
            tools: Additional tools that the model may call instead of answering.
            **kwargs: Other options of the call.

        Returns:
            A runnable whose output is an instance of the pydantic class, or a dict.

        Raises:
            ValueError: `method` is unknown, or the schema cannot be sent.
        """
        from langchain_kie._tools import structured_output  # noqa: PLC0415
        from langchain_kie._tools.definitions import normalize_tool  # noqa: PLC0415

        method = method or "json_schema"
        if method not in structured_output.METHODS:
            raise ValueError(
                f"method must be one of {', '.join(structured_output.METHODS)}; got {method!r}"
            )
        options: dict[str, Any] = {
            "strict": strict,
            "ls_structured_output_format": {
                "kwargs": {"method": method, "strict": strict},
                "schema": schema,
            },
            "require_tool_call": False,  # the parser reports a missing call
            **kwargs,
        }
        formatted = [n for tool in tools or () for n in normalize_tool(tool)]
        names = [tool["function"]["name"] for tool in formatted if tool["type"] == "function"]
        if method == "function_calling":
            name = normalize_tool(schema)[0]["function"]["name"]
            bound = self.bind_tools([schema, *(tools or ())], tool_choice=name, **options)
            parser = structured_output.build_tool_parser(schema, names)
        else:
            response_format = (
                {"type": "json_object"}
                if method == "json_mode"
                else structured_output.build_response_format(schema, strict)
            )
            bound = self.bind_tools(tools or (), response_format=response_format, **options)
            parser = structured_output.build_json_parser(schema, names)
        return structured_output.pipe_to_parser(bound, parser, include_raw=include_raw)


def _parameter_docs() -> dict[str, str]:
    """The parameters' descriptions, from the docstring of `ChatKieGemini`."""
    docstring = cleandoc(ChatKieGemini.__doc__ or "")
    entries = re.findall(r"^ {4}([a-z_]+): (.+(?:\n {8}.+)*)", docstring, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


for _name, _text in _parameter_docs().items():
    ChatKieGemini.model_fields[_name].description = _text

_DEFAULTS = {name: field.default for name, field in ChatKieGemini.model_fields.items()}
_CONSTRUCTOR_ONLY = _DEFAULTS.keys() - {*OPTION_NAMES}
_IDENTIFYING = ("model", "api", "base_url", *OPTION_NAMES, "model_kwargs")


_CALL_OPTIONS = frozenset({*OPTION_NAMES, *CALL_ONLY, "model", "api", "timeout"})


def _refuse_misplaced(call_kwargs: Mapping[str, Any]) -> None:
    """Refuse what a call cannot have, before a trace shows it.

    Raises:
        KieConfigurationError: An option can only be set on the model, or looks like a secret.
    """
    others = {n: value for n, value in call_kwargs.items() if n not in _CALL_OPTIONS}
    if not others:
        return
    if misplaced := others.keys() & _CONSTRUCTOR_ONLY:
        raise KieConfigurationError(
            f"{', '.join(sorted(misplaced))}: can only be set on the model, not on a call"
        )
    refuse_secrets(others)


@cache
def _is_message_class(cls: type) -> bool:
    return issubclass(cls, BaseMessage)


def _ready_to_repeat(error: KieError, prepared: PreparedCall, assembler: MessageAssembler) -> bool:
    """Forget uploaded files that KIE lost, and return whether the call can be repeated.

    Adds to the error what KIE charged, and near names if the model is unknown.
    """
    if isinstance(error, KieModelNotFoundError):
        error.hint = model_hint(error.model or "")
    if HTTPStatus.REQUEST_ENTITY_TOO_LARGE in (error.code, error.status_code):
        error.hint = prepared.size_hint()
    if error.credits_consumed is None:
        error.credits_consumed = assembler.credits_consumed
    else:
        error.credits_consumed += assembler.earlier_credits
    if not prepared.media or not _LOST_FILE.search(error.message.lower()):
        return False
    from langchain_kie._uploads import evict  # noqa: PLC0415 - only for calls with media

    return evict(prepared.media) and not error.partial
