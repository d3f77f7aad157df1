"""KIE's way to refuse: HTTP 200 and an envelope.

Knows the words of the refusals that more than one module utters. Does not know HTTP.
"""

from __future__ import annotations

from typing import Any

BAD_REQUEST = 400
UNAUTHORIZED = 401
UNPROCESSABLE = 422

MIME_NOT_SUPPORTED = (
    "The file mime type is not supported by Gemini, please convert or change the file"
)
MODEL_NOT_SUPPORTED = "The model is not supported"


class WireError(Exception):
    """A refusal.

    Attributes:
        code: KIE's code, which is not the HTTP status.
        message: The envelope's `msg`.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def envelope(self) -> dict[str, Any]:
        """Write the body; recorded refusals of a key have no `data` (docs/wire.md 1)."""
        body: dict[str, Any] = {"code": self.code, "msg": self.message}
        if self.code != UNAUTHORIZED:
            body["data"] = None
        return body


def bad_request(message: str) -> WireError:
    """Refuse what Gemini itself would refuse."""
    return WireError(BAD_REQUEST, message)


def unprocessable(message: str) -> WireError:
    """Refuse what KIE's own validation would refuse."""
    return WireError(UNPROCESSABLE, message)


def unauthorized() -> WireError:
    """Refuse a key, in the words of three recordings."""
    return WireError(
        UNAUTHORIZED,
        "Unauthorized \u2013 Authentication failed. Please check that your Authorization and "
        "Content-Type headers are correctly set.",
    )
