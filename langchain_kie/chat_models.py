"""`ChatKieGemini`: joins LangChain, the dialects and the transport.

Fields, options and glue only: what a message looks like on the wire is in `_dialects`, how it
gets there in `_transport`, and what differs by model in `_catalog`. What only a call or a tool
needs is imported where it is used, so that to import and construct a model is quick.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.load.load import ALL_SERIALIZABLE_MAPPINGS
from langchain_core.prompt_values import ChatPromptValue
from langchain_core.utils import from_env, secret_from_env
from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from langchain_kie import _settings
from langchain_kie._answer import content_blocks as _blocks
from langchain_kie._answer.messages import PROVIDER, generation_chunk, message_of, result_of
from langchain_kie._catalog import Api, profile_of, resolve
from langchain_kie._settings import (
    ALIASES,
    INLINE_MEDIA_LIMIT,
    OPTION_NAMES,
    MediaUpload,
    resolve_aliases,
    stop_list,
)
from langchain_kie.errors import KieConfigurationError, KieError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from langchain_core.callbacks import (
        AsyncCallbackManagerForLLMRun,
        CallbackManagerForLLMRun,
    )
    from langchain_core.language_models import LangSmithParams, LanguageModelInput
    from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
    from langchain_core.outputs import ChatGenerationChunk, ChatResult
    from langchain_core.prompt_values import PromptValue
    from langchain_core.runnables import Runnable
    from langchain_core.tools import BaseTool

    from langchain_kie._answer.assembler import MessageAssembler
    from langchain_kie._http.transport import Transport
    from langchain_kie._request import PreparedCall
    from langchain_kie.files import KieFiles

_blocks.register()

_LOST_FILE = re.compile("download failed|failed to get file information")

_LC_PATH = ("langchain_kie", "chat_models", "ChatKieGemini")
ALL_SERIALIZABLE_MAPPINGS.setdefault(_LC_PATH, _LC_PATH)
"""With `allowed_objects="all"`, `langchain_core.load` revives what stands here, and only where
the caller lists the namespace too, as for the packages that LangChain knows by name."""


class ChatKieGemini(BaseChatModel):
    """Gemini models served by KIE.ai.

    Example:
        ```python
        from langchain_kie import ChatKieGemini

        model = ChatKieGemini(model="gemini-3.5-flash")
        model.invoke("Why is the sky blue?").text
        ```

    Every option of a call can also be given to `invoke`, `stream` and `bind`. A pickled model
    carries its key, for worker processes; in every other form the key stays behind.

    Raises:
        KieConfigurationError: The key, the URL or the model's name cannot work.
    """

    model: str
    """A friendly name (`gemini-3.5-flash`) or one of KIE's spellings. Alias: `model_name`."""

    api_key: SecretStr | None = Field(
        default_factory=secret_from_env("KIE_API_KEY", default=None), validate_default=True
    )
    """The key; by default `KIE_API_KEY`. Alias: `kie_api_key`."""

    base_url: str = Field(
        default_factory=from_env("KIE_BASE_URL", default=_settings.DEFAULT_BASE_URL),
        validate_default=True,
    )
    """Where the API is; by default `KIE_BASE_URL`, else KIE's own address."""

    api: Api | None = None
    """The dialect; `None` chooses by the catalog. `gateway` takes any model's name."""

    temperature: float | None = None
    """Sampling temperature; sent only when set."""

    top_p: float | None = None
    """Nucleus sampling; sent only when set."""

    max_tokens: int | None = None
    """The longest answer, in tokens. Some models were measured to ignore it, and
    gemini-2.5-flash to cut long answers without it. Alias: `max_output_tokens`."""

    stop: list[str] | str | None = None
    """Stop sequences. Alias: `stop_sequences`."""

    reasoning_effort: str | None = None
    """`low` or `high`; `none`, `minimal`, `medium`, `max` and `xhigh` are sent as the nearer of
    the two, with a warning. Alias: `thinking_level`."""

    include_thoughts: bool | None = None
    """Whether thoughts come with the answer; `None` leaves it to the server."""

    check_combinations: bool = True
    """Whether to refuse what KIE documents as impossible, such as search beside functions, and
    to ask through a function for what `response_format` cannot carry. `False` sends it all."""

    media_upload: MediaUpload = "auto"
    """Which media are uploaded, and sent as URLs: `auto` uploads the largest until the others
    are within `inline_media_limit`, `always` uploads all, `never` none. What was uploaded is
    public to those who know its URL, and kept for three days."""

    inline_media_limit: int = Field(default=INLINE_MEDIA_LIMIT, ge=0)
    """Bytes of media that may go inline in one request."""

    require_media_seen: bool = False
    """Whether to raise `KieMediaNotSeenError` when the prompt was counted as less than its
    media must cost. KIE's counter is not always honest, so it is not done by default."""

    detect_error_text: bool = True
    """Whether an answer that is exactly one of the upstream's known error messages ("image
    download failed", "Internal error") is raised as the error that it is."""

    upload_url: str | None = None
    """Where files are uploaded; by default `KIE_UPLOAD_URL`, else KIE's host for files, or
    `base_url` where that is not KIE's."""

    streaming: bool = False
    """Whether `invoke` streams too."""

    timeout: Any = None
    """Seconds, or an `httpx.Timeout`; `None` is 10 s to connect, 180 s to wait for the next
    piece of an answer, 60 s to write and to wait for a connection. Alias: `request_timeout`."""

    max_retries: int = Field(default=2, ge=0)
    """How often a call is made again that failed before its answer began."""

    retry_on_timeout: bool = False
    """Whether a call is also made again that timed out after it was sent. KIE may have billed
    it, so it is not by default."""

    default_headers: dict[str, str] | None = Field(default=None, exclude=True, repr=False)
    """Headers to send with every call. They may be secrets, so they are not serialised."""

    http_client: Any = Field(default=None, exclude=True, repr=False)
    """An `httpx.Client` to use instead of the shared one; `timeout` stays the model's."""

    http_async_client: Any = Field(default=None, exclude=True, repr=False)
    """An `httpx.AsyncClient` to use instead of the shared one, likewise."""

    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Further members of the request's body, sent as they are."""

    model_config = ConfigDict(hide_input_in_errors=True)

    if TYPE_CHECKING:

        def __init__(
            self, *, model: str = ..., api_key: SecretStr | str | None = ..., **kwargs: Any
        ) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _gather_kwargs(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Resolve aliases; what is no field goes into `model_kwargs`, with a warning."""
        known: dict[str, Any] = {}
        for given, value in values.items():
            name = ALIASES.get(given, given)
            if name in known:
                raise KieConfigurationError(f"{name} is given twice, once by another name")
            known[name] = value
        extra = {name: known.pop(name) for name in known.keys() - cls.model_fields.keys()}
        if extra:
            warnings.warn(
                f"{', '.join(sorted(extra))}: no parameter of ChatKieGemini; "
                "sent in the request's body as given (model_kwargs)",
                stacklevel=4,
            )
            known["model_kwargs"] = {**extra, **(known.get("model_kwargs") or {})}
        return known

    @field_validator("api_key")
    @classmethod
    def _check_api_key(cls, key: SecretStr | None) -> SecretStr | None:
        return _settings.checked_key(key)

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, base_url: str) -> str:
        return _settings.checked_base_url(base_url)

    @field_validator("upload_url")
    @classmethod
    def _check_upload_url(cls, url: str | None) -> str | None:
        return url and _settings.checked_base_url(url, "upload_url")

    @field_validator("default_headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, str] | None) -> dict[str, str] | None:
        return _settings.checked_headers(headers)

    @field_validator("timeout")
    @classmethod
    def _check_timeout(cls, timeout: Any) -> Any:
        return _settings.checked_timeout(timeout)

    @field_validator("http_client")
    @classmethod
    def _check_client(cls, client: Any) -> Any:
        return _settings.checked_client(client, "Client")

    @field_validator("http_async_client")
    @classmethod
    def _check_async_client(cls, client: Any) -> Any:
        return _settings.checked_client(client, "AsyncClient")

    @model_validator(mode="after")
    def _check_model(self) -> ChatKieGemini:
        """Find the model, and its profile.

        LangChain checks the keys of a profile that its own hook gives, each time, which takes
        longer than all else; by now it has checked one of the user's.
        """
        target = resolve(self.model, self.api)
        if self.profile is None:
            self.profile = profile_of(target)
        return self

    # --- what LangChain asks about the model ------------------------------------------------

    @property
    def model_name(self) -> str:
        """The model, by LangChain's other name for it."""
        return self.model

    @property
    def lc_secrets(self) -> dict[str, str]:
        """The environment variable that stands for the key in a serialised model."""
        return {"api_key": "KIE_API_KEY"}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether `langchain_core.load` can dump and load the model."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Where a serialised model says it comes from."""
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
        stop_of_call = call_kwargs.pop("stop", None) if stop is None else stop
        return super()._get_invocation_params(stop=stop_of_call, **call_kwargs)

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        call_kwargs = resolve_aliases(kwargs)
        stop_of_call = call_kwargs.pop("stop", self.stop) if stop is None else stop
        params = super()._get_ls_params(stop=stop_list(stop_of_call) or None, **call_kwargs)
        params["ls_provider"] = PROVIDER
        return params

    def get_num_tokens(self, text: str) -> int:
        """Estimate the tokens of a text, about four characters each; nothing is fetched."""
        return -(-len(text) // _settings.CHARS_PER_TOKEN)

    def get_num_tokens_from_messages(
        self, messages: Sequence[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Estimate the tokens of messages and tools; nothing is fetched.

        Text, calls and schemas count a token for four characters. An image counts 1,100
        tokens; a PDF one for 100 bytes, sound for 500, video for 2,500, and where only a URL
        is known 2,600, 1,900 and 6,000 altogether.

        Raises:
            ValueError: A message holds a block that cannot be sent.
        """
        from langchain_kie._conversation.token_estimate import estimate_tokens  # noqa: PLC0415
        from langchain_kie._tools.definitions import normalize_tool  # noqa: PLC0415

        schemas: list[Any] = [n for tool in tools or () for n in normalize_tool(tool)]
        return estimate_tokens(messages, schemas or None)

    def __getstate__(self) -> dict[Any, Any]:
        """Leave the user's clients behind: connections cannot be pickled."""
        state = super().__getstate__()
        fields = {**state["__dict__"], "http_client": None, "http_async_client": None}
        return {**state, "__dict__": fields}

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> ChatKieGemini:
        """Share the user's clients with the copy."""
        memo = memo if memo is not None else {}
        for client in (self.http_client, self.http_async_client):
            memo[id(client)] = client
        return super().__deepcopy__(memo)

    def _convert_input(self, model_input: LanguageModelInput) -> PromptValue:
        prompt = super()._convert_input(model_input)
        if not isinstance(prompt, ChatPromptValue):
            return prompt
        if all(isinstance(message.content, str) for message in prompt.messages):
            return prompt
        from langchain_kie._conversation.content import repaired_for_langchain  # noqa: PLC0415

        return ChatPromptValue(
            messages=[repaired_for_langchain(message) for message in prompt.messages]
        )

    # --- calls ------------------------------------------------------------------------------

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - core calls it
        **kwargs: Any,
    ) -> ChatResult:
        request = self._with_uploads(self._request(messages, stop, kwargs))
        call, assembler = request.build(stream=False)
        try:
            deltas = self._transport().stream(call)
            return _result(assembler, [assembler.feed(delta) for delta in deltas])
        except KieError as error:
            _evict_lost_files(request, error)
            raise

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        request = await self._awith_uploads(self._request(messages, stop, kwargs))
        call, assembler = request.build(stream=False)
        try:
            deltas = self._transport().astream(call)
            return _result(assembler, [assembler.feed(delta) async for delta in deltas])
        except KieError as error:
            _evict_lost_files(request, error)
            raise

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        request = self._with_uploads(self._request(messages, stop, kwargs))
        call, assembler = request.build(stream=True)
        try:
            for delta in self._transport().stream(call):
                if chunk := assembler.feed(delta):
                    yield generation_chunk(chunk)
            yield generation_chunk(assembler.finish())
        except KieError as error:
            error.partial = assembler.has_output
            _evict_lost_files(request, error)
            raise

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        request = await self._awith_uploads(self._request(messages, stop, kwargs))
        call, assembler = request.build(stream=True)
        try:
            async for delta in self._transport().astream(call):
                if chunk := assembler.feed(delta):
                    yield generation_chunk(chunk)
            yield generation_chunk(assembler.finish())
        except KieError as error:
            error.partial = assembler.has_output
            _evict_lost_files(request, error)
            raise

    def _request(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> PreparedCall:
        """What LangChain asks for, checked; nothing is read or sent.

        Raises:
            ValueError: The conversation or an option cannot be sent.
        """
        from langchain_kie._request import PreparedCall  # noqa: PLC0415 - loads at the first call

        call_kwargs = resolve_aliases(kwargs)
        call_kwargs.pop("stream", None)
        call_kwargs["stop"] = call_kwargs.get("stop") if stop is None else stop
        name = call_kwargs.pop("model", None)
        model = name or self.model
        target = resolve(model, call_kwargs.pop("api", None) or self.api)
        timeout = _settings.checked_timeout(call_kwargs.pop("timeout", None))
        if misplaced := call_kwargs.keys() & _CONSTRUCTOR_ONLY:
            raise KieConfigurationError(
                f"{', '.join(sorted(misplaced))}: can be set on the model, not on a call"
            )
        request = PreparedCall(
            messages,
            call_kwargs,
            {name: getattr(self, name) for name in OPTION_NAMES},
            target,
            model=model,
            extra=self.model_kwargs,
            timeout=timeout,
        )
        if request.media:
            request.check_media(profile_of(target) if name else self.profile)
        return request

    def _with_uploads(self, request: PreparedCall) -> PreparedCall:
        """Upload the media that are not to go inline.

        Raises:
            ValueError: A file cannot be read.
            KieError: An upload failed; nothing else was sent.
        """
        if not request.media:
            return request
        from langchain_kie._uploads import choose_uploads, upload_all  # noqa: PLC0415

        if chosen := choose_uploads(request.media, request.options):
            request.build(stream=False)  # whatever cannot be sent shows before files are public
            upload_all(chosen, self._files())
        return request

    async def _awith_uploads(self, request: PreparedCall) -> PreparedCall:
        """Upload the media that are not to go inline; as `_with_uploads`."""
        if not request.media:
            return request
        from langchain_kie._uploads import achoose_uploads, aupload_all  # noqa: PLC0415

        if chosen := await achoose_uploads(request.media, request.options):
            request.build(stream=False)
            await aupload_all(chosen, self._files())
        return request

    def _files(self) -> KieFiles:
        """The upload that belongs to this model's account."""
        from langchain_kie.files import KieFiles  # noqa: PLC0415

        return KieFiles(
            api_key=self.api_key,
            upload_url=_settings.upload_url_for(self.base_url, self.upload_url),
            timeout=self.timeout,
            max_retries=self.max_retries,
            http_client=self.http_client,
            http_async_client=self.http_async_client,
        )

    def _transport(self) -> Transport:
        """How the model reaches its server; checked again, since a copy may have changed it."""
        from langchain_kie._http.transport import transport_for  # noqa: PLC0415 - loads httpx

        return transport_for(
            api_key=self.api_key,
            base_url=self.base_url,
            timeout=self.timeout,
            max_retries=self.max_retries,
            retry_on_timeout=self.retry_on_timeout,
            headers=self.default_headers or {},
            client=self.http_client,
            async_client=self.http_async_client,
        )

    # --- tools and structured output --------------------------------------------------------

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
        """Offer tools to the model.

        Args:
            tools: All that LangChain takes as a tool, and Gemini's own: `google_search`,
                `code_execution` and `url_context`, as `{"google_search": {}}` or
                `{"type": "google_search"}`, likewise in Gemini's spelling.
            tool_choice: `"auto"`, `"none"`, `"any"` or `True` (some tool must be called),
                a tool's name or names, or OpenAI's dict.
            strict: Ask for arguments exactly as the schema says, where the dialect can.
            parallel_tool_calls: Whether several calls may come at once, where the dialect
                can say so.
            response_format: A schema for the answer, or OpenAI's `response_format`.
            **kwargs: Further options of the call.

        Raises:
            ValueError: `tool_choice` names no bound tool.
        """
        from langchain_kie._tools.choice import normalize_tool_choice  # noqa: PLC0415
        from langchain_kie._tools.definitions import normalize_tool  # noqa: PLC0415
        from langchain_kie._tools.structured_output import response_format_for  # noqa: PLC0415

        formatted = [n for tool in tools for n in normalize_tool(tool, strict=strict)]
        names = [tool["function"]["name"] for tool in formatted if tool["type"] == "function"]
        choice = normalize_tool_choice(tool_choice, names)
        bound: dict[str, Any] = {
            "tools": formatted or None,
            "tool_choice": choice and (list(choice.names) or choice.mode),
            "parallel_tool_calls": parallel_tool_calls,
            "response_format": response_format and response_format_for(response_format, strict),
        }
        return super().bind(**{k: v for k, v in bound.items() if v is not None}, **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        method: Literal["json_schema", "function_calling", "json_mode"] = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        tools: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Make the model answer in a schema.

        Args:
            schema: A pydantic class, a `TypedDict`, a JSON schema or an OpenAI function.
            method: `json_schema` lets KIE enforce the schema; `function_calling` forces a
                call of a tool of that schema; `json_mode` only asks for JSON, so the prompt
                must describe it.
            include_raw: Return `{"raw", "parsed", "parsing_error"}` and raise no parsing
                error.
            strict: Passed on with the schema.
            tools: Tools to offer besides, where the model takes both.
            **kwargs: Further options of the call.

        Raises:
            ValueError: There is no such method.
        """
        from langchain_kie._tools import definitions as _tools  # noqa: PLC0415
        from langchain_kie._tools import structured_output as _structured  # noqa: PLC0415

        ls_format = {"kwargs": {"method": method, "strict": strict}, "schema": schema}
        if method == "function_calling":
            name = _tools.normalize_tool(schema)[0]["function"]["name"]
            bound = self.bind_tools(
                [schema, *(tools or ())],
                tool_choice=name,
                strict=strict,
                ls_structured_output_format=ls_format,
                **kwargs,
            )
            parser = _structured.tool_parser_for(schema)
            return _structured.piped(bound, parser, include_raw=include_raw)
        if method == "json_schema":
            response_format = _structured.response_format_for(schema, strict)
        elif method == "json_mode":
            response_format = {"type": "json_object"}
        else:
            raise ValueError(f"method {method!r} is none of {', '.join(_structured.METHODS)}")
        bound = self.bind_tools(
            tools or (),
            strict=strict,
            response_format=response_format,
            ls_structured_output_format=ls_format,
            **kwargs,
        )
        return _structured.piped(bound, _structured.parser_for(schema), include_raw=include_raw)


_DEFAULTS = {name: field.default for name, field in ChatKieGemini.model_fields.items()}
_CONSTRUCTOR_ONLY = _DEFAULTS.keys() - {*OPTION_NAMES}
_IDENTIFYING = ("model", "api", "base_url", *OPTION_NAMES, "model_kwargs")


def _evict_lost_files(request: PreparedCall, error: KieError) -> None:
    """Let files that KIE lost before their time be uploaded again with the next call."""
    if request.media and _LOST_FILE.search(error.message.lower()):
        from langchain_kie._uploads import evict  # noqa: PLC0415 - only who has media needs it

        evict(request.media)


def _result(assembler: MessageAssembler, chunks: Sequence[AIMessageChunk | None]) -> ChatResult:
    shown = [chunk for chunk in chunks if chunk]
    return result_of(message_of([*shown, assembler.finish()]))
