"""The connections of the shared async pools: addresses, reads, writes and their limits."""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
import struct
import threading
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any

import httpcore
import pytest
import uvloop
from call_modes import ainvoke, astream, fixture, model_at, server_sending
from faults.network import client_tls, server_tls
from limits import MAX_WAIT

from langchain_kie._http.asyncio_backend import AsyncioBackend, AsyncioStream, TlsStream
from unit_tests.loopback import all_closed, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

LONG = bytes(range(256)) * 40_000
"""More than the system keeps of what nobody reads."""


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[AsyncioStream, socket.socket]]:
    """A connection, and the socket of its server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = await AsyncioBackend().connect_tcp(*listener.getsockname(), timeout=MAX_WAIT)
        with listener.accept()[0] as server:
            server.setblocking(False)
            yield stream, server
            await stream.aclose()


def reset(server: socket.socket) -> None:
    """Close a connection with RST."""
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()


async def received(server: socket.socket, size: int) -> bytes:
    """What the server receives."""
    data = b""
    while len(data) < size:
        data += await asyncio.get_running_loop().sock_recv(server, size)
    return data


# --- addresses --------------------------------------------------------------------------------


@contextmanager
def silent_address() -> Iterator[int]:
    """The port of a host that answers no attempt to connect: its queue is full."""
    with socket.create_server(("127.0.0.2", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(("127.0.0.2", port))
        yield port
        for client in waiting:
            client.close()


@pytest.mark.parametrize("first", ["refuses", "is silent"])
async def test_the_next_address_of_a_host_is_tried(first, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a host whose IPv6 address cannot be reached."""
    with silent_address() as port, socket.create_server(("127.0.0.1", port)):

        async def addresses(*asked: Any, **options: Any) -> list[Any]:
            assert asked == ("kie.test", port)
            assert options == {"type": socket.SOCK_STREAM, "proto": socket.IPPROTO_TCP}
            host = "127.0.0.2" if first == "is silent" else "127.0.0.3"
            kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
            return [(*kind, (host, port)), (*kind, ("127.0.0.1", port))]

        reported: list[Any] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context))
        monkeypatch.setattr(loop, "getaddrinfo", addresses)
        stream = await AsyncioBackend().connect_tcp("kie.test", port, timeout=MAX_WAIT)
        assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
        await stream.aclose()
        await asyncio.sleep(0)
        assert not reported


async def test_only_an_address_is_resolved_on_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve, calls = socket.getaddrinfo, []

    def record(*args: Any, **options: Any) -> Any:
        on_loop = threading.current_thread() is threading.main_thread()
        flags = options["flags"] if "flags" in options else args[5]
        calls.append((on_loop, bool(flags & socket.AI_NUMERICHOST)))
        return resolve(*args, **options)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(socket, "getaddrinfo", record)
        for host in ("127.0.0.1", "localhost"):
            stream = await AsyncioBackend().connect_tcp(host, listener.getsockname()[1])
            sock = stream.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            await stream.aclose()
    assert calls == [(True, True), (True, True), (False, False)]


async def test_a_host_that_does_not_answer_is_a_timeout_and_one_that_refuses_an_error() -> None:
    with silent_address() as port:
        with pytest.raises(httpcore.ConnectTimeout):
            await AsyncioBackend().connect_tcp("127.0.0.2", port, timeout=0.05)
        with pytest.raises(httpcore.ConnectError, match="Connect call failed"):
            await AsyncioBackend().connect_tcp("127.0.0.3", port, timeout=MAX_WAIT)


