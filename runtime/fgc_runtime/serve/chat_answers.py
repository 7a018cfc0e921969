"""The chat API's JSON: whole answers and stream chunks, with the calls of tools that a text holds.

Knows no HTTP; time and identifiers come from the caller.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from fgc_runtime.generate.job import Finish, PlacedToken
from fgc_runtime.serve.answers import Answer, Choice, Head, envelope, finite
from fgc_runtime.serve.call_reader import Call, CallReader, Said


@dataclass(slots=True)
class _Told:
    """A choice's text so far, and how much of what it says was sent."""

    text: str = ""
    num_chars: int = 0
    num_arguments: list[int] = field(default_factory=list)  # characters, by call


@dataclass(frozen=True, slots=True)
class ChatAnswers:
    """`reader` finds calls of tools; without one a text is words."""

    head: Head
    reader: CallReader | None = None
    _told: dict[int, _Told] = field(default_factory=dict)

    def whole(self, choices: Sequence[Choice], used: Answer) -> Answer:
        listed = []
        for index, choice in enumerate(choices):
            said = self.said(choice.text, is_finished=True)
            message: dict[str, object] = {"role": "assistant", "content": said.content, "refusal": None}
            if said.calls:
                calls = [self._call(index, number, call) for number, call in enumerate(said.calls)]
                message |= {"content": said.content or None, "tool_calls": calls}
            listed.append(self._choice(index, {"message": message}, choice.tokens, _finish(choice.finish, said)))
        return envelope(self.head, "chat.completion", listed, used)

    def chunk(self, choices: Sequence[Answer], used: Answer | None) -> Answer:
        return envelope(self.head, "chat.completion.chunk", choices, used)

    def opening(self, index: int) -> Sequence[Answer]:
        delta = {"role": "assistant", "content": "", "refusal": None}
        return (self._choice(index, {"delta": delta}),)

    def growth(self, index: int, gained: Choice) -> Sequence[Answer]:
        told = self._told.setdefault(index, _Told())
        told.text += gained.text
        said = self.said(told.text, is_finished=gained.finish is not None)
        parts, content = [], said.content[told.num_chars :]
        told.num_chars += len(content)
        if content or gained.tokens:
            parts.append(self._choice(index, {"delta": {"content": content}}, gained.tokens))
        for number, call in enumerate(said.calls):
            parts += [
                self._choice(index, {"delta": {"tool_calls": [d]}}) for d in self._grown(index, told, number, call)
            ]
        if gained.finish is not None:
            parts.append(self._choice(index, {"delta": {}}, finish=_finish(gained.finish, said)))
        return parts

    def said(self, text: str, *, is_finished: bool) -> Said:
        """Returns what a choice's text says."""
        return Said(text) if self.reader is None else self.reader.read(text, is_finished=is_finished)

    def _grown(self, index: int, told: _Told, number: int, call: Call) -> Sequence[Answer]:
        """What a call gained: its name first, then characters of its arguments."""
        if number == len(told.num_arguments):
            told.num_arguments.append(len(call.arguments))
            return ({"index": number, **self._call(index, number, call)},)
        gained = call.arguments[told.num_arguments[number] :]
        told.num_arguments[number] += len(gained)
        return ({"index": number, "function": {"arguments": gained}},) if gained else ()

    def _call(self, index: int, number: int, call: Call) -> dict[str, object]:
        function = {"name": call.name, "arguments": call.arguments}
        return {"id": self.call_id(index, number), "type": "function", "function": function}

    def call_id(self, index: int, number: int) -> str:
        """Returns the identity of a choice's call: nine letters, as Mistral's templates want it back."""
        return hashlib.sha256(f"{self.head.id}/{index}/{number}".encode()).hexdigest()[:9]

    def _choice(
        self, index: int, said: Answer, tokens: Sequence[PlacedToken] = (), finish: str | None = None
    ) -> Answer:
        is_scored = self.head.is_scored and ("message" in said or tokens)
        logprobs = {"content": self.scores(tokens), "refusal": None} if is_scored else None
        return {"index": index, **said, "logprobs": logprobs, "finish_reason": finish}

    def scores(self, tokens: Sequence[PlacedToken]) -> list[Answer]:
        """Returns the tokens of a text with their log probabilities."""
        content: list[Answer] = []
        for placed in tokens:
            top = [self._token(token, value) for token, value in placed.token.top]
            content.append(self._token(placed.token.id, placed.token.logprob) | {"top_logprobs": top})
        return content

    def _token(self, token: int, logprob: float | None) -> dict[str, object]:
        raw = self.head.names.raw(token)
        return {"token": raw.decode(errors="replace"), "logprob": finite(logprob), "bytes": list(raw)}


def _finish(finish: Finish | None, said: Said) -> str | None:
    return "tool_calls" if finish == "stop" and said.calls else finish
