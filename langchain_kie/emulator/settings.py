"""What the constructor of `Emulator` sets: the address, and which behaviour of KIE it shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from langchain_kie.emulator.conversation import Respond

DEFAULT_API_KEY = "kie-emulator-key"


@dataclass(frozen=True, slots=True)
class ToolCallFormat:
    """How chat completions write tool calls.

    No stream of KIE with a tool call was ever recorded (docs/wire.md 5). The default is OpenAI's
    format; the others are known from other servers.

    Attributes:
        index: The `index` of a call: its position, always 0, or none at all.
        in_fragments: Whether a stream sends the arguments in fragments.
        as_object: Whether the arguments are a JSON object instead of JSON text.
        has_id: Whether a call has an id.
    """

    index: Literal["position", "zero", "none"] = "position"
    in_fragments: bool = True
    as_object: bool = False
    has_id: bool = True


@dataclass(kw_only=True, eq=False, repr=False)
class Settings:
    """The keywords of `Emulator`, which are its attributes, too.

    The port and the host are read at the start; the others can be changed while it runs. The
    defaults are what at least two sources report of KIE; what a single source reports is off. The
    parentheses name the sources: KIE's documentation, or measurements on a model in a month.

    Attributes:
        port: The port to listen on; 0, the default, chooses a free one.
        host: The address to listen on; 127.0.0.1 by default.
        api_key: The only key that is accepted.
        respond: A function, sync or async, that answers each request: it gets a `ChatRequest` and
            returns a text, an `Answer`, a `Failure` or a `RawAnswer`. A sync function runs in a
            thread, an async one in the event loop of the emulator. `None`, the default, answers by
            the rules of `langchain_kie.emulator.responder`.
        delay: The seconds before an answer begins; 0 by default.
        piece_delay: The seconds between the events of a stream; 0 by default.
        media: URLs that the emulator can fetch, and the bytes or the file of each. All other
            URLs must be of loopback hosts.
        clock: The time in seconds since 1970; the time of this machine by default. It decides
            when uploads expire and when a rate limit ends.
        credits: The balance in KIE's credits; 1,000,000 by default. Each answer reduces it by
            what it costs. At 0, chat calls fail with code 402 (documented).
        context_tokens: The largest prompt in tokens; 1,048,576, Google's limit, by default. For a
            longer one, the answer is Google's error in KIE's envelope with code 400 (assumed).
        rate_limit: Whether more than 20 chat requests in 10 seconds fail with code 429, and more
            than one request in a second to the list of models, its schemas, prices and success
            rates (documented); off by default, because tests send many requests.
        unauthorized_models: Models, in KIE's spelling, that the key is not enabled for: code 401
            in HTTP 200 (five sources); none by default.
        unsupported_models: Models, in KIE's spelling, without a channel for this account: code
            422 in HTTP 200 (2.5 Flash and 3 Flash, 2026-09 and 2026-10); none by default.
        fail_uploads: KIE's code to reject every upload with, such as 402; `None`, the default,
            accepts uploads.
        drops_media: Whether the media of a prompt are ignored without an error, as KIE does at
            times (3 of 7 videos, 2026-07); off by default.
        lost_files_as_text: Whether the answer to a prompt with a file that cannot be downloaded
            is the text of KIE's error, without an error code (one source); by default the code
            is 400 (several sources).
        hang_on_stream_false: Whether native requests that do not stream never get an answer
            (3.8 Flash, 2026-09); off by default.
        ignore_nullable: Whether native schemas have no null (3.8 Flash, 2026-09); off by default.
            If it is on, a `nullable` value that the prompt does not contain is "", a member of
            its `enum` or a placeholder, or is left out if it is not required; a schema whose
            `anyOf` contains the type NULL gives `{}`; and `responseJsonSchema`, otherwise
            rejected, is ignored.
        ignore_tool_choice: What comes instead of a call that the tool choice requires: "prose",
            "json" (the arguments as JSON text) or "fenced" (the same in a Markdown code fence).
            Prose was reported of 3.1 Pro (2026-07). `None`, the default, makes the call.
        tool_call_format: How chat completions write tool calls; OpenAI's format by default.
    """

    port: int = 0
    host: str = "127.0.0.1"
    api_key: str = DEFAULT_API_KEY
    respond: Respond | None = None
    delay: float = 0.0
    piece_delay: float = 0.0
    media: Mapping[str, bytes | Path] | None = None
    clock: Callable[[], float] = time.time
    credits: float = 1_000_000.0
    context_tokens: int = 1_048_576
    rate_limit: bool = False
    unauthorized_models: Collection[str] = ()
    unsupported_models: Collection[str] = ()
    fail_uploads: int | None = None
    drops_media: bool = False
    lost_files_as_text: bool = False
    hang_on_stream_false: bool = False
    ignore_nullable: bool = False
    ignore_tool_choice: Literal["prose", "json", "fenced"] | None = None
    tool_call_format: ToolCallFormat = ToolCallFormat()

    def __post_init__(self) -> None:
        """Do nothing; the constructor of `Emulator` is the one of this class and calls it."""
