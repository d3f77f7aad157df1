"""A truncated response is never complete, and a complete one is never truncated."""

from __future__ import annotations

import pytest
from call_modes import DOCUMENTS, fixture, response_reader

from langchain_kie import KieEmptyResponseError, KieProtocolError, KieStreamInterruptedError

TERMINAL_EVENTS = {
    "shape_a.sse": 6,
    "shape_b.sse": 3,
    "shape_c.sse": 5,
    "native.sse": 3,
    "native_call.sse": 4,
    "chat_call.sse": 7,
}
"""Each stream, and the position of its first terminal event."""


@pytest.mark.parametrize("name", TERMINAL_EVENTS)
def test_a_stream_cut_at_any_byte_raises_before_its_terminal_event_and_never_after(name) -> None:
    body = fixture(name)
    events = body.split(b"\n\n")[: TERMINAL_EVENTS[name] + 1]
    evidence = sum(len(event) + 2 for event in events)
    for end in range(len(body) + 1):
        reader = response_reader()
        try:
            for _ in (*reader.feed(body[:end]), *reader.close()):
                pass
        except (KieStreamInterruptedError, KieEmptyResponseError):
            assert end < evidence, body[:end][-60:]
        except KieProtocolError:
            assert end < len("data"), "only the start of the first field is no stream"
        else:
            assert end >= evidence, body[:end][-60:]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_cut_at_any_byte_is_a_protocol_error(name: str) -> None:
    body = fixture(name).rstrip()
    for end in range(1, len(body)):
        reader = response_reader()
        assert reader.feed(body[:end]) == []
        assert not reader.is_complete
        with pytest.raises(KieProtocolError):
            reader.close()
    reader = response_reader()
    reader.feed(body)
    assert reader.is_complete
    assert len(reader.close()) == 1
