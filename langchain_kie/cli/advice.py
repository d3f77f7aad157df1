"""Which settings the findings suggest. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_kie.cli.findings import ANSWERED, NO_CALLS, is_unusable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_kie.cli.findings import Finding

Findings = dict[str, "Finding"]
"""The findings of one model on one API, by the name of the question."""

_GOOD = frozenset({"works", "partly"})

_NOTES: Mapping[tuple[str, str], str] = {
    ("catalogue", "partly"): "The model is not in KIE's list, so it may be switched off.",
    ("stream", "partly"): "Two streams came at their end only: show a progress sign.",
    ("thoughts", "ignored"): "Do not rely on include_thoughts.",
    ("efforts", "ignored"): "reasoning_effort has no effect: leave it out.",
    ("tool_call", "ignored"): "It does not call tools: use another model for agents.",
    ("tool_call", "fails"): "Tools fail: use another model for agents.",
    ("forced_choice", "ignored"): (
        "tool_choice is ignored: use with_structured_output with its default method, "
        "json_schema, and expect KieToolCallMissingError where a call is required."
    ),
    ("forced_choice", "fails"): "tool_choice fails: let the model choose its tools.",
    ("parallel_calls", "ignored"): "Calls come one by one: an agent needs more turns.",
    ("nullable", "ignored"): (
        "null is ignored: give such fields a default, avoid null in lists, or use "
        'with_structured_output(method="json_mode") with the form in the prompt.'
    ),
    ("enum", "ignored"): "Enums are not enforced: expect validation errors.",
    ("list", "ignored"): "Lists are not reliable: check them.",
    ("map", "ignored"): "Maps are lost: declare a list of objects with a key and a value.",
    ("map", "fails"): "Maps fail: declare a list of objects with a key and a value.",
    ("max_tokens", "ignored"): "max_tokens is ignored: it does not limit the cost.",
    ("system_message", "ignored"): "The system message is ignored: repeat it in the prompt.",
    ("search", "partly"): "Answers with search have no sources.",
    ("search", "fails"): "Search fails: use another model or API for it.",
}

_STREAM_NOTES = {
    False: "Streams fail: call invoke, not stream.",
    True: "Calls without a stream fail: stream_invoke=True streams in invoke too.",
}

_IMAGE_NOTES: Mapping[tuple[str, ...], str] = {
    ("fails",): "The model does not see images.",
    ("fails", "fails"): "The model does not see images.",
    ("works", "fails"): 'Images by URL fail: media_upload="never" sends all inline.',
    ("fails", "works"): 'Inline images fail: media_upload="always" uploads them.',
}
"""By the outcomes for an image inline and by URL; an image that is ignored counts as failed."""

_ERROR_NOTES: Mapping[str, str] = {
    "KieRateLimitError": "KIE limited the rate: share one rate_limiter=KieRateLimiter().",
    "KieInsufficientCreditsError": "There are no credits: add some in KIE's console.",
    "KieAuthenticationError": "KIE refuses the key: check KIE_API_KEY.",
    "KiePermissionDeniedError": "The key may not use the model: enable it for the key.",
    "KieModelNotFoundError": "KIE does not serve the model here: see `langchain-kie models`.",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """What to use for one model.

    Attributes:
        model: The model.
        settings: Keywords of `ChatKieGemini`; empty if no call was answered.
        notes: What else to know.
    """

    model: str
    settings: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def code(self) -> str:
        """The advice as a line of Python, empty if nothing works."""
        return f"ChatKieGemini({_python(model=self.model, **self.settings)})" * bool(self.settings)


def advise(model: str, by_api: Mapping[str, Findings]) -> Advice:
    """Choose the API on which most works; the earlier one if they are equal.

    Args:
        model: The model.
        by_api: The findings for each API, the default API first.
    """
    usable = [api for api, findings in by_api.items() if _answers(findings)]
    if not usable:
        notes = [note for findings in by_api.values() for note in _notes(findings)]
        if all(map(is_unusable, by_api.values())):
            notes.append("Nothing works with it now.")
        return Advice(model, {}, tuple(dict.fromkeys(notes)))
    best = max(usable, key=lambda api: _rank(by_api[api]))
    findings = by_api[best]
    settings = {"api": best, **_stream_setting(findings), **_effort_setting(findings)}
    return Advice(model, settings, tuple(_notes(findings)))


def _answers(findings: Findings) -> bool:
    """Whether any call of the model was answered."""
    return any(f.outcome in ANSWERED for name, f in findings.items() if name not in NO_CALLS)


def _rank(findings: Findings) -> tuple[bool, int]:
    """Whether streams work or were not examined, and how much works."""
    is_streamed = "stream" not in findings or findings["stream"].outcome in _GOOD
    return is_streamed, sum(finding.outcome == "works" for finding in findings.values())


def _stream_setting(findings: Findings) -> dict[str, Any]:
    """`stream_invoke`, if only one of streamed and complete answers works."""
    works = {
        name: findings[name].outcome in _GOOD
        for name in ("stream", "no_stream")
        if name in findings and _is_about_calls(findings[name])
    }
    return {"stream_invoke": works["stream"]} if set(works.values()) == {True, False} else {}


def _is_about_calls(finding: Finding) -> bool:
    """Whether a finding depends on the kind of call, not on the key, the rate or the credits."""
    return finding.outcome != "skipped" and finding.facts.get("error") not in _ERROR_NOTES


def _effort_setting(findings: Findings) -> dict[str, Any]:
    """The lowest accepted effort that the package sends unchanged, if efforts have an effect."""
    accepted, by_body = _effective_efforts(findings)
    sent = [effort for effort in accepted if effort not in by_body]
    return {"reasoning_effort": sent[0]} if sent else {}


def _effort_notes(findings: Findings) -> list[str]:
    """How to get the least thinking, if efforts have an effect."""
    accepted, by_body = _effective_efforts(findings)
    return [
        f"{_python(model_kwargs=by_body[least])} thinks least; reasoning_effort does not send it."
        if least in by_body
        else f"{_python(reasoning_effort=least)} thinks least; higher values cost more."
        for least in accepted[:1]
    ]


def _effective_efforts(findings: Findings) -> tuple[list[str], Mapping[str, Any]]:
    """The accepted efforts, and the `model_kwargs` of those that only these send."""
    finding = findings.get("efforts")
    if finding is None or finding.outcome != "works":
        return [], {}
    return list(finding.facts["accepted"]), finding.facts.get("by_model_kwargs", {})


def _python(**keywords: Any) -> str:
    text = ", ".join(f"{name}={value!r}" for name, value in keywords.items())
    return text.replace("'", '"')


def _notes(findings: Findings) -> list[str]:
    outcomes = {n: f.outcome for n, f in findings.items() if _is_about_calls(f)}
    notes = [_NOTES.get(found, "") for found in outcomes.items()]
    notes += _effort_notes(findings)
    notes += [_STREAM_NOTES[streams] for streams in _stream_setting(findings).values()]
    images = (outcomes.get(n, "skipped") for n in ("image_inline", "image_url") if n in findings)
    seen = tuple("fails" if outcome == "ignored" else outcome for outcome in images)
    notes.append(_IMAGE_NOTES.get(seen, ""))
    errors = {finding.facts.get("error") for finding in findings.values()}
    if any(finding.outcome == "skipped" for finding in findings.values()):
        notes.append("Some questions were skipped, so there may be better settings.")
    if any(finding.outcome == "unclear" for finding in findings.values()):
        notes.append("A question has a mistake, which says nothing of KIE: please report it.")
    notes += [note for error, note in _ERROR_NOTES.items() if error in errors]
    return [note for note in dict.fromkeys(notes) if note]
