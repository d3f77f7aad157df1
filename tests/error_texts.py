"""Texts of KIE's errors (docs/wire.md 7), each stated once for all tests."""

CREDITS = (
    "Credits insufficient : Your current balance isn't enough to run this request. "
    "Please top up to continue."
)
MAINTENANCE = "The server is currently being maintained, please try again later~"
TOO_LARGE = (
    "The image URL<data:image/png;base64,…(truncated,len=2676538)> Inline data URL is too large. "
    "Upload the file and pass an HTTP(S) URL instead."
)
FREQUENCY = "Your call frequency is too high, please try again later"
NOT_ENABLED = "The API key is not authorized to use this model."
UNSUPPORTED_NAME = "The model name you specified is not supported. Please verify it."
UNSUPPORTED_CHANNEL = "The channel is not supported"
NO_FEATURE = "This feature is currently not supported"
SERVER_EXCEPTION = "Server exception, please try again later"
RETRIES_FAILED = "2 times retry fail"
