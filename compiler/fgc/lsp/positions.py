"""Offsets in code points to the protocol's positions, and back.

A position is a line from 0 and a character from 0, counted in the units that client and server agreed on: UTF-16 code
units, if nothing else was said.
"""

from lsprotocol import types

from fgc.text import Source, Span

_BYTES = {types.PositionEncodingKind.Utf16: ("utf-16-le", 2), types.PositionEncodingKind.Utf8: ("utf-8", 1)}


class Positions:
    """Converts places of texts in one encoding."""

    def __init__(self, encoding: types.PositionEncodingKind | str | None) -> None:
        self._codec = _BYTES.get(types.PositionEncodingKind(encoding or types.PositionEncodingKind.Utf16))

    def offset(self, source: Source, position: types.Position) -> int:
        """Returns the offset of a position; one behind the end of a line is its end."""
        number = min(max(position.line, 0), len(source.line_starts) - 1)
        line = source.line(number + 1)
        if self._codec is None:
            return source.line_starts[number] + min(position.character, len(line))
        name, width = self._codec
        part = line.encode(name, "surrogatepass")[: position.character * width]
        return source.line_starts[number] + len(part.decode(name, "ignore"))

    def position(self, source: Source, offset: int) -> types.Position:
        """Returns the position of an offset."""
        place = source.position(min(max(offset, 0), len(source.text)))
        start = source.line_starts[place.line - 1]
        return types.Position(place.line - 1, self._units(source.text[start : start + place.column - 1]))

    def range(self, span: Span) -> types.Range:
        """Returns the range of a place."""
        return types.Range(self.position(span.source, span.start), self.position(span.source, span.end))

    def _units(self, text: str) -> int:
        if self._codec is None:
            return len(text)
        name, width = self._codec
        return len(text.encode(name, "surrogatepass")) // width
