"""The commands: their options, what they print, and their exit codes. Depends on typer and rich."""

# Without `from __future__ import annotations`: typer reads the types when it runs.
import json
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from langchain_kie import (
    ChatKieGemini,
    KieAccount,
    KieConfigurationError,
    KieConnectionError,
    KieError,
    KieRateLimiter,
    KieServerError,
    KieTimeoutError,
    __version__,
)
from langchain_kie.cli.output import plain

DEFAULT_MODEL = "gemini-3.5-flash"
DEFAULT_MODELS = f"{DEFAULT_MODEL},gemini-3.8-flash"
APIS = ("chat_completions", "generate_content", "gateway")
_USD_PER_CREDIT = 0.005

FAILED = 1
USAGE = 2

app = typer.Typer(
    name="langchain-kie",
    help="Gemini models of KIE.ai: what they can do, what they cost, and a chat.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

EmulatorOption = Annotated[
    bool, typer.Option("--emulator", help="Use an emulator of KIE on this machine, without a key.")
]
EmulatorSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--emulator-setting",
        metavar="NAME=VALUE",
        help="A setting of the emulator, such as hang_on_stream_false=true. Can be repeated.",
    ),
]
BaseUrlOption = Annotated[
    str | None,
    typer.Option(
        "--base-url", metavar="URL", help="The URL of the API. Default: KIE_BASE_URL, else KIE."
    ),
]
AllowHttpOption = Annotated[
    bool,
    typer.Option(
        "--allow-http",
        help="Allow http for another host than this machine; sends the key without encryption.",
    ),
]
JsonOption = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON, too.")
]
ModelsOption = Annotated[
    str, typer.Option("--models", metavar="NAMES", help="Models, separated by commas.")
]
ApisOption = Annotated[
    str | None,
    typer.Option(
        "--api",
        metavar="NAMES",
        help=f"APIs, separated by commas: {', '.join(APIS)}. Default: those of each model.",
    ),
]
QuestionsOption = Annotated[
    str | None,
    typer.Option("--questions", metavar="NAMES", help="Only these questions. Default: all."),
]
CreditsOption = Annotated[
    float, typer.Option(min=0, help="Send no call after this many credits (0.005 USD each).")
]
WaitOption = Annotated[
    float, typer.Option(min=0.1, help="Seconds to wait for an answer that does not stream.")
]
RecordOption = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Record requests and responses, without key and balance."),
]


@contextmanager
def _reported() -> Iterator[None]:
    """Print an error in one line instead of a traceback, and set the exit code."""
    try:
        yield
    except (KieConfigurationError, ImportError) as error:  # the text says which extra to install
        _fail(str(error), USAGE)
    except (KieError, OSError) as error:
        _fail(str(error), FAILED)


def _fail(message: str, code: int) -> NoReturn:
    text = plain(f"error: {' '.join(message.split())}", "red")
    Console(stderr=True).print(text, soft_wrap=True)
    raise typer.Exit(code)


def _print_warning(message: Warning | str, *_args: Any, **_kwargs: Any) -> None:
    Console(stderr=True).print(plain(f"warning: {message}", "yellow"), soft_wrap=True)


def run() -> None:
    """Run the command line, and exit."""
    warnings.showwarning = _print_warning
    app()


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


@app.command()
@_reported()
def doctor(
    *,
    model_names: ModelsOption = DEFAULT_MODELS,
    apis: ApisOption = None,
    names: QuestionsOption = None,
    max_credits: CreditsOption = 10.0,
    wait: WaitOption = 60.0,
    json_file: JsonOption = None,
    record: RecordOption = None,
    base_url: BaseUrlOption = None,
    allow_http: AllowHttpOption = False,
    emulator: EmulatorOption = False,
    settings: EmulatorSettings = None,
) -> None:
    """Ask the account's models what really works, and advise settings."""
    from langchain_kie.cli import examination  # noqa: PLC0415 - only for this command
    from langchain_kie.cli.cassettes import Recorder, Redactor  # noqa: PLC0415

    console = Console()
    with _connected(base_url, allow_http, emulator, settings) as (connection, key):
        plan = examination.Plan(
            models=_names(model_names),
            apis=_checked("api", _names(apis), APIS),
            questions=_checked("question", _names(names), examination.QUESTION_NAMES),
            max_credits=max_credits,
            wait=wait,
            rate_limiter=None if emulator else KieRateLimiter(),
        )
        _check_output(json_file, record)
        with Recorder(record, key) if record else nullcontext() as recorder:
            report = examination.run(plan, connection, recorder, console)
        _write_json(json_file, Redactor(key).json(report.json))
    if report.is_fatal:
        raise typer.Exit(FAILED)


