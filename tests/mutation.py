"""Runs mutmut on one room of the package, or on a sample of its mutants, and prints a row.

mutmut 3.8.1 selects tests for a project, not for a module: a mutant that survives would run
thousands. So this calls its functions, with the tests of the room.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree

from mutmut.__main__ import _run, collect_source_file_mutation_data, create_mutants
from mutmut.configuration import config
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.runners.harness import PytestRunner
from mutmut.state import state
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir
from mutmut.workers import isolation

ROOMS = {
    "_answer": ("answer", "wire", "test_error_bodies.py"),
    "_conversation": (
        "conversation",
        "wire/test_messages.py",
        "wire/test_signatures.py",
        "wire/test_rejected_requests.py",
        "test_files.py",
    ),
    "_http": (
        "http",
        "test_calls.py",
        "test_error_bodies.py",
        "test_security.py",
        "test_warm_up.py::test_a_warm_up_sends_nothing_and_calls_work_after_it",
        "answer/test_unusual_answers.py",
    ),
    "_json_schema": ("json_schema", "tools", "answer/test_required_calls.py"),
    "_wire": ("wire", "answer", "tools"),
}
# Four run other processes, whose calls mutmut does not see, and disturbs; one is slow.
LEFT_OUT = (
    "http/test_connections.py::test_importing_and_constructing_loads_neither_an_http_client_nor_a_server",
    "http/test_httpx2.py",
    "http/test_memory.py",
    "http/test_processes.py",
    "json_schema/test_large_schemas.py",
)
# The module and the changed line of mutants that no test can, or should, notice, and why.
EQUIVALENT = {
    "cache: parsed = None": "only slower; test_cost counts it",
    "parsed_message: used = [*map(kwargs.get, )]": "only slower: the message is not kept",
    "coerce: return dict(zip(value, fitted, strict=None)) if isinstance(value, dict) else fitted, fits": (  # noqa: E501
        "they have the same length"
    ),
    "coerce: def fit(self, value: Any, schema: Any, depth: int = 1) -> tuple[Any, bool]:": (
        "a limit that no input is meant to reach exactly"
    ),
    "coerce: for member, inner in zip(members, _schemas_of_members(value, schema), ):": (
        "not strict by default"
    ),
    'coerce: items = schema.get("items", None)': "any value matches, too",
    "connection: if len(self._data) - self._position + len(piece) > _MAX_FRAMING < len(piece):": (
        "it is checked again after the search"
    ),
    'connection: self._data, self._position = b"XXXX" if self._is_shared else data, 0': (
        "shorter than what must follow a piece"
    ),
    'content: block_type = block.get("type") or next((k for k in _TYPE_KEYS if k in block), "XXXX")': (  # noqa: E501
        "no parser has this name either"
    ),
    "content: is_same = all(new is old for new, old in zip(content, message.content, strict=False))": (  # noqa: E501
        "they have the same length"
    ),
    "content: is_same = all(new is old for new, old in zip(content, message.content, strict=None))": (  # noqa: E501
        "they have the same length"
    ),
    'content: yield _media_part(block, "XXaudioXX", data=audio["data"], mime_type=mime_type)': (
        "the MIME type names the kind"
    ),
    "keywords: return lambda value: None": "called at the import, before a mutant is chosen",
    "keywords: if id(None) not in converted:": "takes forever in test_large_schemas, which is slow",
    'mime_types: expected, from_name = normalized_type(declared), type_from_name(name or "XXXX")': (
        "a name without a type either"
    ),
    'mime_types: if not (expected or from_name == _PDF or (is_text and _is_media(from_name or "XXXX"))):': (  # noqa: E501
        "no type of media either"
    ),
    'chat_completions: schema = function.get("parameters") or {"type": "XXobjectXX", "properties": {}}': (  # noqa: E501
        "the properties make it an object"
    ),
    "coerce: if self._is_nullable(properties[name], depth - 1)": (
        "a limit that no input is meant to reach exactly"
    ),
    'normalize: name = reference.rsplit("/", )[-1].lstrip("#")': "the last part is the same",
    'normalize: name = reference.rsplit("/", 2)[-1].lstrip("#")': "the last part is the same",
    'normalize: name = reference.rsplit("/", 1)[-1].lstrip("XX#XX")': "no name starts with XX",
    'response: encoding = self._headers.get("CONTENT-ENCODING", "gzip").lower()': (
        "the case has no meaning"
    ),
    'response: if "GZIP" in encoding or "deflate" in encoding or body.startswith(_GZIP_MAGIC):': (
        "what is gzip begins with its magic number"
    ),
    "pools: max_connections=None,": "it is None",
    "asyncio_backend: await self._run(partial(self._ssl.write, buffer), None)": (
        "a write needs nothing of the server"
    ),
    "normalize: plain = any_of(branches, self._normalize_inner(outside, None, depth))": (
        "annotations have no schemas inside"
    ),
    'metadata: self._parse_usage: Callable[[Json], UsageMetadata] | None = ""': "as false as None",
    'request_values: return _url_in(type(getattr(None, "base_url", text)), text)': (
        "only slower: each request parses its URL"
    ),
    "request_values: while piece := await asyncio.to_thread(next, pieces, None):": "as false",
    "sse: self._half_pair = None": "as false as b''",
    "turns: prefix = find_prefix(every_parsed) if len(messages) > MIN_MESSAGES else None": (
        "only slower, with that number of messages"
    ),
    "token_estimate: minimum_of_small_file = max(2, min(cost.minimum, _typical_tokens(media) // 4))": (  # noqa: E501
        "the least cost is that of a file, 10 // 4"
    ),
    'transport: headers += [("HOST", host), ("Content-Length", size)]': "the case has no meaning",
    'normalize: alternatives = [a if (_is_null(a)) and False else {"allOf": [a, siblings]} for a in alternatives]': (  # noqa: E501
        "a branch of null has no keywords of other types"
    ),
    'normalize: alternatives = [a if _is_null(None) else {"allOf": [a, siblings]} for a in alternatives]': (  # noqa: E501
        "a branch of null has no keywords of other types"
    ),
    "normalize: if self.nodes_left <= 0 and not self.limits.truncate:": (
        "a limit that no input is meant to reach exactly"
    ),
}
KILLED = {"killed", "timeout", "suspicious", "check was interrupted by user"}  # the tests fail
MEMORY = 8 << 30  # bytes of addresses; a mutant may loop forever and append


class Runner(PytestRunner):
    """Runs the tests of a folder, and of a module, together; mutmut's order is random."""

    def run_tests(self, *, mutant_name, tests):
        paths = config().pytest_add_cli_args_test_selection
        seconds = state().duration_by_test
        order = sorted(
            tests, key=lambda test: ([not test.startswith(path) for path in paths], seconds[test])
        )
        return super().run_tests(mutant_name=mutant_name, tests=order)


