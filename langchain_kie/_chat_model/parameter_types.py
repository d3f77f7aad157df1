"""The types of the constructor's parameters, for type checkers; not imported at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.caches import BaseCache
    from langchain_core.callbacks import BaseCallbackHandler, BaseCallbackManager
    from langchain_core.language_models.model_profile import ModelProfile
    from langchain_core.rate_limiters import BaseRateLimiter
    from pydantic import SecretStr

    from langchain_kie._catalog import Api
    from langchain_kie._settings import AsyncHttpClient, HttpClient, MediaUpload, Timeout


class Parameters(TypedDict, total=False):
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
