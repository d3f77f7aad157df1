"""The first call of a process: what it loads, it does not load on the event loop."""

from __future__ import annotations

import httpx
import pytest
from call_modes import BASIC_CALL_MODES, KEY, fixture, model_at, server_sending

from langchain_kie import ChatKieGemini, KieConfigurationError
from langchain_kie._http import pools as _pools
from langchain_kie.emulator import Emulator
from unit_tests.loopback import fork_script, run_script

SCRIPT = """
    import asyncio
    import ssl
    import sys

    from langchain_kie import ChatKieGemini, KieAccount, KieFiles

    base_url, api, key, call, *warm = sys.argv[1:]
    found = []

    def record(what):
        if asyncio._get_running_loop() is not None:
            found.append(what)

    class Finder:
        \"\"\"Records what is imported while an event loop runs in this thread.\"\"\"

        @staticmethod
        def find_spec(name, path=None, target=None):
            record(name)

    def load_verify_locations(*args, load=ssl.SSLContext.load_verify_locations, **kwargs):
        record("ssl")
        return load(*args, **kwargs)

    ssl.SSLContext.load_verify_locations = load_verify_locations
    model = ChatKieGemini(model="gemini-3-flash", api_key=key, base_url=base_url, api=api,
                          stream_invoke=True)

    async def text():
        return (await model.ainvoke("hi")).text

    async def streamed_text():
        return "".join([chunk.text async for chunk in model.astream("hi")])

    def account():
        return KieAccount(api_key=key, base_url=base_url)

    CALLS = {
        "ainvoke": text,
        "astream": streamed_text,
        "aupload": lambda: KieFiles(api_key=key, upload_url=base_url).aupload(b"%PDF-1.7"),
        "acredits": lambda: account().acredits(),
        "amodels": lambda: account().amodels(),
        "aprice": lambda: account().aprice("gemini-3.5-flash"),
        "asuccess_rate": lambda: account().asuccess_rate("gemini-3.5-flash"),
    }

    async def main():
        sys.meta_path.insert(0, Finder)
        if warm:
            await model.awarm_up()
        print(await CALLS[call]())

    asyncio.run(main())
    print(sorted(name for name in found if name.split(".")[0] in {
        "langchain_kie", "httpx", "httpcore", "httpx_sse", "h11", "anyio", "rich", "click", "ssl"}))
    print(len(found))
"""


@pytest.mark.parametrize("call_mode", ["ainvoke", "astream"])
@pytest.mark.parametrize(
    ("api", "body"), [("chat_completions", "shape_a.sse"), ("generate_content", "native.sse")]
)
def test_the_first_async_call_imports_nothing_of_ours_on_the_event_loop(
    call_mode: str, api: str, body: str
) -> None:
    with server_sending(fixture(body)) as server:
        text = model_at(server, api=api).invoke("hi").text
        args = (api, KEY, call_mode)
        assert fork_script(SCRIPT, *args, base_url=server.base_url).splitlines()[:2] == [text, "[]"]
        warm = fork_script(SCRIPT, *args, "warm", base_url=server.base_url)
        assert warm.splitlines()[:2] == [text, "[]"]
        assert int(warm.splitlines()[2]) <= 3  # langchain-core's


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        ("aupload", "KieFile(url="),
        ("acredits", "1000000.0"),
        ("amodels", "(KieListedModel("),
        ("aprice", "KiePrice("),
        ("asuccess_rate", "KieSuccessRate("),
    ],
)
def test_the_first_async_call_without_a_model_imports_nothing_on_the_event_loop(
    call: str, answer: str
) -> None:
    with Emulator() as emulator:
        args = ("chat_completions", emulator.api_key, call)
        output = fork_script(SCRIPT, *args, base_url=emulator.base_url)
    assert output.startswith(answer)
    assert output.splitlines()[1:] == ["[]", "0"]


BLOCKBUSTER = """
    import asyncio
    import sys

    from blockbuster import blockbuster_ctx
    from pathlib import Path

    from langchain_kie import ChatKieGemini, amedia_block

    base_url, path = sys.argv[1:]

    async def main():
        model = ChatKieGemini(model="gemini-3-flash", api_key="k", base_url=base_url)
        await model.ainvoke("hi")
        assert [chunk async for chunk in model.astream("hi")]
        assert await model.abatch(["hi", "hi"])
        block = await amedia_block(Path(path))
        await model.ainvoke([("user", [{"type": "text", "text": "hi"}, block])])
        await model.bind_tools([{"name": "f", "parameters": {}}]).ainvoke("hi")
        await model.with_structured_output({"title": "P", "type": "object", "properties": {}},
                                           include_raw=True).ainvoke("hi")
        print("rich" in sys.modules)

    import importlib.util
    assert importlib.util.find_spec("rich")
    with blockbuster_ctx():
        asyncio.run(main())
"""


def test_calls_do_not_block_the_event_loop_where_rich_is_installed(tmp_path) -> None:
    """httpx imports rich, which reads the working directory, if it is installed."""
    (tmp_path / "a.txt").write_text("some text")
    with server_sending(fixture("shape_a.sse")) as server:
        output = fork_script(BLOCKBUSTER, str(tmp_path / "a.txt"), base_url=server.base_url)
        assert len(server.requests) == 7
    assert output.split() == ["True"]


async def test_a_warm_up_sends_nothing_and_calls_work_after_it() -> None:
    with server_sending(fixture("shape_a.sse")) as server:
        model = model_at(server)
        model.warm_up()
        await model.awarm_up()
        assert server.requests == []
        for call_mode in BASIC_CALL_MODES:
            assert (await call_mode(model)).text


async def test_a_warm_up_with_clients_of_the_user_opens_no_pool(monkeypatch) -> None:
    pools = _pools._ProcessPools()
    monkeypatch.setattr(_pools._process, "value", pools)
    with server_sending() as server, httpx.Client() as client:
        async with httpx.AsyncClient() as async_client:
            model = model_at(server, http_client=client, http_async_client=async_client)
            model.warm_up()
            await model.awarm_up()
    assert not pools.of_threads._slots
    assert not pools.of_loops


async def test_a_warm_up_reports_a_missing_key() -> None:
    model = ChatKieGemini(model="gemini-3-flash")
    with pytest.raises(KieConfigurationError, match="no key"):
        model.warm_up()
    with pytest.raises(KieConfigurationError, match="no key"):
        await model.awarm_up()


@pytest.mark.parametrize("warm_up", ["model.warm_up()", "asyncio.run(model.awarm_up())"])
def test_a_warm_up_reports_certificates_that_cannot_be_used(warm_up: str, tmp_path) -> None:
    missing = tmp_path / "missing.pem"
    script = f"""
        import asyncio, os
        os.environ["SSL_CERT_FILE"] = {str(missing)!r}
        from langchain_kie import ChatKieGemini, KieConfigurationError
        model = ChatKieGemini(model="gemini-3-flash", api_key={KEY!r})
        try:
            {warm_up}
        except KieConfigurationError as error:
            print("SSL_CERT_FILE" in str(error))
    """
    assert run_script(script).split() == ["True"]