@pytest.mark.parametrize("hosts", [["127.0.0.1"], ["127.0.0.3", "127.0.0.1"]])
async def test_a_connect_that_is_cancelled_at_any_step_leaves_no_socket(
    hosts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also without the garbage collector, which would warn of a socket that is not closed."""
    kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")

    async def addresses(_: str, port: int, **__: Any) -> list[Any]:
        return [(*kind, (host, port)) for host in hosts]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", addresses)
    accepted = 0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        for steps in range(25):
            connecting = asyncio.ensure_future(AsyncioBackend().connect_tcp("kie.test", port))
            for _ in range(steps):
                await asyncio.sleep(0)
            if connecting.done():
                await (await connecting).aclose()
            else:
                connecting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await connecting
            listener.setblocking(False)
            with suppress(BlockingIOError):
                server = listener.accept()[0]
                accepted += 1
                server.settimeout(MAX_WAIT)
                assert await asyncio.to_thread(server.recv, 9) == b""
                server.close()
    assert accepted


# --- reads ------------------------------------------------------------------------------------


async def test_a_read_returns_what_arrived_in_parts_of_the_given_size_and_then_the_end() -> None:
    async with connected() as (stream, server):
        server.send(b"abcdef")
        assert [await stream.read(4), await stream.read(4)] == [b"abcd", b"ef"]
        server.shutdown(socket.SHUT_WR)
        assert [await stream.read(4), await stream.read(4)] == [b"", b""]


async def test_the_end_is_read_although_a_long_body_is_not_yet_sent() -> None:
    async with connected() as (stream, server):
        writing = asyncio.ensure_future(stream.write(LONG))
        reading = asyncio.ensure_future(stream.read(9, timeout=MAX_WAIT))
        await asyncio.sleep(0)
        server.shutdown(socket.SHUT_WR)
        assert await reading == b""
        assert not writing.done()
        server.close()
        with pytest.raises(httpcore.WriteError):
            await writing


async def test_a_read_that_was_too_late_or_cancelled_loses_nothing() -> None:
    async with connected() as (stream, server):
        with pytest.raises(httpcore.ReadTimeout):
            await stream.read(9, timeout=0.01)
        reading = asyncio.ensure_future(stream.read(9, timeout=MAX_WAIT))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        server.send(b"later")
        assert await stream.read(9, timeout=MAX_WAIT) == b"later"


async def test_bytes_that_arrive_together_with_the_time_out_are_read() -> None:
    async with connected() as (stream, server):
        reading = asyncio.ensure_future(stream.read(9, timeout=0.01))
        await asyncio.sleep(0)
        server.send(b"in time")
        time.sleep(0.02)  # noqa: ASYNC251 - the event loop sees both in its next step
        assert await reading == b"in time"


async def test_what_arrived_before_a_reset_is_read_first() -> None:
    async with connected() as (stream, server):
        server.send(b"last")
        await until(lambda: stream._received)
        reset(server)
        await until(lambda: stream._is_lost)
        assert await stream.read(9) == b"last"
        with pytest.raises(httpcore.ReadError, match="reset"):
            await stream.read(9)


async def test_a_connection_that_nobody_reads_holds_little_and_loses_nothing() -> None:
    async with connected() as (stream, server):
        for _ in range(2):
            sending = asyncio.ensure_future(asyncio.get_running_loop().sock_sendall(server, LONG))
            await until(lambda: stream._reads_are_paused)
            held = len(stream._received)
            await asyncio.sleep(0.02)
            assert held == len(stream._received) < 1 << 19
            data = b""
            while len(data) < len(LONG):
                data += await stream.read(1 << 16, timeout=MAX_WAIT)
            assert data == LONG
            await sending


async def test_a_closed_connection_still_gives_what_it_held() -> None:
    async with connected() as (stream, server):
        await asyncio.get_running_loop().sock_sendall(server, LONG[:300_000])
        await until(lambda: stream._reads_are_paused)
        held = len(stream._received)
        await stream.aclose()
        assert len(await stream.read(len(LONG))) == held
        with pytest.raises(httpcore.ReadError, match="the connection is closed"):
            await stream.read(9)


async def test_other_tasks_run_between_the_parts_of_a_long_answer_and_of_a_long_body(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sleep, steps = asyncio.sleep, 0

    async def sleep_without_a_wait(delay: float) -> None:
        assert delay == 0
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", sleep_without_a_wait)

    async def other() -> None:
        nonlocal steps
        while True:
            steps += 1
            await sleep(0)

    async with connected() as (stream, server):
        await asyncio.get_running_loop().sock_sendall(server, bytes(200_000))
        while len(stream._received) <= 60_000:
            await sleep(0)
        task = asyncio.ensure_future(other())
        for _ in range(6):
            await stream.read(10_000)
        assert steps >= 6
        steps = 0
        for _ in range(3):
            await stream.write(bytes(70_000))
        assert steps >= 3
        task.cancel()


@pytest.mark.parametrize("system", ["Unix", "Windows"])
@pytest.mark.parametrize("by", ["the end", "a reset", "bytes"])
async def test_a_connection_that_the_server_ended_or_wrote_to_is_readable(
    by: str, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the event loop has not run since."""
    if system == "Windows":
        monkeypatch.delattr(select, "poll")
    async with connected() as (stream, server):
        assert not stream.get_extra_info("is_readable")
        if by == "bytes":
            server.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        elif by == "a reset":
            reset(server)
        else:
            server.shutdown(socket.SHUT_WR)
        assert stream.get_extra_info("is_readable")
        await until(lambda: stream._received or stream._is_lost)
        assert stream.get_extra_info("is_readable")


# --- writes -----------------------------------------------------------------------------------


async def test_short_writes_are_sent_together_when_the_answer_is_read() -> None:
    async with connected() as (stream, server):
        for part in (b"head ", b"body"):
            await stream.write(part)
        with pytest.raises(BlockingIOError):
            server.recv(9)
        reading = asyncio.ensure_future(stream.read(9))
        assert await received(server, 9) == b"head body"
        server.send(b"answer")
        assert await reading == b"answer"


async def test_a_long_body_is_sent_as_the_server_takes_it() -> None:
    async with connected() as (stream, server):
        await stream.write(b"head")
        writing = asyncio.ensure_future(stream.write(memoryview(LONG)))
        data = await received(server, len(LONG) + 4)
        await writing
        assert data == b"head" + LONG


async def test_a_server_that_takes_no_body_is_a_timeout_and_one_that_is_gone_an_error() -> None:
    async with connected() as (stream, server):
        with pytest.raises(httpcore.WriteTimeout):
            await stream.write(LONG, timeout=0.01)
        writing = asyncio.ensure_future(stream.write(LONG, timeout=MAX_WAIT))
        await asyncio.sleep(0)
        server.close()
        with pytest.raises(httpcore.WriteError):
            await writing
        with pytest.raises(httpcore.WriteError):
            await stream.write(LONG)


async def test_an_early_answer_is_read_although_the_body_was_not_sent() -> None:
    async with connected() as (stream, server):
        server.send(b"413")
        await until(lambda: stream._received)
        reset(server)
        with pytest.raises(httpcore.WriteError):
            await stream.write(LONG, timeout=MAX_WAIT)
        await stream.write(b"short")
        assert await stream.read(9) == b"413"


async def test_a_short_body_that_the_server_does_not_take_has_the_time_of_a_write() -> None:
    async with connected() as (stream, _):
        with pytest.raises(httpcore.WriteTimeout):
            await stream.write(LONG, timeout=0.01)
        await stream.write(b"short", timeout=0.01)
        with pytest.raises(httpcore.WriteTimeout):
            await stream.read(9, timeout=MAX_WAIT)


# --- TLS --------------------------------------------------------------------------------------


@asynccontextmanager
async def tls_server(**certificate: str) -> AsyncIterator[tuple[str, int]]:
    """The address of a server that sends back what it receives."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    context = server_tls(**certificate)
    context.num_tickets = 0  # nothing else follows the handshake
    async with await asyncio.start_server(echo, "127.0.0.1", ssl=context) as server:
        yield server.sockets[0].getsockname()


async def encrypted(host: str, port: int) -> TlsStream:
    """A connection after its handshake."""
    stream = await AsyncioBackend().connect_tcp(host, port)
    return await stream.start_tls(client_tls(), server_hostname=host)


async def test_an_encrypted_connection_carries_long_bodies_both_ways() -> None:
    async with tls_server() as address:
        stream = await encrypted(*address)
        assert stream.get_extra_info("ssl_object").cipher()
        assert stream.get_extra_info("server_addr") == address
        assert not stream.get_extra_info("is_readable")
        writing = asyncio.ensure_future(stream.write(LONG, timeout=MAX_WAIT))
        data = b""
        while len(data) < len(LONG):
            data += await stream.read(1 << 16, timeout=MAX_WAIT)
        await writing
        assert data == LONG
        assert not stream.get_extra_info("is_readable")
        await stream.aclose()
        await until(lambda: stream._stream._is_lost)


BROKEN_RECORD = b"\x17\x03\x03\x00\x20" + bytes(32)


@pytest.mark.parametrize("arrives", ["together", "one after the other"])
@pytest.mark.parametrize(
    "end", ["close_notify", "close_notify alone", "nothing", "a broken record"]
)
async def test_what_arrived_before_the_end_of_tls_is_read_first(end: str, arrives: str) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = server_tls().wrap_bio(incoming, outgoing, server_side=True)
    was_read = Event()

    def serve(server: socket.socket) -> None:
        for step in (tls.do_handshake, partial(tls.read, 9)):
            while True:
                with suppress(ssl.SSLWantReadError):
                    step()
                    break
                server.sendall(outgoing.read())
                incoming.write(server.recv(1 << 16))
        tls.write(b"last")
        if arrives != "together":
            server.sendall(outgoing.read())
            was_read.wait(MAX_WAIT)
        if end.startswith("close_notify"):
            with suppress(ssl.SSLWantReadError):
                tls.unwrap()
        last = BROKEN_RECORD if end == "a broken record" else b""
        server.sendall(outgoing.read() + last)
        if end != "close_notify alone":
            server.shutdown(socket.SHUT_WR)

    async with connected() as (plain, server):
        server.settimeout(MAX_WAIT)
        serving = asyncio.ensure_future(asyncio.to_thread(serve, server))
        stream = await plain.start_tls(client_tls(), server_hostname="127.0.0.1")
        await stream.write(b"")
        await stream.write(b"question")
        assert await stream.read(9) == b"last"
        if arrives == "together" and end.startswith("close_notify"):
            assert stream.get_extra_info("is_readable")
        was_read.set()
        if end == "a broken record":
            with pytest.raises(httpcore.ReadError, match=r"_ssl\.c"):
                await stream.read(9)
            with pytest.raises(httpcore.WriteError, match=r"_ssl\.c"):
                await stream.write(b"more")
        else:
            assert [await stream.read(9), await stream.read(9)] == [b"", b""]
        await serving


async def test_an_encrypted_connection_that_holds_bytes_is_readable() -> None:
    async with tls_server() as address:
        stream = await encrypted(*address)
        await stream.write(bytes(20_000))
        assert len(await stream.read(10)) == 10
        assert stream.get_extra_info("is_readable")
        await stream.aclose()


async def test_a_body_that_the_server_of_tls_does_not_take_has_the_time_of_a_write() -> None:
    is_done = asyncio.Event()

    async def read_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await is_done.wait()
        writer.close()

    server = await asyncio.start_server(read_nothing, "127.0.0.1", ssl=server_tls(), limit=1)
    async with server:
        stream = await encrypted(*server.sockets[0].getsockname())
        with pytest.raises(httpcore.WriteTimeout):
            await stream.write(LONG, timeout=0.01)
        await stream.write(b"short", timeout=0.01)
        with pytest.raises(httpcore.WriteTimeout):
            await stream.read(9, timeout=MAX_WAIT)
        is_done.set()
        await stream.aclose()


async def test_the_pieces_of_a_record_do_not_extend_the_time_of_a_read() -> None:
    async def send_pieces(server: socket.socket) -> None:
        for byte in b"\x17\x03\x03\x40\x00" + bytes(1 << 14):
            await asyncio.get_running_loop().sock_sendall(server, bytes([byte]))
            await asyncio.sleep(0.005)

    async with connected() as (plain, server):
        stream = TlsStream(plain, client_tls(), "127.0.0.1")
        sending = asyncio.ensure_future(send_pieces(server))
        with pytest.raises(httpcore.ReadTimeout):
            await stream.read(9, timeout=0.02)
        sending.cancel()


async def test_a_handshake_fails_with_a_wrong_certificate_a_reset_or_silence() -> None:
    async with tls_server(name="other.test") as address:
        with pytest.raises(httpcore.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await encrypted(*address)
    async with connected() as (stream, server):
        reset(server)
        with pytest.raises(httpcore.ConnectError):
            await stream.start_tls(client_tls(), server_hostname="127.0.0.1")
    async with connected() as (stream, server):
        with pytest.raises(httpcore.ConnectTimeout, match=r"^$"):
            await stream.start_tls(client_tls(), server_hostname="127.0.0.1", timeout=0.01)
        while await asyncio.get_running_loop().sock_recv(server, 1 << 16):
            pass  # until the end, because the client closed


# --- other event loops ------------------------------------------------------------------------


def test_calls_work_on_uvloop_and_leave_nothing_open() -> None:
    with server_sending(fixture("shape_a.sse")) as server:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            answers = [runner.run(call_mode(model_at(server))) for call_mode in (ainvoke, astream)]
            assert server.open_connections == 1
        asyncio.run(all_closed(server))
        assert answers[0].content == answers[1].content == "The sky is blue, né 🌤."
