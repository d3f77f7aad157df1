"""Failures to reach a server, each with real sockets on this machine.

Depends on sockets, certificates, proxies and httpx's clients. Each failure is a context that yields
the fields of a model, and checks that no request was sent that should not be.
"""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from contextlib import ExitStack, asynccontextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import httpx
import trustme
from limits import MAX_WAIT
from scripted_server import Scripted, ScriptedServer, refusing_url

from langchain_kie import KieConnectionError, KieError, KieTimeoutError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractAsyncContextManager

    from faults.answers import Answer

    Reach = Callable[[Answer], AbstractAsyncContextManager[dict[str, Any]]]

_NOWHERE = "https://api.kie.invalid"


@asynccontextmanager
async def clients(**options: Any) -> AsyncGenerator[dict[str, Any]]:
    """Yield clients of the user as fields of a model."""
    with httpx.Client(**options) as client:
        async with httpx.AsyncClient(**options) as async_client:
            yield {"http_client": client, "http_async_client": async_client}


@cache
def authority() -> trustme.CA:
    return trustme.CA()


@cache
def server_tls(name: str = "127.0.0.1", *, expired: bool = False) -> ssl.SSLContext:
    """Return the context of a server with a certificate for `name`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    end = dt.datetime(2001, 1, 1, tzinfo=dt.UTC) if expired else None
    begin = dt.datetime(2000, 1, 1, tzinfo=dt.UTC) if expired else None
    authority().issue_cert(name, not_before=begin, not_after=end).configure_cert(context)
    return context


@cache
def client_tls() -> ssl.SSLContext:
    """Return the context of a client that trusts `authority`."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context


@asynccontextmanager
async def _refused(answer: Answer) -> AsyncGenerator[dict[str, Any]]:
    with refusing_url() as url:
        yield {"base_url": url}


@asynccontextmanager
async def _no_such_host(answer: Answer) -> AsyncGenerator[dict[str, Any]]:
    yield {"base_url": _NOWHERE}


@asynccontextmanager
async def _full_backlog(answer: Answer) -> AsyncGenerator[dict[str, Any]]:
    """Listen with a full backlog, and accept no connection."""
    with ExitStack() as stack, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield {"base_url": url, "timeout": httpx.Timeout(30, connect=0.3)}


@asynccontextmanager
async def _tls(
    answer: Answer, *, trusts: bool = True, **certificate: Any
) -> AsyncGenerator[dict[str, Any]]:
    with ScriptedServer(Scripted([answer.body]), tls=server_tls(**certificate)) as server:
        if trusts:
            async with clients(verify=client_tls()) as fields:
                yield {"base_url": server.base_url, **fields}
        else:
            yield {"base_url": server.base_url}
        assert server.requests == [] or not certificate


@asynccontextmanager
async def _no_tls(answer: Answer) -> AsyncGenerator[dict[str, Any]]:
    with ScriptedServer(Scripted([answer.body])) as server:
        yield {"base_url": server.base_url.replace("http:", "https:")}
        assert server.requests == []


@asynccontextmanager
async def _proxy(
    answer: Answer, status: int, base_url: str = _NOWHERE
) -> AsyncGenerator[dict[str, Any]]:
    """Use a proxy that responds with `status` itself."""
    with ScriptedServer(Scripted([answer.body], status=status)) as server:
        async with clients(proxy=server.base_url) as fields:
            yield {"base_url": base_url, **fields}
        assert all("authorization" not in r.headers for r in server.requests) or status == 200
        assert all(r.method == "CONNECT" for r in server.requests) or status == 200


@asynccontextmanager
async def _proxy_refused(answer: Answer) -> AsyncGenerator[dict[str, Any]]:
    with refusing_url() as url:
        async with clients(proxy=url) as fields:
            yield {"base_url": _NOWHERE, **fields}


@asynccontextmanager
async def _full_pool(answer: Answer) -> AsyncGenerator[dict[str, Any]]:
    """Use clients whose only connection is busy with a response without end."""
    with ScriptedServer(Scripted([b"x"], ending="stall")) as server:
        async with clients(limits=httpx.Limits(max_connections=1), timeout=MAX_WAIT) as fields:
            url = server.base_url
            taken, ataken = (client.stream("POST", url) for client in fields.values())
            with taken:
                async with ataken:
                    yield {"base_url": url, "timeout": httpx.Timeout(MAX_WAIT, pool=0.3), **fields}
        assert len(server.requests) == 2


REACHING: tuple[tuple[str, str, type[KieError] | None, int | None, Reach], ...] = (
    ("C1", "refused", KieConnectionError, None, _refused),
    ("C2", "no such host", KieConnectionError, None, _no_such_host),
    ("C3", "no accept", KieTimeoutError, None, _full_backlog),
    ("C4", "TLS, fault-free", None, 0, _tls),
    ("C4", "TLS, self-signed", KieConnectionError, 0, partial(_tls, trusts=False)),
    ("C5", "TLS, wrong host", KieConnectionError, 0, partial(_tls, name="kie.invalid")),
    ("C6", "TLS, expired", KieConnectionError, 0, partial(_tls, expired=True)),
    ("C6", "no TLS", KieConnectionError, None, _no_tls),
    (
        "C7",
        "proxy, fault-free",
        None,
        0,
        partial(_proxy, status=200, base_url="http://localhost:9"),
    ),
    ("C7", "proxy refused", KieConnectionError, None, _proxy_refused),
    ("C8", "proxy, 407", KieConnectionError, 0, partial(_proxy, status=407)),
    ("C8", "proxy, 502", KieConnectionError, None, partial(_proxy, status=502)),
    ("C9", "pool exhausted", KieTimeoutError, 0, _full_pool),
)
"""Each failure, its error, and how often it is retried."""
