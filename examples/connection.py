"""Where the examples send their requests: to KIE, or without an API key to the emulator."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def connection_settings(**emulator_settings: Any) -> Iterator[dict[str, Any]]:
    """Choose where the requests go.

    Args:
        **emulator_settings: Keywords of `Emulator`, if one is started.

    Yields:
        Fields of `ChatKieGemini`: none if `KIE_API_KEY` is set, else those of an emulator, which
        stops at the end of the block.
    """
    if os.environ.get("KIE_API_KEY"):
        yield {}
        return
    from langchain_kie.emulator import Emulator  # noqa: PLC0415 - needs an extra

    sys.stderr.write("KIE_API_KEY is not set: using the KIE emulator on this machine.\n")
    with Emulator(**emulator_settings) as emulator:
        yield {"base_url": emulator.base_url, "api_key": emulator.api_key}
