"""The result of a migration of one text, and the places that it leaves to the author."""

from bisect import bisect_right
from collections.abc import Sequence

from msgspec import Struct

from fgc.format.edits import FormatEdit, apply_edits


class Leftover(Struct, frozen=True):
    """Something without a counterpart, at its line and column in the text before the migration, both from 1."""

    line: int
    column: int
    message: str


class Migrated(Struct, frozen=True):
    """A text after its migration, the number of replacements, and what is left."""

    text: str
    num_edits: int
    left: tuple[Leftover, ...]


class Draft:
    """Collects edits of one text and what is left of it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(at + 1 for at, character in enumerate(text) if character == "\n")]
        self._edits: dict[tuple[int, int], FormatEdit] = {}
        self._left: dict[Leftover, None] = {}
        self._below: dict[int, list[str]] = {}

    def replace(self, start: int, end: int, text: str) -> None:
        """Replaces characters, unless an earlier edit took some of them."""
        if self.text[start:end] != text and not any(start < e.end and e.start < end for e in self._edits.values()):
            self._edits[start, end] = FormatEdit(start, end, text)

    def leave(self, at: int, message: str) -> None:
        """Tells the author of what has no counterpart."""
        line = bisect_right(self._starts, at)
        self._left.setdefault(Leftover(line, at - self._starts[line - 1] + 1, message))

    def add_below(self, at: int, lines: Sequence[str]) -> None:
        """Adds lines below the one of an offset, indented as that."""
        number = bisect_right(self._starts, at)
        line = self.text[self._starts[number - 1] :].partition("\n")[0]
        self._below[number] = [line[: len(line) - len(line.lstrip())] + text for text in lines]

    def with_added_lines(self, migrated: Migrated) -> Migrated:
        """Returns a text that has the lines of this one with those that were added."""
        if not self._below:
            return migrated
        lines = migrated.text.split("\n")
        for number, added in sorted(self._below.items(), reverse=True):
            lines[number:number] = added
        return Migrated("\n".join(lines), migrated.num_edits + sum(map(len, self._below.values())), migrated.left)

    def done(self) -> Migrated:
        """Returns the text with all edits made."""
        left = sorted(self._left, key=lambda item: (item.line, item.column))
        return Migrated(apply_edits(self.text, self._edits.values()), len(self._edits), tuple(left))
