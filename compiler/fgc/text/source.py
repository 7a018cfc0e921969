"""Texts that a person wrote, and spans in them.

Offsets and columns count code points. Line ends are `\\n` here: whoever reads a file normalises them first,
which moves no line and no column.
"""

from bisect import bisect_right
from functools import cached_property

from msgspec import Struct

JINJA_SUFFIXES = (".jinja", ".j2")
TEMPLATE_SUFFIXES = (".yaml", ".yml", *JINJA_SUFFIXES)  # of the files that hold templates


class Position(Struct, frozen=True):
    """A place as people count: line and column start at 1."""

    line: int
    column: int


class Source(Struct, frozen=True, eq=False, dict=True):
    """One text with the name under which its author knows it.

    `path` is the file that it was read from, if any, and `digest` that of the bytes that were read.
    """

    name: str
    text: str
    path: str | None = None
    digest: str | None = None

    @cached_property
    def line_starts(self) -> list[int]:
        """Offset of the first character of every line."""
        starts = [0]
        offset = self.text.find("\n")
        while offset >= 0:
            starts.append(offset + 1)
            offset = self.text.find("\n", offset + 1)
        return starts

    def position(self, offset: int) -> Position:
        """Line and column of an offset; the end of the text is a valid place."""
        line = bisect_right(self.line_starts, offset)
        return Position(line, offset - self.line_starts[line - 1] + 1)

    def line(self, number: int) -> str:
        """The text of a line (from 1), without its line end."""
        start = self.line_starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start:] if end < 0 else self.text[start:end]

    @property
    def display_name(self) -> str:
        """The file as the user would open it."""
        return self.path or self.name


class Span(Struct, frozen=True):
    """A half-open range of a source, in code points."""

    source: Source
    start: int
    end: int

    @property
    def first(self) -> Position:
        return self.source.position(self.start)

    @property
    def last(self) -> Position:
        """The place just behind the span."""
        return self.source.position(self.end)

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: "Span") -> "Span":
        """From the beginning of this span to the end of the other, which lies in the same source."""
        return Span(self.source, self.start, other.end)

    def at(self, start: int, end: int | None = None) -> "Span":
        """A part of this span, by offsets from its beginning."""
        return Span(self.source, self.start + start, self.end if end is None else self.start + end)

    def __str__(self) -> str:
        first = self.first
        return f"{self.source.display_name}:{first.line}:{first.column}"
