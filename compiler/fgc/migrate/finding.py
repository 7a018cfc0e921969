"""The result of a migration of one text, and the places that it leaves to the author."""

from bisect import bisect_right

from msgspec import Struct

from fgc.format.edits import Edit, apply_edits


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
        self._edits: dict[tuple[int, int], Edit] = {}
        self._left: dict[Leftover, None] = {}

    def replace(self, start: int, end: int, text: str) -> None:
        """Replaces characters, unless an earlier edit took some of them."""
        if self.text[start:end] != text and not any(start < e.end and e.start < end for e in self._edits.values()):
            self._edits[start, end] = Edit(start, end, text)

    def leave(self, at: int, message: str) -> None:
        """Tells the author of what has no counterpart."""
        line = bisect_right(self._starts, at)
        self._left.setdefault(Leftover(line, at - self._starts[line - 1] + 1, message))

    def done(self) -> Migrated:
        """Returns the text with all edits made."""
        left = sorted(self._left, key=lambda item: (item.line, item.column))
        return Migrated(apply_edits(self.text, self._edits.values()), len(self._edits), tuple(left))
