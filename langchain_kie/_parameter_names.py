"""Names that are no parameters: they look like a secret, or are another package's, or misspelt.

Pure. Depends on names and values of keyword arguments; independent of requests.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic import SecretBytes, SecretStr

from langchain_kie._warnings import warn
from langchain_kie.errors import KieConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# --- names that look like a secret ------------------------------------------------------------

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET_WORD = re.compile(
    r"authorization|bearer|cookies?|jwt|pat"
    r"|\w*(auth|credentials?|passphrase|passwd|passwords?|pwd|secrets?)"
)
_COMPOUND = re.compile(
    r"\w*(access|ai|api|auth|bearer|gemini|google|kie|private|secret|session)_?(key|token)s?"
    r"|\w*conn(ection)?_?str(ing)?|\w*(db|my|root|user)_?pass"
)
"""Words such as `apikey` and pairs such as `access_key`, also before others (`access_key_id`)."""
_KEY = re.compile(r"(\w*?)_?(key|token)")
"""The last two words of a name, or its last one (`hf_token`, `hftoken`)."""
_ALONE = frozenset({"keys", "pass", "signature", "tokens"})
"""Names of secrets, but not parts of them: `tokens` is a secret, and `stop_tokens` is not."""
_HARMLESS_INSIDE = _ALONE - {"pass"}
_VALUE_NAMES = ("value", "values", "conditions")
"""Ends of names of an object's members next to which a `key` is a name, as in a filter."""
_HARMLESS = frozenset(
    (
        *("bos", "cache", "cls", "column", "continuation", "dedup", "end", "eos", "first"),
        *("foreign", "group", "idempotency", "image", "last", "mask", "next", "order", "pad"),
        *("page", "partition", "per", "prefix", "primary", "row", "sep", "sort", "special"),
        *("start", "stop", "suffix", "unk"),
        *("don", "hot", "mon", "tur"),  # donkey
    )
)
"""Words before `key` or `token` in names that are not secrets (`prompt_cache_key`, `eos_token`)."""
_HEADER = re.compile(r"[\w-]+")
_SECRET_VALUE = re.compile(r"(Bearer|Basic) \S{12,}$|sk-[\w-]{16,}$|AIza[\w-]{30,}$")
_MAX_DEPTH = 50


def looks_secret(name: object, value: Any = "") -> bool:
    """Whether a keyword argument looks like a secret, by its name and the type of its value.

    Args:
        name: The name, in any spelling (`google_api_key`, `X-Goog-Api-Key`, `apiKey2`).
        value: The value. A number is no key and no token, a `bool` no secret at all.
    """
    is_secret_text = isinstance(value, str) and _SECRET_VALUE.match(value.strip())
    if isinstance(value, (SecretStr, SecretBytes)) or is_secret_text:
        return True
    if isinstance(value, bool):
        return False
    words = [word.lower() for word in _WORD.findall(str(name))]
    if any(map(_SECRET_WORD.fullmatch, words)):
        return True
    if isinstance(value, (int, float)):
        return False
    pairs = ["_".join(words[at : at + 2]) for at in range(len(words))]
    key = _KEY.fullmatch("_".join(words[-2:]))
    return (
        (len(words) == 1 and words[0] in _ALONE and _has_text(value))
        or (key is not None and key[1].rpartition("_")[2] not in _HARMLESS)
        or any(map(_COMPOUND.fullmatch, pairs))
    )


def _has_text(value: Any) -> bool:
    items = value if isinstance(value, (list, tuple, set)) else [value]
    return any(isinstance(item, (str, bytes, SecretStr, SecretBytes)) for item in items)


def refuse_secrets(values: Mapping[str, Any]) -> None:
    """Refuse values that look like secrets: the body of the request and traces would show them.

    Inside other values, only texts under such a name, and headers as pairs, are refused: a JSON
    schema may have a property `password`.

    Raises:
        KieConfigurationError: One looks like a secret; the message shows its name, not its value.
    """
    named = [name for name, value in values.items() if looks_secret(name, value)]
    if secret := next(iter([*named, *_nested_secrets(values, 0)]), None):
        raise KieConfigurationError(
            f"{secret} looks like a secret, and would be sent in the body of the request: use "
            "api_key= or KIE_API_KEY for the key, and default_headers= for other headers"
        )


