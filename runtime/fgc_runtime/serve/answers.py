"""Formats events of the engine as the OpenAI API's JSON: common parts of answers, and completions.

Knows no HTTP; time and identifiers come from the caller.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fgc_runtime.generate.job import Delta, Finish, PlacedToken
from fgc_runtime.serve.tokens import TokenNames

Answer = Mapping[str, object]
_IMPOSSIBLE = -9999.0


@dataclass(frozen=True, slots=True)
class Head:
    """The fields that all parts of one answer share."""

    id: str
    created: int  # seconds since 1970
    model: str
    names: TokenNames
    is_scored: bool


@dataclass(slots=True)
class Choice:
    """One choice as it grows, or its growth since the last chunk."""

    text: str = ""
    tokens: list[PlacedToken] = field(default_factory=list)
    finish: Finish | None = None
    reached: list[tuple[int, int]] = field(default_factory=list)  # characters, and tokens until there

    def add(self, delta: Delta) -> None:
        self.text += delta.text
        self.reached.append((len(self.text), delta.num_tokens))
        self.tokens += delta.tokens
        self.finish = delta.finish

    def grow(self, gained: "Choice") -> None:
        self.reached += [(len(self.text) + num_chars, num_tokens) for num_chars, num_tokens in gained.reached]
        self.text += gained.text
        self.tokens += gained.tokens
        self.finish = gained.finish

    def tokens_until(self, num_chars: int) -> int:
        """Returns the number of tokens at the time the text had `num_chars` characters."""
        if not (num_chars and self.reached):
            return 0
        return self.reached[min(bisect_left(self.reached, (num_chars, 0)), len(self.reached) - 1)][1]


class Answers(Protocol):
    """The shapes of one endpoint."""

    def whole(self, choices: Sequence[Choice], used: Answer) -> Answer: ...

    def chunk(self, choices: Sequence[Answer], used: Answer | None) -> Answer:
        """One stream event; `used` is the usage, which only the last event has."""

    def opening(self, index: int) -> Sequence[Answer]:
        """Returns the stream's parts for a choice before its text."""

    def growth(self, index: int, gained: Choice) -> Sequence[Answer]:
        """Returns the stream's parts for new text and for the end."""


@dataclass(frozen=True, slots=True)
class CompletionAnswers:
    head: Head

    def whole(self, choices: Sequence[Choice], used: Answer) -> Answer:
        listed = [self._choice(index, choice) for index, choice in enumerate(choices)]
        return envelope(self.head, "text_completion", listed, used)

    def chunk(self, choices: Sequence[Answer], used: Answer | None) -> Answer:
        return envelope(self.head, "text_completion", choices, used)

    def opening(self, index: int) -> Sequence[Answer]:
        return ()

    def growth(self, index: int, gained: Choice) -> Sequence[Answer]:
        return (self._choice(index, gained),)

    def _choice(self, index: int, choice: Choice) -> Answer:
        logprobs = self._logprobs(choice.tokens) if self.head.is_scored else None
        return {"index": index, "text": choice.text, "logprobs": logprobs, "finish_reason": choice.finish}

    def _logprobs(self, tokens: Sequence[PlacedToken]) -> Answer:
        name = self.head.names.legacy
        scores = [placed.token for placed in tokens]
        return {
            "tokens": [name(score.id) for score in scores],
            "token_logprobs": [finite(score.logprob) for score in scores],
            "top_logprobs": [None if s.logprob is None else {name(i): finite(v) for i, v in s.top} for s in scores],
            "text_offset": [placed.offset for placed in tokens],
        }


def usage(num_prompt: int, num_generated: int) -> Answer:
    return {
        "prompt_tokens": num_prompt,
        "completion_tokens": num_generated,
        "total_tokens": num_prompt + num_generated,
    }


def model_card(name: str, created: int, context_length: int | None) -> Answer:
    card = {"id": name, "object": "model", "created": created, "owned_by": "fgc"}
    return card | {"max_model_len": context_length}


def finite(logprob: float | None) -> float | None:
    """Returns a finite number for JSON: an impossible token gets the API's replacement for minus infinity."""
    return logprob if logprob is None or math.isfinite(logprob) else _IMPOSSIBLE


def envelope(head: Head, kind: str, choices: Sequence[Answer], used: Answer | None) -> Answer:
    answer = {"id": head.id, "object": kind, "created": head.created, "model": head.model, "choices": choices}
    return answer if used is None else answer | {"usage": used}
