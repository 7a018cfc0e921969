"""A shadow text to its parts: data, statements and prints, cut at the delimiters."""

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from fgc.diagnostics import Diagnostic
from fgc.syntax import ast
from fgc.syntax.lines import Header, Shadow
from fgc.syntax.tables import line_pattern
from fgc.syntax.tokens import Scanned, Token, scan
from fgc.text import Span

_OPENING = line_pattern("OPENING")
_RAW_BEGIN = line_pattern("RAW_BEGIN")
_RAW_END = line_pattern("RAW_END")
_COMMENT_END = line_pattern("COMMENT_END")
_CLOSINGS = {"%": line_pattern("STATEMENT_END"), "{": line_pattern("PRINT_END")}
_MAX_UNCLOSED = 50  # each costs a look ahead; a text with more is no template
_OTHER_LANGUAGES = {
    "&": "write `and`",
    "!": "write `not`; to compare, `!=`",
    "$": "names are written without `$`",
    "?": "write `a if condition else b`",
}
_CLOSING_TEXT = {"%": "%}", "{": "}}", "#": "#}"}


class Data(Struct, frozen=True):
    """Text outside delimiters."""

    text: ast.Text


class Code(Struct, frozen=True):
    """The inside of one statement or print: its tokens, and where it begins and ends in the shadow text.

    `header` is set where a line rule made it of a block header, `closes` where it made it of a header's end.
    """

    is_print: bool
    tokens: list[Token]
    start: int
    end: int
    header: Header | None = None
    closes: Header | None = None
    is_bad: bool = False  # a character in it begins no token, which has been said


Part: TypeAlias = Data | Code
Fits: TypeAlias = Callable[[Code], bool]


class _Delimiter:
    def __init__(self, shadow: Shadow, fits: Fits) -> None:
        self._shadow = shadow
        self._fits = fits
        self._parts: list[Part] = []
        self._unclosed_count = 0
        self._may_have_comment_end = True  # once none was found, there is none further on
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
            end = _COMMENT_END.search(text, inside) if self._may_have_comment_end else None
            self._may_have_comment_end = end is not None
            return end.end() if end else self._unclosed(start, kind)
        if raw := _RAW_BEGIN.match(text, start):
            return self._raw(start, raw.end())
        found = self._scan(start, kind, inside)
        if found.bad is not None:
            self._bad_character(found.bad)
        if found.deep is not None:
            self._too_deep(found.deep)
            return self._line_end(found.deep)
        if found.end_start < 0 and found.bad is not None:
            stop = len(text) if found.stop is None else found.stop
            if found.stop is not None:
                self._parts.append(Code(kind == "{", found.tokens, start, max(stop - 2, start), is_bad=True))
            return stop
        if found.end_start < 0:
            return self._unclosed(start, kind, found.stop)
        header, closes = self._shadow.headers.get(start), self._shadow.closings.get(start)
        is_print, is_bad = kind == "{", found.bad is not None
        self._parts.append(Code(is_print, found.tokens, start, found.end_start, header, closes, is_bad))
        return found.end

    def _scan(self, start: int, kind: str, inside: int) -> Scanned:
        """The inside of a delimiter. Where it makes no sense, quotes that swallow lines are taken for open ones."""
        text, closing, line = self._shadow.text, _CLOSINGS[kind], self._shadow.line_ends.get(start)
        found = scan(text, inside, closing, line)
        if found.deep is not None or line is not None:
            return found
        is_sound = found.is_closed and (
            "\n" not in text[start : found.end] or self._fits(Code(kind == "{", found.tokens, start, found.end_start))
        )
        return found if is_sound else scan(text, inside, closing, in_lines=True)

    def _bad_character(self, at: int) -> None:
        character = self._shadow.text[at]
        message = f"unexpected character {character!r}"
        if _OPENING.match(self._shadow.text, at):
            message = f"`{self._shadow.text[at : at + 2]}` is inside a line statement, which cannot contain delimiters"
        elif character == "}":
            message = "this print ends with `}}`, and one `}` is missing"
        elif character in "\"'":
            message = "this string is never closed"
        elif character.isdigit():
            message = "this number has too many digits"
        span = self._shadow.span(at, at + 1)
        self.diagnostics.append(Diagnostic("FGC101", message, span, help=_OTHER_LANGUAGES.get(character)))

    def _raw(self, start: int, inside: int) -> int:
        end = _RAW_END.search(self._shadow.text, inside)
        if end is None:
            span = self._shadow.span(start, inside)
            self.diagnostics.append(Diagnostic("FGC103", "`raw` is never closed by `endraw`", span))
            return len(self._shadow.text)
        self._data(inside, end.start(), end["strip"] == "-")
        return end.end()

    def _unclosed(self, start: int, kind: str, stop: int | None = None) -> int:
        """Ends what is never closed with its line, or where another delimiter opens, to hide nothing else."""
        message = f"`{{{kind}` is never closed by `{_CLOSING_TEXT[kind]}`"
        help = f"write `{_CLOSING_TEXT[kind]}` where it ends"
        self.diagnostics.append(Diagnostic("FGC109", message, self._shadow.span(start, start + 2), help=help))
        self._unclosed_count += 1
        if self._unclosed_count > _MAX_UNCLOSED:
            return len(self._shadow.text)
        line_end = self._line_end(start)
        return line_end if stop is None else min(stop, line_end)

    def _line_end(self, at: int) -> int:
        end = self._shadow.text.find("\n", at)
        return len(self._shadow.text) if end < 0 else end

    def _too_deep(self, at: int) -> None:
        message = "brackets are nested too deeply here"
        self.diagnostics.append(Diagnostic("FGC208", message, self._shadow.span(at, at + 1), help="use variables"))


def delimit(shadow: Shadow, fits: Fits) -> tuple[list[Part], list[Diagnostic]]:
    """Cut a shadow text into data, statements and prints. `fits`: whether the grammar takes what is found."""
    delimiter = _Delimiter(shadow, fits)
    parts = delimiter.cut()
    return parts, delimiter.diagnostics


def span_of(shadow: Shadow, code: Code) -> Span:
    """The whole statement or print, delimiters included."""
    return shadow.span(code.start, min(code.end + 2, len(shadow.text)))
