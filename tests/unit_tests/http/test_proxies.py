"""Proxies and certificates of the environment: used, excluded, or invalid."""

from __future__ import annotations

import textwrap

import pytest
from call_modes import BASIC_CALL_MODES, fixture, model_at, server_sending

from langchain_kie._http import pools as _pools
from unit_tests.loopback import PRELUDE, fork_script

COMPLETION = fixture("chat_completion.json")


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
def test_a_proxy_of_the_environment_is_used(form, excluded, is_used, monkeypatch) -> None:
    script = PRELUDE + textwrap.dedent("""
        try:
            model.invoke("hi")
        except Exception as error:
            import traceback
            assert "pass-word" not in "".join(traceback.format_exception(error)) + repr(error)
            print(type(error).__name__)
    """)
    with server_sending(b"", status=407) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", form.format(proxy.base_url.removeprefix("http://")))
        monkeypatch.setenv("NO_PROXY", excluded)
        assert fork_script(script, base_url="https://api.kie.invalid") == "KieConnectionError\n"
        assert bool(proxy.requests) is is_used
        assert {request.method for request in proxy.requests} <= {"CONNECT"}
        assert not [r for r in proxy.requests if "authorization" in r.headers]


def test_a_corrected_environment_is_read_again() -> None:
    script = PRELUDE + textwrap.dedent("""
        asks = lambda: model.invoke("hi"), lambda: asyncio.run(model.ainvoke("hi"))
        for value in ("foo://bad", sys.argv[2]):
            os.environ["HTTPS_PROXY"] = value
            for ask in asks:
                try:
                    ask()
                except Exception as error:
                    print(type(error).__name__)
    """)
    with server_sending(COMPLETION) as proxy:
        out = fork_script(script, proxy.base_url, base_url="https://api.kie.invalid")
        assert out.split() == ["KieConfigurationError"] * 2 + ["KieConnectionError"] * 2
        assert [request.method for request in proxy.requests] == ["CONNECT"] * 2


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


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
async def test_calls_on_this_machine_use_no_proxy(name: str, monkeypatch) -> None:
    with server_sending(COMPLETION) as proxy, server_sending(COMPLETION) as server:
        monkeypatch.setenv(name, proxy.base_url)
        monkeypatch.setattr(_pools._process, "value", _pools._ProcessPools())
        for call_mode in BASIC_CALL_MODES:
            await call_mode(model_at(server))
        assert (len(proxy.requests), len(server.requests)) == (0, 4)
        for pool in _pools._process.value.of_threads.clear():
            pool.close()
        for pools, _ in _pools._process.value.of_loops.values():
            for async_pool in pools.clear():
                await async_pool.aclose()
