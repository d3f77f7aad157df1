"""What a call expects of its answer. Data only."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from langchain_kie._json import Json


class ExpectedAnswer(NamedTuple):
    """What one call expects of its answer.

    Attributes:
        functions: The functions that were sent to the model.
        answer_function: The function, if any, whose arguments are the answer.
        schema_names: The names of the answer's schema; a call of one of them, which the model was
            not offered, is the answer, too.
        required: The functions one of which must be called; `None` if none must.
        expects_json: Whether the text of the answer must be JSON.
        answer_schema: The schema, if any, to whose types the JSON of the answer is converted at
            the end; until then, it is held.
        checks_calls: Whether tool calls that nobody can execute are an error, as they are if one
            is required.
        detect_error_text: Whether an answer that is one of KIE's error messages raises.
        media_count: The number of media in the prompt.
        min_prompt_tokens: The lowest plausible number of prompt tokens.
    """

    functions: Sequence[Json] = ()
    answer_function: str | None = None
    schema_names: Collection[str] = ()
    required: Sequence[Json] | None = None
    expects_json: bool = False
    answer_schema: Json | None = None
    checks_calls: bool = False
    detect_error_text: bool = True
    media_count: int = 0
    min_prompt_tokens: int = 0

    def answer_names(self) -> Collection[str]:
        """The names of calls whose arguments are the answer: none is that of another function."""
        names = (self.answer_function,) if self.answer_function else ()
        if not self.schema_names:
            return names
        offered = {function["name"] for function in self.functions}
        return {*names, *self.schema_names} - (offered - {self.answer_function})


ANY_ANSWER = ExpectedAnswer()
