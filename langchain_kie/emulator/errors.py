"""KIE's error answers: HTTP 200 with a JSON envelope of `code` and `msg`."""

from __future__ import annotations

from typing import Any

BAD_REQUEST = 400
UNAUTHORIZED = 401
UNPROCESSABLE = 422

MIME_NOT_SUPPORTED = (
    "The file mime type is not supported by Gemini, please convert or change the file"
)
LOST_FILE = "Failed to get file information"
MODEL_NOT_SUPPORTED = "The model is not supported"
CHANNEL_NOT_SUPPORTED = "The channel is not supported"
FEATURE_NOT_SUPPORTED = "This feature is currently not supported"
UNKNOWN_MODEL = (
    "The model name you specified is not supported. Please verify your input and use one of the "
    "supported models provided by KIE."
)
KEY_NOT_AUTHORIZED = "The API key is not authorized to use this model."
NO_CREDITS = (
    "Credits insufficient : Your current balance isn't enough to run this request. Please top up "
    "to continue."
)
TOO_FAST = "Your call frequency is too high. Please try again later."
SERVER_EXCEPTION = "Server exception, please try again later"
INLINE_TOO_LARGE = (
    "The image URL<data:...(truncated,len={length})> Inline data URL is too large. Upload the "
    "file and pass an HTTP(S) URL instead."
)
TOO_MANY_TOKENS = (
    "The input token count ({count}) exceeds the maximum number of tokens allowed ({maximum})."
)
TIMEOUT_PAGE = b"""<!DOCTYPE html>
<html lang="en">
<head><title>api.kie.ai | 524: the server took too long</title></head>
<body><h1>Error 524</h1><p>Cloudflare reached api.kie.ai, but got no answer in time.</p></body>
</html>
"""
"""What the gateway in front of KIE sends when KIE does not answer."""


MESSAGES = {
    UNAUTHORIZED: (
        "Unauthorized \u2013 Authentication failed. Please check that your Authorization and "
        "Content-Type headers are correctly set."
    ),
    402: NO_CREDITS,
    404: UNKNOWN_MODEL,
    UNPROCESSABLE: MODEL_NOT_SUPPORTED,
    429: TOO_FAST,
    433: "The spending limit of this API key is reached.",
    455: "The server is currently being maintained, please try again later~",
    524: "2 times retry fail",
}
"""What KIE sends with a code (docs/wire.md 7 and 8); that of code 433 is not known."""


class ApiError(Exception):
    """A request that KIE rejects.

    Attributes:
        code: KIE's code in the body; the HTTP status is 200 all the same.
        message: The envelope's `msg`.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def envelope(self) -> dict[str, Any]:
        """Build the body; recorded answers to a wrong key have no `data` (docs/wire.md 1)."""
        body: dict[str, Any] = {"code": self.code, "msg": self.message}
        if self.code != UNAUTHORIZED:
            body["data"] = None
        return body


class GatewayTimeoutError(Exception):
    """A request that the gateway in front of KIE ends, with HTTP 524 and `TIMEOUT_PAGE`."""


def bad_request(message: str) -> ApiError:
    """Build the error for what Gemini itself rejects."""
    return ApiError(BAD_REQUEST, message)


def unprocessable(message: str) -> ApiError:
    """Build the error for what KIE's validation rejects."""
    return ApiError(UNPROCESSABLE, message)


def unauthorized() -> ApiError:
    """Build the error for a wrong key, with the message of three recordings."""
    return ApiError(UNAUTHORIZED, MESSAGES[UNAUTHORIZED])
