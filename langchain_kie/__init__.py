"""LangChain chat model for the Gemini models that KIE.ai serves."""

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
from langchain_kie.files import KieFile, KieFiles, media_block

__all__ = [
    "ChatKieGemini",
    "KieAuthenticationError",
    "KieConfigurationError",
    "KieConnectionError",
    "KieContextOverflowError",
    "KieEmptyResponseError",
    "KieError",
    "KieFile",
    "KieFiles",
    "KieInsufficientCreditsError",
    "KieInvalidRequestError",
    "KieMediaNotSeenError",
    "KieModelNotFoundError",
    "KiePermissionDeniedError",
    "KieProtocolError",
    "KieRateLimitError",
    "KieRefusalError",
    "KieServerError",
    "KieStreamInterruptedError",
    "KieTimeoutError",
    "KieToolCallMissingError",
    "__version__",
    "media_block",
]