def main() -> int:
    """Run the mutants of a room; the result is 1 if fewer than 90 % are killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("room", choices=ROOMS)
    parser.add_argument("--sample", type=int, default=0, help="how many mutants; 0: all")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    isolation.PytestRunner = Runner
    sys.dont_write_bytecode = False  # each worker imports the tests again
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    config().only_mutate = [f"langchain_kie/{options.room}/*"]
    config().pytest_add_cli_args_test_selection = [
        *(f"tests/unit_tests/{path}" for path in ROOMS[options.room]),
        *(f"--deselect=tests/unit_tests/{path}" for path in LEFT_OUT),
    ]
    if not any(Path("mutants/langchain_kie", options.room).glob("*.meta")):
        rmtree("mutants", ignore_errors=True)  # of another room
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], text=True).strip()
    copy_src_dir()
    copy_also_copy_files()
    create_mutants(1)
    names = sorted(name for _, name, _ in collect_source_file_mutation_data(mutant_names=())[0])
    size = min(options.sample, len(names))
    sample = random.Random(options.seed).sample(names, size)
    _run(sample, 2 * (os.cpu_count() or 1))  # tests wait for mutants that do not answer
    results: Counter[str] = Counter()
    for data, name, code in collect_source_file_mutation_data(mutant_names=sample)[0]:
        result = status_by_exit_code[code]
        if result not in KILLED:
            diff = get_diff_for_mutant(name, path=data.path).splitlines()[3:]
            changes = [line for line in diff if line[:1] in "+-"]
            listed = {f"{Path(data.path).stem}: {line[1:].strip()}" for line in changes}
            result = "equivalent" if listed & EQUIVALENT.keys() else result
            print(f"{result}: {name}", *changes, sep="\n")
        results[result] += 1
    equivalent, killed = results["equivalent"], sum(results[result] for result in KILLED)
    score = 100 * killed / (results.total() - equivalent)
    row = options.room, len(names), results.total(), equivalent, killed, f"{score:.1f} %", commit
    print(f"| {' | '.join(map(str, row))} | {datetime.now(UTC):%Y-%m-%d} |")
    return int(score < 90)


if __name__ == "__main__":
    sys.exit(main())
