"""`ChatKieGemini`: joins LangChain, the codecs and the transport.

Fields and glue only: `_chat_model` binds tools and runs a call, `_wire` writes messages into the
body of a request, `_http` sends it, `_catalog` has what differs by model. Modules that only a tool
needs are imported where they are used, so that importing this package and constructing a model are
fast.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self, cast, overload

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.utils import from_env, secret_from_env
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SecretStr,
    ValidationError,
    model_validator,
)

from langchain_kie import _settings, _warm_up
from langchain_kie._answer import content_blocks
from langchain_kie._answer.messages import chat_result
from langchain_kie._catalog import Api, CatalogProfile, profile_of
from langchain_kie._chat_model import parameters
from langchain_kie._chat_model.call import acall_model, call_model, transport_of
from langchain_kie._chat_model.langchain_hooks import LangChainHooks, keep_signature
from langchain_kie._chat_model.tool_binding import ToolBinding
from langchain_kie._model_names import resolve
from langchain_kie._settings import MediaUpload, ModelOptions

if TYPE_CHECKING:
    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.language_models.model_profile import ModelProfile
    from langchain_core.outputs import ChatGenerationChunk, ChatResult
    from typing_extensions import Unpack

    from langchain_kie._chat_model.parameter_types import Parameters

_IN_RANGE = AfterValidator(_settings.checked_range_field)

content_blocks.register()


def _not_serialised() -> Any:
    """A field each time: in pydantic 2.11, fields that share one get each other's validators.

    It can go when the lowest version that `pyproject.toml` allows does not do so (2.14 does not).
    """
    return Field(default=None, exclude=True, repr=False)


class ChatKieGemini(ToolBinding, LangChainHooks, BaseChatModel):
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
    api_key: Annotated[SecretStr, AfterValidator(_settings.checked_key)] | None = Field(
        default_factory=secret_from_env("KIE_API_KEY", default=None), validate_default=True
    )
    allow_http: bool = False
    base_url: Annotated[str, AfterValidator(_settings.checked_url_field)] = Field(
        default_factory=from_env("KIE_BASE_URL", default=_settings.DEFAULT_BASE_URL),
        validate_default=True,
    )
    api: Api | None = None
    temperature: Annotated[float | None, _IN_RANGE] = None
    top_p: Annotated[float | None, _IN_RANGE] = None
    max_tokens: Annotated[int | None, _IN_RANGE] = None
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
        def __init__(self, *, model: str, **parameters: Unpack[Parameters]) -> None: ...
        @overload
        def __init__(self, *, model_name: str, **parameters: Unpack[Parameters]) -> None: ...
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
        known = parameters.resolve_names(cls, values)
        if isinstance(known.get("profile"), CatalogProfile):
            del known["profile"]
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
        """The parameters that this class adds."""
        return parameters.json_schema_of(cls)

    @property
    def model_name(self) -> str:
        """The model name; LangChain's tracing reads it under this name."""
        return self.model

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
            ValueError: A message contains a block that cannot be sent, or a tool cannot be sent.
        """
        from langchain_kie._conversation.token_estimate import estimate_tokens  # noqa: PLC0415
        from langchain_kie._tools.definitions import normalize_each  # noqa: PLC0415

        return estimate_tokens(messages, normalize_each(tools or ()) or None)

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
        copied = super().model_copy(deep=deep)
        if update:
            parameters.set_values(copied, update)
        return copied

    # --- calls ------------------------------------------------------------------------------

    def warm_up(self) -> None:
        """Load what calls need: modules, the TLS context and a connection pool. Sends nothing.

        Without it the first call of a process does so, and takes 0.2 to 0.5 seconds longer.

        Raises:
            KieConfigurationError: There is no API key, or a setting cannot be used.
        """
        _warm_up.load()
        transport_of(self).open()

    async def awarm_up(self) -> None:
        """Load what calls need, in a thread, and open the connection pool of this event loop.

        The first async call does so as well: it does not stop the event loop either.

        Raises:
            KieConfigurationError: There is no API key, or a setting cannot be used.
        """
        await _warm_up.aload()
        await transport_of(self).aopen()

    @keep_signature
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - core calls it
        **kwargs: Any,
    ) -> ChatResult:
        [message] = call_model(self, messages, stop, kwargs, stream=False)
        return chat_result(message)

    @keep_signature
    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        [message] = [m async for m in acall_model(self, messages, stop, kwargs, stream=False)]
        return chat_result(message)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        return call_model(self, messages, stop, kwargs, stream=True)

    def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        return acall_model(self, messages, stop, kwargs, stream=True)


parameters.describe(ChatKieGemini)
