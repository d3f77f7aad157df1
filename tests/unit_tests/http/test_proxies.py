"""Proxies and certificates of the environment: used, excluded, or invalid."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest
from call_modes import BASIC_CALL_MODES, ainvoke, fixture, model_at, server_sending
from faults.network import authority, server_tls
from scripted_server import Scripted, ScriptedServer

from langchain_kie import KieConfigurationError, KieConnectionError
from langchain_kie._http import pools as _pools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

COMPLETION = fixture("chat_completion.json")


@pytest.fixture
async def new_pools(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Pools that no call has used, and certificates that are not loaded, as in a new process."""
    _pools.ssl_context.cache_clear()
    monkeypatch.setattr(_pools._process, "value", _pools._ProcessPools())
    yield
    _pools.ssl_context.cache_clear()
    pools = _pools._process.value
    for pool in pools.of_threads.clear():
        pool.close()
    for of_loop, _ in pools.of_loops.values():
        for async_pool in of_loop.clear():
            await async_pool.aclose()


@pytest.mark.usefixtures("new_pools")
@pytest.mark.parametrize(
    ("form", "excluded", "is_used"),
    [
        ("http://{}", "", True),
        ("http://user:pass-word@{}", "", True),
        ("{}", "other.invalid", True),
        ("http://{}", "kie.invalid", False),
        ("http://{}", "a.example, .kie.invalid", False),
        ("http://{}", "https://api.kie.invalid", False),
        ("http://{}", "*", False),
    ],
)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY"])
async def test_a_proxy_of_the_environment_is_used(
    name: str, form: str, excluded: str, is_used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server_sending(b"", status=407) as proxy:
        monkeypatch.setenv(name, form.format(proxy.base_url.removeprefix("http://")))
        monkeypatch.setenv("NO_PROXY", excluded)
        for call_mode in BASIC_CALL_MODES:
            with pytest.raises(KieConnectionError) as error:
                await call_mode(model_at(proxy, base_url="https://api.kie.invalid"))
            assert "pass-word" not in "".join(traceback.format_exception(error.value))
        assert len(proxy.requests) == (4 if is_used else 0)
        assert {request.method for request in proxy.requests} <= {"CONNECT"}
        assert not [r for r in proxy.requests if "authorization" in r.headers]


@pytest.mark.usefixtures("new_pools")
async def test_a_corrected_environment_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with server_sending(b"", status=407) as proxy:
        for value, error in [
            ("foo://bad", KieConfigurationError),
            (proxy.base_url, KieConnectionError),
        ]:
            monkeypatch.setenv("HTTPS_PROXY", value)
            for call_mode in BASIC_CALL_MODES:
                with pytest.raises(error):
                    await call_mode(model_at(proxy, base_url="https://api.kie.invalid"))
        assert [request.method for request in proxy.requests] == ["CONNECT"] * 4


@pytest.mark.usefixtures("new_pools")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "foo://user:password@host"),
        ("HTTPS_PROXY", "http://user:pass/word@host:1"),
        ("ALL_PROXY", "http://host:port"),
        ("SSL_CERT_FILE", "/nonexistent"),
    ],
)
async def test_an_invalid_environment_is_a_configuration_error(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with server_sending(COMPLETION) as server:
        for call_mode in BASIC_CALL_MODES:
            with pytest.raises(KieConfigurationError, match=name) as error:
                await call_mode(model_at(server))
            assert "pass" not in str(error.value)


@pytest.mark.usefixtures("new_pools")
async def test_the_certificates_of_the_environment_are_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority().cert_pem.write_to_path(tmp_path / "ca.pem")
    server = ScriptedServer(Scripted([COMPLETION]), tls=server_tls())
    with server, pytest.raises(KieConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        await ainvoke(model_at(server))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    _pools.ssl_context.cache_clear()
    monkeypatch.setattr(_pools._process, "value", _pools._ProcessPools())
    with ScriptedServer(Scripted([COMPLETION]), tls=server_tls()) as server:
        for call_mode in BASIC_CALL_MODES:
            assert (await call_mode(model_at(server))).text


@pytest.mark.usefixtures("new_pools")
@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
async def test_calls_on_this_machine_use_no_proxy_and_no_call_keeps_cookies(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cookie = {"Content-Type": "application/json", "Set-Cookie": "session=1"}
    with server_sending(COMPLETION) as proxy, server_sending(COMPLETION, headers=cookie) as server:
        monkeypatch.setenv(name, proxy.base_url)
        for call_mode in BASIC_CALL_MODES * 2:
            await call_mode(model_at(server))
        assert (len(proxy.requests), len(server.requests)) == (0, 8)
        assert not [request for request in server.requests if "cookie" in request.headers]
