"""The chat API's JSON: whole answers and stream chunks, with the calls of tools that a text holds.

Knows no HTTP; time and identifiers come from the caller.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from fgc_runtime.generate.job import Finish, PlacedToken
from fgc_runtime.serve.answers import Answer, Choice, Head, envelope, finite
from fgc_runtime.serve.call_reader import Call, CallReader, Said
from fgc_runtime.serve.thoughts import Division, ThoughtPlace, ThoughtReader


@dataclass(slots=True)
class _Told:
    """A choice so far, and how much of what it says was sent."""

    choice: Choice = field(default_factory=Choice)
    num_thought: int = 0  # characters of what was thought
    num_chars: int = 0
    unsent: list[PlacedToken] = field(default_factory=list)  # scored, before it is known whether they are thoughts
    num_arguments: list[int] = field(default_factory=list)  # characters, by call


@dataclass(frozen=True, slots=True)
class ChatAnswers:
    """`reader` finds calls of tools; without one a text is words. `thoughts` tells what a model thought before.

    `place` says where that is shown.
    """

    head: Head
    reader: CallReader | None = None
    thoughts: ThoughtReader | None = None
    place: ThoughtPlace = "apart"
    _told: dict[int, _Told] = field(default_factory=dict)

    def whole(self, choices: Sequence[Choice], used: Answer) -> Answer:
        listed = []
        for index, choice in enumerate(choices):
            said = self.said(choice.text, is_finished=True)
            message: dict[str, object] = {"role": "assistant", "content": said.content, "refusal": None}
            if said.thoughts:
                message["reasoning_content"] = said.thoughts
            if said.calls:
                calls = [self._call(index, number, call) for number, call in enumerate(said.calls)]
                message |= {"content": said.content or None, "tool_calls": calls}
            tokens = self.answer_tokens(choice.text, choice.tokens) if self.place == "nowhere" else choice.tokens
            listed.append(self._choice(index, {"message": message}, tokens, _finish(choice.finish, said)))
        return envelope(self.head, "chat.completion", listed, self.counted(choices, used))

    def counted(self, choices: Sequence[Choice], used: Answer) -> Answer:
        """Returns the usage with the number of tokens that were thoughts, for a model that thinks."""
        if self.thoughts is None:
            return used
        return {**used, "completion_tokens_details": {"reasoning_tokens": sum(map(self.num_thinking, choices))}}

    def num_thinking(self, choice: Choice) -> int:
        """Returns how many tokens of a choice are thoughts and their marks."""
        spans = self._divided(choice.text, is_finished=choice.finish is not None).spans
        return sum(choice.tokens_until(end) - choice.tokens_until(begin) for begin, end in spans)

    def chunk(self, choices: Sequence[Answer], used: Answer | None) -> Answer:
        if used is not None:
            used = self.counted([told.choice for told in self._told.values()], used)
        return envelope(self.head, "chat.completion.chunk", choices, used)

    def opening(self, index: int) -> Sequence[Answer]:
        delta = {"role": "assistant", "content": "", "refusal": None}
        return (self._choice(index, {"delta": delta}),)

    def growth(self, index: int, gained: Choice) -> Sequence[Answer]:
        told = self._told.setdefault(index, _Told())
        told.choice.grow(gained)
        said = self.said(told.choice.text, is_finished=gained.finish is not None)
        parts, tokens = [], self._grown_tokens(told, gained)
        thoughts, content = said.thoughts[told.num_thought :], said.content[told.num_chars :]
        told.num_thought, told.num_chars = told.num_thought + len(thoughts), told.num_chars + len(content)
        if thoughts:
            parts.append(self._choice(index, {"delta": {"reasoning_content": thoughts}}, tokens))
            tokens = ()
        if content or tokens:
            parts.append(self._choice(index, {"delta": {"content": content}}, tokens))
        for number, call in enumerate(said.calls):
            parts += [
                self._choice(index, {"delta": {"tool_calls": [d]}}) for d in self._grown(index, told, number, call)
            ]
        if gained.finish is not None:
            parts.append(self._choice(index, {"delta": {}}, finish=_finish(gained.finish, said)))
        return parts

    def said(self, text: str, *, is_finished: bool) -> Said:
        """Returns what a choice's text says."""
        divided = self._divided(text, is_finished=is_finished)
        read = Said if self.reader is None else partial(self.reader.read, is_finished=is_finished)
        said = read(divided.answer)
        if self.place == "within":
            return replace(said, content=divided.front + said.content)
        return replace(said, thoughts=divided.thoughts if self.place == "apart" else "")

    def answer_tokens(
        self, text: str, tokens: Sequence[PlacedToken], *, is_finished: bool = True
    ) -> Sequence[PlacedToken]:
        """Returns those of a text's tokens that are no thoughts beside the answer, nor their marks."""
        if self.place == "within":
            return tokens
        spans = self._divided(text, is_finished=is_finished).spans
        return [placed for placed in tokens if not any(begin <= placed.offset < end for begin, end in spans)]

    def _grown_tokens(self, told: _Told, gained: Choice) -> Sequence[PlacedToken]:
        """Returns the scored tokens to send; left-out thoughts must have ended before."""
        if self.place != "nowhere":
            return gained.tokens
        told.unsent += gained.tokens
        text, is_finished = told.choice.text, gained.finish is not None
        if not is_finished and any(end == len(text) for _, end in self._divided(text, is_finished=False).spans):
            return ()
        tokens, told.unsent = self.answer_tokens(text, told.unsent, is_finished=is_finished), []
        return tokens

    def _divided(self, text: str, *, is_finished: bool) -> Division:
        return Division("", text) if self.thoughts is None else self.thoughts.divide(text, is_finished=is_finished)

    def _grown(self, index: int, told: _Told, number: int, call: Call) -> Sequence[Answer]:
        """Returns what a call gained: its name first, then characters of its arguments."""
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
