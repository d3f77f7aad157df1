"""`langchain-kie doctor`: from the chosen models and questions to the printed report."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console

from langchain_kie import ChatKieGemini, KieAccount, KieError, models
from langchain_kie.cli import report
from langchain_kie.cli.doctor import UNKNOWN_COST, Budget, Gate, Row, examine
from langchain_kie.cli.findings import Finding, Target, is_unusable
from langchain_kie.cli.output import plain
from langchain_kie.cli.questions import QUESTIONS, ask_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from langchain_kie import KieRateLimiter
    from langchain_kie.cli.cassettes import Recorder
    from langchain_kie.cli.doctor import Recording

QUESTION_NAMES = tuple(question.name for question in QUESTIONS)
_USD_PER_CREDIT = 0.005
_STREAM_TIMEOUT = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to ask.

    Attributes:
        models: The models.
        apis: The APIs; none is those of each model.
        questions: The names of the questions; none is all.
        max_credits: The limit.
        wait: Seconds to wait for an answer that does not stream.
        rate_limiter: The limiter of all calls.
    """

    models: Sequence[str]
    apis: Sequence[str]
    questions: Sequence[str]
    max_credits: float
    wait: float
    rate_limiter: KieRateLimiter | None


@dataclass(frozen=True, slots=True)
class Report:
    """The result: as JSON, and whether the key, its credits or a model cannot be used."""

    json: dict[str, Any]
    is_fatal: bool


def run(
    plan: Plan, connection: Mapping[str, Any], recorder: Recorder | None, console: Console
) -> Report:
    """Ask, and print the findings, the advice and the cost.

    Args:
        plan: What to ask.
        connection: Keywords of `ChatKieGemini` and `KieAccount`.
        recorder: What records, `None` for nothing.
        console: Where to print.

    Raises:
        KieConfigurationError: A setting is invalid; nothing was sent.
    """
    recording = recorder.question if recorder else lambda _name: nullcontext()
    client: dict[str, Any] = {"http_client": recorder.client} if recorder else {}
    account = KieAccount(**connection, **client, max_retries=1)
    budget = Budget(plan.max_credits)
    gate = Gate(budget, plan.rate_limiter)
    settings = {**connection, **client, "rate_limiter": gate, "callbacks": [budget]}
    targets = [
        _target(model, api, account, plan, settings)
        for model in plan.models
        for api in plan.apis or _spellings_of(model)
    ]
    with recording("key"):
        key, balance = ask_key(account)
    _show_start(console, plan, key, balance)
    reason = f"after {key.facts['error']}" if is_unusable({"key": key}) else ""
    rows = _ask_all(plan, targets, recording, reason, console)
    advice = report.advice_for(key, rows)
    report.show_findings(console, rows)
    report.show_advice(console, advice)
    _show_end(console, budget, account, balance)
    as_json = report.as_json(key, rows, advice, used=budget.used, limit=plan.max_credits)
    by_api = report.findings_by_api(key, rows)
    return Report(as_json, any(map(is_unusable, by_api.values())))


def _ask_all(
    plan: Plan, targets: Sequence[Target], recording: Recording, reason: str, console: Console
) -> list[Row]:
    """All rows, or those before Ctrl-C; shows in the terminal what is being asked."""
    chosen = [q for q in QUESTIONS if q.name in (plan.questions or QUESTION_NAMES)]
    rows: list[Row] = []
    with Console(stderr=True).status("...") as status:

        def step(name: str) -> AbstractContextManager[None]:
            status.update(f"{name} ...")
            return recording(name)

        try:
            for row in examine(targets, chosen, step, reason):
                rows.append(row)  # noqa: PERF402 - those before Ctrl-C are kept
        except KeyboardInterrupt:
            console.print("Stopped by Ctrl-C; these are the findings until then.")
    return rows


def _target(
    model: str, api: Any, account: KieAccount, plan: Plan, settings: Mapping[str, Any]
) -> Target:
    """One model on one API; it thinks little, and does not retry, so that failures show."""
    values: dict[str, Any] = {"max_retries": 0, "timeout": _STREAM_TIMEOUT, **settings}
    chat_model = ChatKieGemini(model=model, api=api, **values)
    if "low" in (chat_model.profile or {}).get("reasoning_effort_levels", ()):
        chat_model = chat_model.model_copy(update={"reasoning_effort": "low"})
    spellings = _spellings_of(model)  # KIE's list has the gateway's models as on the default API
    spelling = spellings.get(api) or next(iter(spellings.values()))
    return Target(chat_model, api, spelling, account, plan.wait)


def _spellings_of(model: str) -> dict[str, str]:
    """How KIE spells a model on the APIs that serve it, its default first.

    One of KIE's spellings has only its API, another name the first API.
    """
    for listed in models():
        spellings: dict[str, str] = {row.api: row.model for row in listed.apis}
        if listed.name == model:
            return spellings
        if model in spellings.values():
            return {api: name for api, name in spellings.items() if name == model}
    return {"chat_completions": model}


def _show_start(console: Console, plan: Plan, key: Finding, balance: float | None) -> None:
    limit = f"{plan.max_credits:g} credits ({plan.max_credits * _USD_PER_CREDIT:.3f} USD)"
    console.print(f"No call is sent after {limit}; --max-credits changes that.")
    state = "" if balance is None else f" Balance: {balance:,.2f} credits."
    console.print(plain(f"Key: {key.detail}.{state}"), soft_wrap=True)


def _show_end(console: Console, budget: Budget, account: KieAccount, before: float | None) -> None:
    used = f"Used {budget.used:.2f} of {budget.limit:g} credits"
    if count := budget.calls_of_unknown_cost:
        used += f" (calls without a report: {count}, counted as {UNKNOWN_COST:g} each)"
    console.print(f"{used}.")
    if before is not None:
        with suppress(KieError):
            balance = f"Balance: {account.credits():,.2f} credits."
            console.print(f"{balance} KIE subtracts a call 6 to 15 s after its end.")
