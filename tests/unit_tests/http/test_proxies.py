"""Proxies and certificates of the environment: used, excluded, or invalid."""

from __future__ import annotations

import textwrap
import traceback
from typing import TYPE_CHECKING

import pytest
from call_modes import BASIC_CALL_MODES, fixture, model_at, server_sending

from langchain_kie import KieConfigurationError, KieConnectionError
from langchain_kie._http import pools as _pools
from unit_tests.loopback import PRELUDE, fork_script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

COMPLETION = fixture("chat_completion.json")


@pytest.fixture
async def new_pools(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Pools that no call has used, as in a new process."""
    pools = _pools._ProcessPools()
    monkeypatch.setattr(_pools._process, "value", pools)
    yield
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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "foo://user:password@host"),
        ("HTTPS_PROXY", "http://user:pass/word@host:1"),
        ("ALL_PROXY", "http://host:port"),
        ("SSL_CERT_FILE", "/nonexistent"),
    ],
)
def test_an_invalid_environment_is_a_configuration_error(name: str, value: str) -> None:
    script = PRELUDE + textwrap.dedent("""
        from langchain_kie import KieConfigurationError
        os.environ[sys.argv[2]] = sys.argv[3]
        for ask in (lambda: model.invoke("hi"), lambda: asyncio.run(model.ainvoke("hi"))):
            try:
                ask()
            except KieConfigurationError as error:
                assert "pass" not in str(error)
                print(sys.argv[2] in str(error))
    """)
    with server_sending(COMPLETION) as server:
        assert fork_script(script, name, value, base_url=server.base_url) == "True\nTrue\n"


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
