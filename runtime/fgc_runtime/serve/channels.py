"""Channels of gpt-oss (OpenAI's harmony format): the text of an answer in, thoughts and what the answer says out.

An answer is a row of messages, each with a head: `<|channel|>analysis<|message|>...<|end|><|start|>assistant...`. Those
of the channel `analysis` are thoughts, those to a function are calls, all others are words. A recipient may stand
before the channel or behind it. https://cookbook.openai.com/articles/openai-harmony
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fgc_runtime.serve.thoughts import AnswerStart, Division, ThoughtFormat, ThoughtReader, num_held

_MESSAGE = "<|message|>"
_ANALYSIS, _FINAL = f"<|channel|>analysis{_MESSAGE}", f"<|channel|>final{_MESSAGE}"
_ENDS = ("<|end|>", "<|call|>", "<|return|>", "<|start|>", "<|channel|>")
_HEADS = ("<|start|>", "<|channel|>", _MESSAGE, "to=")
_END = re.compile("|".join(map(re.escape, _ENDS)))
_FUNCTION, _RECIPIENT = re.compile(r"\bto=functions\.([\w.-]+)"), re.compile(r"\bto=")
_CALL = "<|channel|>commentary to=functions.{} <|constrain|>json" + _MESSAGE  # the one way that calls are read in


@dataclass(frozen=True, slots=True)
class ChannelFormat(ThoughtFormat):
    """The marks of channels; `begin` and `end` are those around what a model thinks first."""

    @property
    def sign(self) -> str:
        return self.begin

    @property
    def markers(self) -> tuple[str, ...]:
        return (*_ENDS, _MESSAGE, "<|constrain|>")

    @property
    def answer_head(self) -> str:
        return _FINAL

    def start(self, prompt_end: str) -> AnswerStart:
        written = prompt_end.rstrip()
        return "open" if written.endswith(_ANALYSIS) else "closed" if written.endswith(_FINAL) else "free"

    def reader(self, start: AnswerStart) -> "ChannelReader":
        return ChannelReader(self, start)


HARMONY = ChannelFormat(_ANALYSIS, "<|end|><|start|>assistant")


@dataclass(frozen=True, slots=True)
class _Part:
    """A message of an answer: its head and its text, and where they begin and end with their marks."""

    head: str
    text: str
    begin: int
    text_begin: int
    text_end: int
    end: int


class ChannelReader(ThoughtReader):
    """Divides the texts of one request. What is found only grows with the text."""

    goes_on_behind_words = True

    def divide(self, text: str, *, is_finished: bool) -> Division:
        """Returns thoughts and answer; `front` has only what was thought before the first word."""
        thoughts, spans = list[str](), list[tuple[int, int]]()
        answer, front = "", ""
        for part in self._parts(text, is_finished=is_finished):
            function = _FUNCTION.search(part.head)
            if function is not None:
                answer += _CALL.format(function[1]) + part.text
            elif "<|channel|>analysis" in part.head or _RECIPIENT.search(part.head):  # or a tool of the model's own
                thoughts += [said] if (said := part.text.strip()) else []
                spans.append((part.begin, part.end))
            else:
                answer += ("\n\n" if answer and part.text else "") + part.text
                spans += [(part.begin, part.text_begin), (part.text_end, part.end)]
            front = front if answer else "\n\n".join(thoughts)
        return Division("\n\n".join(thoughts), answer, front + "\n\n" * bool(front and answer), tuple(spans))

    def _parts(self, text: str, *, is_finished: bool) -> Iterator[_Part]:
        at, begun = 0, text.lstrip()
        may_be_head = any(begun.startswith(head) or head.startswith(begun) for head in _HEADS)
        may_be_head &= "<|" in text or not is_finished
        head = {"open": _ANALYSIS, "closed": _FINAL}.get(self._start) or ("" if may_be_head else _FINAL)
        text_begin = 0
        while True:
            if not head:
                found = text.find(_MESSAGE, at)
                if found < 0:  # the head is not whole: no words
                    yield _Part(_ANALYSIS, "", at, len(text), len(text), len(text))
                    return
                head, text_begin = text[at:found], found + len(_MESSAGE)
            mark = _END.search(text, text_begin)
            if mark is None:
                held = 0 if is_finished else max(num_held(text[text_begin:], end) for end in _ENDS)
                text_end = len(text) - held
                yield _Part(head, text[text_begin:text_end], at, text_begin, text_end, len(text))
                return
            end = mark.start() if mark[0] in ("<|start|>", "<|channel|>") else mark.end()
            yield _Part(head, text[text_begin : mark.start()], at, text_begin, mark.start(), end)
            head, at = "", end
