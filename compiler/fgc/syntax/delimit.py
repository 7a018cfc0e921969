"""A shadow text to its parts: data, statements and prints, cut at the delimiters."""

from dataclasses import dataclass
from typing import TypeAlias

from fgc.diagnostics import Diagnostic
from fgc.syntax import ast
from fgc.syntax.lines import Header, Shadow
from fgc.syntax.tables import line_pattern
from fgc.syntax.tokens import Token, scan
from fgc.text import Span

_OPENING = line_pattern("OPENING")
_RAW_BEGIN = line_pattern("RAW_BEGIN")
_RAW_END = line_pattern("RAW_END")
_COMMENT_END = line_pattern("COMMENT_END")
_CLOSINGS = {"%": line_pattern("STATEMENT_END"), "{": line_pattern("PRINT_END")}
_CLOSING_TEXT = {"%": "%}", "{": "}}", "#": "#}"}


@dataclass(frozen=True, slots=True)
class Data:
    """Text outside delimiters."""

    text: ast.Text


@dataclass(frozen=True, slots=True)
class Code:
    """The inside of one statement or print: its tokens, and where it begins and ends in the shadow text.

    `header` is set where a line rule made it of a block header, `closes` where it made it of a header's end.
    """

    is_print: bool
    tokens: list[Token]
    start: int
    end: int
    header: Header | None = None
    closes: Header | None = None


Part: TypeAlias = Data | Code


class _Delimiter:
    def __init__(self, shadow: Shadow) -> None:
        self._shadow = shadow
        self._parts: list[Part] = []
        self.diagnostics: list[Diagnostic] = []

    def cut(self) -> list[Part]:
        text = self._shadow.text
        position = 0
        while opening := _OPENING.search(text, position):
            self._data(position, opening.start(), opening["strip"] == "-")
            position = self._delimited(opening.start(), opening["kind"], opening.end())
        self._data(position, len(text), False)
        return self._parts

    def _data(self, start: int, end: int, is_stripped: bool) -> None:
        if is_stripped:
            end = start + len(self._shadow.text[start:end].rstrip())
        if start >= end:
            return
        text = self._shadow.text
        runs = tuple(
            ast.Run(text[first:last], span, is_literal)
            for first, last, is_literal, span in self._shadow.literal_runs(start, end)
        )
        self._parts.append(Data(ast.Text(self._shadow.span(start, end), runs)))

    def _delimited(self, start: int, kind: str, inside: int) -> int:
        """Read what the delimiter at `start` opens; returns the offset behind it."""
        text = self._shadow.text
        if kind == "#":
            end = _COMMENT_END.search(text, inside)
            return end.end() if end else self._unclosed(start, kind)
        if raw := _RAW_BEGIN.match(text, start):
            return self._raw(start, raw.end())
        tokens, end_start, end_end, bad = scan(text, inside, _CLOSINGS[kind])
        if bad is not None:
            character = text[bad]
            message = f"unexpected character {character!r}"
            if character in "\"'":
                message = "this string is never closed"
            self.diagnostics.append(Diagnostic("FGC101", message, self._shadow.span(bad, bad + 1)))
        if end_start < 0:
            return self._unclosed(start, kind) if bad is None else len(text)
        if bad is None:
            header, closes = self._shadow.headers.get(start), self._shadow.closings.get(start)
            self._parts.append(Code(kind == "{", tokens, start, end_start, header, closes))
        return end_end

    def _raw(self, start: int, inside: int) -> int:
        end = _RAW_END.search(self._shadow.text, inside)
        if end is None:
            span = self._shadow.span(start, inside)
            self.diagnostics.append(Diagnostic("FGC103", "`raw` is never closed by `endraw`", span))
            return len(self._shadow.text)
        self._data(inside, end.start(), end["strip"] == "-")
        return end.end()

    def _unclosed(self, start: int, kind: str) -> int:
        message = f"`{{{kind}` is never closed by `{_CLOSING_TEXT[kind]}`"
        self.diagnostics.append(Diagnostic("FGC109", message, self._shadow.span(start, start + 2)))
        return len(self._shadow.text)


def delimit(shadow: Shadow) -> tuple[list[Part], list[Diagnostic]]:
    """Cut a shadow text into data, statements and prints."""
    delimiter = _Delimiter(shadow)
    parts = delimiter.cut()
    return parts, delimiter.diagnostics


def span_of(shadow: Shadow, code: Code) -> Span:
    """The whole statement or print, delimiters included."""
    return shadow.span(code.start, min(code.end + 2, len(shadow.text)))
