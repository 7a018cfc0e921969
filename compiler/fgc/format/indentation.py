"""Where statements behind a sigil begin: the language discards their white space, so nesting may show in it.

Ends and sections stand below what they belong to. What follows an opener stands one level deeper. What follows lines
of the document in the same body was aligned with them by its author, and stays.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from fgc.format.codes import PlacedCode
from fgc.format.lines import Line, LineKind

_LEVEL = "    "


class _Body(Struct):
    """An open statement: how its statements are indented (None: as they are), and whether it holds document lines."""

    opener_indent: str | None
    inner_indent: str | None
    has_text: bool = False


def indent_statements(lines: Sequence[Line], codes: Iterable[PlacedCode]) -> dict[int, str]:
    """New indentation of statement lines, by the offset of the line."""
    indenter = _Indenter(lines)
    for code in codes:
        indenter.visit(code)
    return _with_comments(lines, indenter.indents)


class _Indenter:
    """Visits codes in order. State: the open statements, and the lines passed so far."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self._next = 0
        self._bodies = [_Body(None, "")]
        self._above, self._below = _document_indents(lines)
        self.indents: dict[int, str] = {}

    def visit(self, code: PlacedCode) -> None:
        line = self._advance(code.start)
        if code.code.header is not None:
            self._bodies.append(_Body(line.indent, line.indent + _LEVEL))
        elif code.code.closes is not None:
            self._bodies.pop()
        elif code.sigil is not None:
            self._statement(code, line)
        elif code.opens:
            self._bodies.append(_Body(None, None))
        elif code.closes:
            self._bodies.pop()

    def _advance(self, offset: int) -> Line:
        """The line of an offset; document lines up to it belong to the body that is open."""
        while self._next < len(self._lines) and self._lines[self._next].start <= offset:
            line = self._lines[self._next]
            if line.kind is LineKind.TEXT:
                self._bodies[-1].has_text = True
            elif line.kind is LineKind.MARKER:
                self._bodies = [_Body(None, "")]
            self._next += 1
        return self._lines[max(self._next - 1, 0)]

    def _statement(self, code: PlacedCode, line: Line) -> None:
        if code.closes or code.is_section:
            body = self._bodies.pop()
            indent = line.indent if body.opener_indent is None else body.opener_indent
        else:
            indent = self._indent(self._bodies[-1], line)
        self.indents[line.start] = indent
        if code.opens or code.is_section:
            self._bodies.append(_Body(indent, indent + _LEVEL))

    def _indent(self, body: _Body, line: Line) -> str:
        is_aligned = line.indent in (self._above.get(line.start), self._below.get(line.start))
        if body.inner_indent is None or body.has_text or is_aligned:
            return line.indent
        return body.inner_indent


def _document_indents(lines: Sequence[Line]) -> tuple[dict[int, str], dict[int, str]]:
    """For each line, the indentation of the nearest document line above and below it in its template."""
    return _nearest(lines), _nearest(list(reversed(lines)))


def _nearest(lines: Sequence[Line]) -> dict[int, str]:
    found: dict[int, str] = {}
    indent: str | None = None
    for line in lines:
        if indent is not None:
            found[line.start] = indent
        if line.kind is LineKind.TEXT:
            indent = line.indent
        elif line.kind is LineKind.MARKER:
            indent = None
    return found


def _with_comments(lines: Sequence[Line], indents: Mapping[int, str]) -> dict[int, str]:
    """Comment lines right above a statement, indented as it was, go with it."""
    found = dict(indents)
    below: Line | None = None
    for line in reversed(lines):
        is_above = line.kind is LineKind.COMMENT and below is not None and line.indent == below.indent
        if is_above and below is not None and below.start in found:
            found[line.start] = found[below.start]
        below = line
    return found
