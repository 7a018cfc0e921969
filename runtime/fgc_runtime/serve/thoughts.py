"""Tells a reasoning model's thoughts from its answer, by the marks that its family uses."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fgc_runtime.serve.structure import MARKER, Structure, marked, sequence

# How an answer begins: within thoughts that the chat template opened, behind thoughts that it closed, or as it likes.
AnswerStart = Literal["open", "closed", "free"]
ThoughtPlace = Literal["apart", "within", "nowhere"]  # beside the answer, in its text, or left out

_THOUGHTS = "thoughts_before"  # a rule's name, which a grammar of a request is unlikely to have


@dataclass(frozen=True, slots=True)
class Division:
    """A text's thoughts and its answer, with calls in the family's way.

    `front` is what stands before the answer where thoughts stay in the text. `spans` are the parts of the text, from a
    character to a character, that hold thoughts and marks.
    """

    thoughts: str
    answer: str
    front: str = ""
    spans: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ThoughtFormat:
    """One family's marks around what its models think."""

    begin: str
    end: str

    @property
    def sign(self) -> str:
        """Returns the text by which a chat template shows its family."""
        return self.end

    @property
    def markers(self) -> tuple[str, ...]:
        """Returns what may be special tokens, which an answer usually does not show."""
        return (self.begin, self.end)

    @property
    def answer_head(self) -> str:
        """Returns the marks in front of an answer's words."""
        return ""

    def start(self, prompt_end: str) -> AnswerStart:
        """Returns how the answer to a prompt begins that ends so."""
        written = prompt_end.rstrip()
        return "open" if written.endswith(self.begin) else "closed" if written.endswith(self.end) else "free"

    def reader(self, start: AnswerStart) -> "ThoughtReader":
        """Returns what divides the texts of a request."""
        return ThoughtReader(self, start)


class ThoughtReader:
    """Divides the texts of one request. What is found only grows with the text."""

    goes_on_behind_words = False  # a model thinks before it answers, and not again

    def __init__(self, form: ThoughtFormat, start: AnswerStart) -> None:
        self._form = form
        self._start = start

    def divide(self, text: str, *, is_finished: bool) -> Division:
        """Returns thoughts and answer."""
        thoughts, end = self._thoughts(text, is_finished=is_finished)
        if end == 0:
            return Division("", text)
        answer = text[end:].lstrip()
        is_open = not is_finished and self._form.begin.startswith(text.lstrip())  # whether it is a mark or an answer
        return Division(thoughts, answer, "" if is_open else text[: len(text) - len(answer)], ((0, end),))

    def _thoughts(self, text: str, *, is_finished: bool) -> tuple[str, int]:
        """Returns the thoughts, and how many characters of the text they take with their marks."""
        begun, form = text.lstrip(), self._form
        if self._start == "closed" or not (self._start == "open" or begun.startswith(form.begin[: len(begun)])):
            return "", 0
        if not is_finished and form.begin.startswith(begun):
            return "", len(text)  # it may become the mark
        is_marked = begun.startswith(form.begin)
        if not is_marked and self._start != "open":
            return "", 0
        first = len(text) - len(begun) + len(form.begin) if is_marked else 0
        end = text.find(form.end, first)
        if end >= 0:
            return text[first:end].strip(), end + len(form.end)
        held = 0 if is_finished else num_held(text, form.end)
        return text[first : len(text) - held].strip(), len(text)


def num_held(text: str, mark: str) -> int:
    """Returns the length of the longest tail that `mark` may continue."""
    longest = min(len(text), len(mark) - 1)
    return next((n for n in range(longest, 0, -1) if mark.startswith(text[-n:])), 0)


def behind_thoughts(
    structure: Structure, form: ThoughtFormat, start: AnswerStart, marker_token: Callable[[str], str | None]
) -> Structure:
    """Returns the structure of a text that may think before it has its form, or must where thoughts are open.

    `marker_token` names a mark that is one token; another mark is read as its letters.
    """
    if start == "closed":
        return structure
    rules, thought = structure.rules, f"/(?s:.*)/ {marked(form.end, marker_token)}"
    opening = MARKER.match(form.end)
    if opening is None or marker_token(opening[0]) is None:
        mark = re.escape(form.end).replace("/", r"\/")
        rules += f"{_THOUGHTS}[lazy]: /(?s:.*){mark}/\n"  # lazy: thoughts end at the first mark
        thought = _THOUGHTS
    begin = marked(form.begin, marker_token) if start == "free" else ""
    thoughts = sequence((begin, thought, "" if form.answer_head else r"/[ \n]{0,3}/"))
    front = thoughts if start == "open" else f"({thoughts})?"
    return Structure(f"{front} ({structure.rule})", rules, structure.param)
