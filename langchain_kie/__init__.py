"""LangChain chat model for the Gemini models that KIE.ai serves."""

from typing import TYPE_CHECKING, Any

from langchain_kie._version import __version__
from langchain_kie.chat_models import ChatKieGemini
from langchain_kie.errors import (
    KieAuthenticationError,
    KieConfigurationError,
    KieConnectionError,
    KieContextOverflowError,
    KieEmptyResponseError,
    KieError,
    KieInsufficientCreditsError,
    KieInvalidRequestError,
    KieMediaNotSeenError,
    KieModelNotFoundError,
    KiePermissionDeniedError,
    KieProtocolError,
    KieRateLimitError,
    KieRefusalError,
    KieServerError,
    KieStreamInterruptedError,
    KieTimeoutError,
    KieToolCallMissingError,
)
from langchain_kie.files import KieFile, KieFiles, amedia_block, media_block

if TYPE_CHECKING:
    from langchain_kie._account.answers import KieListedModel, KieSuccessPoint, KieSuccessRate
    from langchain_kie._account.model_table import KieModel, KieModelApi, models
    from langchain_kie._account.prices import KiePrice
    from langchain_kie._registration import register
    from langchain_kie.account import KieAccount
    from langchain_kie.credits import KieCredits, KieCreditsCallback, get_kie_credits_callback
    from langchain_kie.rate_limiter import KieRateLimiter

_MODULES = {
    "KieAccount": "account",
    **dict.fromkeys(("KieCredits", "KieCreditsCallback", "get_kie_credits_callback"), "credits"),
    **dict.fromkeys(("KieListedModel", "KieSuccessPoint", "KieSuccessRate"), "_account.answers"),
    **dict.fromkeys(("KieModel", "KieModelApi", "models"), "_account.model_table"),
    "KiePrice": "_account.prices",
    "KieRateLimiter": "rate_limiter",
    "register": "_registration",
}
"""The modules of the names that are imported when they are first used."""


def __getattr__(name: str) -> Any:
    """Import a name that few programs use."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})


__all__ = [
    "ChatKieGemini",
    "KieAccount",
    "KieAuthenticationError",
    "KieConfigurationError",
    "KieConnectionError",
    "KieContextOverflowError",
    "KieCredits",
    "KieCreditsCallback",
    "KieEmptyResponseError",
    "KieError",
    "KieFile",
    "KieFiles",
    "KieInsufficientCreditsError",
    "KieInvalidRequestError",
    "KieListedModel",
    "KieMediaNotSeenError",
    "KieModel",
    "KieModelApi",
    "KieModelNotFoundError",
    "KiePermissionDeniedError",
    "KiePrice",
    "KieProtocolError",
    "KieRateLimitError",
    "KieRateLimiter",
    "KieRefusalError",
    "KieServerError",
    "KieStreamInterruptedError",
    "KieSuccessPoint",
    "KieSuccessRate",
    "KieTimeoutError",
    "KieToolCallMissingError",
    "__version__",
    "amedia_block",
    "get_kie_credits_callback",
    "media_block",
    "models",
    "register",
]
