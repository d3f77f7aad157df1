"""KIE's error answers: HTTP 200 with a JSON envelope of `code` and `msg`."""

from __future__ import annotations

from typing import Any

BAD_REQUEST = 400
UNAUTHORIZED = 401
UNPROCESSABLE = 422

MIME_NOT_SUPPORTED = (
    "The file mime type is not supported by Gemini, please convert or change the file"
)
MODEL_NOT_SUPPORTED = "The model is not supported"


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


def bad_request(message: str) -> ApiError:
    """Build the error for what Gemini itself rejects."""
    return ApiError(BAD_REQUEST, message)


def unprocessable(message: str) -> ApiError:
    """Build the error for what KIE's validation rejects."""
    return ApiError(UNPROCESSABLE, message)


def unauthorized() -> ApiError:
    """Build the error for a wrong key, with the message of three recordings."""
    return ApiError(
        UNAUTHORIZED,
        "Unauthorized \u2013 Authentication failed. Please check that your Authorization and "
        "Content-Type headers are correctly set.",
    )