@app.command("models")
@_reported()
def list_models(
    *,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not read KIE's list of models.")
    ] = False,
    json_file: JsonOption = None,
    base_url: BaseUrlOption = None,
    allow_http: AllowHttpOption = False,
    emulator: EmulatorOption = False,
    settings: EmulatorSettings = None,
) -> None:
    """List the models that the package knows, with KIE's live list and prices."""
    from langchain_kie.cli.listing import rows_of, table_of  # noqa: PLC0415

    console = Console()
    _check_output(json_file, None)
    live = None
    note = "" if offline else "Set KIE_API_KEY to see what KIE lists now."
    has_key = emulator or bool(os.environ.get("KIE_API_KEY"))
    if has_key and not offline:
        with _connected(base_url, allow_http, emulator, settings) as (connection, _):
            account = KieAccount(**connection)
            try:
                live, note = account.models(task_type="Chat", query="gemini"), ""
            except (KieConnectionError, KieServerError, KieTimeoutError) as error:
                note = f"KIE's list could not be read; --offline does not try. The error: {error}"
    rows = rows_of(live)
    console.print(table_of(rows))
    if note:
        console.print(plain(note), soft_wrap=True)
    _write_json(json_file, {"version": 1, "models": rows})


@app.command("credits")
@_reported()
def show_credits(
    *,
    base_url: BaseUrlOption = None,
    allow_http: AllowHttpOption = False,
    emulator: EmulatorOption = False,
    settings: EmulatorSettings = None,
) -> None:
    """Print the balance of the account."""
    with _connected(base_url, allow_http, emulator, settings) as (connection, _):
        balance = KieAccount(**connection).credits()
        typer.echo(f"{balance:,.2f} credits ({balance * _USD_PER_CREDIT:,.2f} USD)")


@app.command()
@_reported()
def chat(
    *,
    model: Annotated[str, typer.Option(help="The model.")] = DEFAULT_MODEL,
    api: Annotated[
        str | None, typer.Option(help=f"{', '.join(APIS)}. Default: that of the model.")
    ] = None,
    effort: Annotated[str | None, typer.Option(help="How much to think, such as low.")] = None,
    system: Annotated[str | None, typer.Option(help="A system message.")] = None,
    thoughts: Annotated[bool, typer.Option(help="Show the thoughts.")] = True,
    base_url: BaseUrlOption = None,
    allow_http: AllowHttpOption = False,
    emulator: EmulatorOption = False,
    settings: EmulatorSettings = None,
) -> None:
    """Chat with a model. Ctrl-C stops an answer, Ctrl-D ends."""
    from langchain_kie.cli.chat import converse  # noqa: PLC0415

    with _connected(base_url, allow_http, emulator, settings) as (connection, _):
        _checked("api", [api] if api else [], APIS)
        connection |= {"api": api, "reasoning_effort": effort}
        chat_model = ChatKieGemini(model=model, include_thoughts=thoughts, **connection)
        converse(chat_model, Console(highlight=False), system)


# --- what the commands share -----------------------------------------------------------------


@contextmanager
def _connected(
    base_url: str | None, allow_http: bool, emulator: bool, settings: Sequence[str] | None
) -> Iterator[tuple[dict[str, Any], str]]:
    """Keywords that connect to KIE or to an emulator, and the key.

    Raises:
        KieConfigurationError: There is no key, a setting of the emulator is wrong, or a URL is
            given together with --emulator.
    """
    options = {"base_url": base_url, "allow_http": allow_http}
    given = {name: value for name, value in options.items() if value}
    if not emulator:
        key = os.environ.get("KIE_API_KEY")
        if settings:
            raise KieConfigurationError("--emulator-setting needs --emulator")
        if not key:
            raise KieConfigurationError("set KIE_API_KEY, or use --emulator")
        yield given, key
        return
    if given:
        raise KieConfigurationError("--base-url and --allow-http cannot be used with --emulator")
    from langchain_kie.cli.emulated import emulator_with  # noqa: PLC0415 - needs an extra

    with _without_kie_variables(), emulator_with(settings or ()) as server:
        yield {"base_url": server.base_url, "api_key": server.api_key}, server.api_key


@contextmanager
def _without_kie_variables() -> Iterator[None]:
    """Hide `KIE_UPLOAD_URL` and the others, so that nothing goes to another host."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("KIE_")}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _checked(what: str, chosen: list[str], allowed: Sequence[str]) -> list[str]:
    """The chosen names.

    Raises:
        KieConfigurationError: A name is unknown.
    """
    if unknown := [name for name in chosen if name not in allowed]:
        raise KieConfigurationError(
            f"unknown {what} {unknown[0]!r}; choose from {', '.join(allowed)}"
        )
    return chosen


def _check_output(json_file: Path | None, folder: Path | None) -> None:
    """Check before anything is sent that the results can be written.

    Raises:
        KieConfigurationError: A file or folder cannot be written.
    """
    if json_file and not (json_file.absolute().parent.is_dir() and not json_file.is_dir()):
        raise KieConfigurationError(f"cannot write {json_file}: there is no such folder")
    if folder and folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise KieConfigurationError(f"--record needs a new or empty folder; {folder} is not")


def _write_json(file: Path | None, value: Any) -> None:
    if file:
        file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