def _nested_secrets(value: Any, depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH or not isinstance(value, (dict, list, tuple)):
        return
    for name, item in _named_values(value):
        if _has_text(item) and looks_secret(name, item):
            yield name
    for item in value.values() if isinstance(value, dict) else value:
        yield from _nested_secrets(item, depth + 1)


def _named_values(
    value: dict[Any, Any] | list[Any] | tuple[Any, ...],
) -> Iterator[tuple[str, Any]]:
    """The members of an object, and headers: `{"name": ..., "value": ...}`, or lists of pairs."""
    if isinstance(value, dict):
        has_value = any(str(name).lower().endswith(_VALUE_NAMES) for name in value)
        harmless = _HARMLESS_INSIDE | ({"key"} if has_value else set())
        yield from ((str(name), item) for name, item in value.items() if name not in harmless)
        pairs = [[value.get(name), value.get("value")] for name in ("name", "key", "header")]
    else:
        pairs = [[*item] for item in value if isinstance(item, (list, tuple))]
    for pair in pairs:
        match pair:
            case [str(name), item] if _HEADER.fullmatch(name):
                yield name, item


# --- names of other packages ------------------------------------------------------------------

_ADVICE = {
    "thinking thinking_budget thinking_config reasoning": (
        'use reasoning_effort= ("low", "medium", "high", ...)'
    ),
    "api_base azure_endpoint client_options openai_api_base openai_base_url transport": (
        "use base_url= or KIE_BASE_URL"
    ),
    "response_format response_json_schema response_mime_type response_schema": (
        "use with_structured_output(), or pass it to bind() or to a call"
    ),
    "function_call functions parallel_tool_calls tool_choice tools": (
        "use bind_tools(), or pass it to bind() or to a call"
    ),
    "n candidate_count": "KIE sends one answer a call; use batch() for several",
    "audio modalities response_modalities": "these models answer with text",
    "safety_settings safetySettings": (
        "KIE documents no safety settings; on generate_content, "
        'model_kwargs={"safetySettings": [...]} sends them all the same'
    ),
    "additional_headers": "use default_headers=",
    "cached_content": (
        "KIE documents no cached content; on generate_content, "
        'model_kwargs={"cachedContent": "..."} sends it all the same'
    ),
    "client_args": "use http_client= and http_async_client=",
    "extra_body": "use model_kwargs=",
    "extra_headers": "use default_headers= on the model",
    "extra_query": "KIE's API has no query parameters",
    "openai_organization organization": "KIE has no organizations; a key belongs to one account",
    "openai_proxy": "use HTTPS_PROXY, or http_client= with a proxy",
    "retries": "use max_retries=, which does not count the first attempt",
    "system_instruction": "begin the messages with a SystemMessage",
    "use_responses_api": "KIE has no Responses API for these models",
}
"""What to use instead of parameters of other packages that cannot be sent as they are."""

_INSTEAD = {name: advice for names, advice in _ADVICE.items() for name in names.split()}

_UNDOCUMENTED = {
    **dict.fromkeys(("logit_bias", "service_tier", "user")),
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "presence_penalty": "presencePenalty",
    "seed": "seed",
    "top_k": "topK",
    "top_logprobs": "logprobs",
}
"""Parameters of OpenAI and Google that KIE may pass on to the model; no page of KIE names them.

Each with its name in Gemini's `generationConfig`, `None` if it has none.
"""

_NO_EFFECT: Mapping[str, Any] = {
    "candidate_count": 1,
    "frequency_penalty": 0,
    "logprobs": False,
    "n": 1,
    "presence_penalty": 0,
    "use_responses_api": False,
}
"""Values with which such a parameter changes nothing, so that it is not sent."""


def without_foreign(unknown: Mapping[str, Any], description: str) -> dict[str, Any]:
    """The keyword arguments without those of other packages that change nothing.

    Raises:
        KieConfigurationError: One is another package's name for something; the message says what
            to use.
    """
    sent: dict[str, Any] = {}
    for name, value in unknown.items():
        is_foreign = name in _INSTEAD or name in _UNDOCUMENTED
        if is_foreign and (value is None or (name in _NO_EFFECT and value == _NO_EFFECT[name])):
            continue
        if name in _INSTEAD:
            raise KieConfigurationError(f"{name}: {description}: {_INSTEAD[name]}")
        sent[name] = value
    return sent


def check_unknown(
    unknown: Mapping[str, Any], known: Iterable[str], description: str
) -> dict[str, Any]:
    """The keyword arguments to send in the body: those that are no known parameters.

    Args:
        unknown: Keyword arguments.
        known: The names of the parameters, for near names.
        description: What the names are not, for the warning.

    Returns:
        The arguments, without those that change nothing. A warning names them.

    Raises:
        KieConfigurationError: One looks like a secret, or is another package's name for
            something; the message says what to use.
    """
    refuse_secrets(unknown)
    sent = without_foreign(unknown, description)
    if sent:
        hints = [hint for name in sorted(sent) if (hint := _hint(name, sent[name], known))]
        names = ", ".join(sorted(sent))
        warn(". ".join([f"{names}: {description}; sent in the request body unchanged", *hints]))
    return sent


def _hint(name: str, value: Any, known: Iterable[str]) -> str:
    if name in _UNDOCUMENTED:
        native = _UNDOCUMENTED[name]
        form = f'model_kwargs={{"generationConfig": {{"{native}": {value!r}}}}}'
        return (
            f"KIE does not document {name}; model_kwargs= sends it without this warning; "
            f"on generate_content {f'use {form}' if native else 'there is no such parameter'}"
        )
    near = get_close_matches(name.lower(), [*known], n=1, cutoff=0.75)
    return f"Did you mean {near[0]}?" if near else ""
