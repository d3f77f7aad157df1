"""Fuzzes the parser of streams and the codecs, guided by their coverage (Atheris).

Each input is bytes: the model and its options, where the body is cut, and the body. The laws are
those of `test_streams`. The inputs that reach new code are kept in `.hypothesis/guided`; one that
breaks a law ends the run, and is written next to them.
"""

from __future__ import annotations

import argparse
import copy
import sys
import warnings
from pathlib import Path
from random import Random
from typing import Any

import atheris

_MODULES = ["_answer", "_error_bodies", "_http.response", "_http.sse", "_json", "_wire"]

with atheris.instrument_imports(include=[f"langchain_kie.{name}" for name in _MODULES]):
    from fuzz.bodies import (
        _FOLDERS,
        _KEYS,
        _MUTATIONS,
        _TOKENS,
        _WORDS,
        RECORDED,
        _places,
        cut,
    )
    from fuzz.laws import MODELS, message_or_error
    from fuzz.test_streams import OPTIONS, framed, normalized_ids, values_of

FOLDER = Path(__file__).parents[2] / ".hypothesis" / "guided"
MAX_BYTES = 16_000
_MAX_PLACES = 8


def split(data: bytes) -> tuple[int, list[int], bytes]:
    """An input as its choice, the places to cut and the body."""
    choice, count = data[0], data[1] % (_MAX_PLACES + 1)
    end = 2 + 2 * count
    places = [int.from_bytes(data[at : at + 2], "big") for at in range(2, end, 2)]
    return choice, places, data[end:]


def check_input(data: bytes) -> None:
    """Check that the pieces of a body do not matter, and that it is a message or a `KieError`.

    Every error but a `KieError` is raised.
    """
    if len(data) < 2:
        return
    choice, places, body = split(data)
    pieces = cut(body, places) or [body]
    values = values_of(pieces)
    assert values == values_of([body])
    if not any(isinstance(value, dict) for value in values):
        return
    choice, at = divmod(choice, len(MODELS))
    model, options = MODELS[at], OPTIONS[choice % len(OPTIONS)]
    _, message, error = message_or_error(pieces, model, **options)
    _, expected, expected_error = message_or_error([body], model, **options)
    assert type(error) is type(expected_error)
    if message is not None and expected is not None:
        assert normalized_ids(message) == normalized_ids(expected)


_PARTS = [holder[key] for values in RECORDED for holder, key in _places(values)]
"""What a mutation puts in the place of something else."""


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Mutate the JSON values of a body, or, where there are none and in a third, its bytes."""
    random = Random(seed)
    choice, _, body = split(data) if len(data) > 1 else (0, [], b"")
    values = [value for value in values_of([body]) if isinstance(value, dict)]
    if not values or random.random() < 1 / 3:
        return atheris.Mutate(data, max_size)
    for _ in range(random.randint(1, 3)):
        if found := _places(values):
            holder, key = random.choice(found)
            other = random.choice([*_KEYS, *_WORDS, copy.deepcopy(random.choice(_PARTS))])
            _MUTATIONS[random.choice([*_MUTATIONS])](holder, key, other)
    form = "stream" if body.lstrip()[:1] == b"d" else "array"
    head = data[: len(data) - len(body)]
    return (head + framed([*values, "[DONE]"][: len(values) + choice % 2], form))[:max_size]


def write_seeds(folder: Path) -> None:
    """Write the recorded answers for every model and option, whole and cut in two."""
    bodies = [path.read_bytes() for parent in _FOLDERS for path in sorted(parent.iterdir())]
    for number, body in enumerate(body for body in bodies if len(body) < MAX_BYTES):
        for choice in range(len(MODELS) * len(OPTIONS)):
            places = b"\1" + (len(body) // 2).to_bytes(2, "big") if choice % 2 else b"\0"
            (folder / f"seed-{number}-{choice}").write_bytes(bytes([choice]) + places + body)


def write_dictionary(path: Path) -> None:
    """Write the names and words of both formats, and the tokens of streams."""
    words = [*(f'"{key}":'.encode() for key in _KEYS), *map(str.encode, _WORDS)]
    words += [token.strip(b"\n") for token in _TOKENS.split(b"|")]
    lines = ["".join(f"\\x{byte:02x}" for byte in word) for word in words if word.strip()]
    path.write_text("".join(f'"{line}"\n' for line in lines))


def main() -> None:
    """Run until the time is over or an input breaks a law; Atheris ends the process."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.guided", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("inputs", nargs="*", help="stored inputs to run once instead")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.inputs:
        for path in options.inputs:
            check_input(Path(path).read_bytes())
        return
    corpus = FOLDER / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    write_seeds(corpus)
    write_dictionary(FOLDER / "words.dict")
    arguments: list[Any] = [sys.argv[0], f"-max_total_time={int(options.minutes * 60)}"]
    arguments += [f"-dict={FOLDER / 'words.dict'}", f"-artifact_prefix={FOLDER}/"]
    arguments += [f"-max_len={MAX_BYTES}", "-print_final_stats=1", "-timeout=60", str(corpus)]
    atheris.Setup(arguments, check_input, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
