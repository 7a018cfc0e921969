"""Finds pieces of text that were glued together: the second continues the first one's line by accident."""

from fgc.diagnostics import Diagnostic, Related, Severity
from fgc.patterns import regex
from fgc.syntax import ast
from fgc.text import Piece, Span

_STRIPPED = regex(r"[^\S\n]*\n\s*(<<[^\S\n][^\n]*|\{%-)")
_NEW_LINE = regex(r"[^\S\n]*(#|- |\"[^\"\n]*\"\s*:(\s|$)|[\w.-]+\s*:(\s|$))")  # how a line of YAML begins


def glued_include(include: ast.Include, piece: Piece) -> Diagnostic:
    """The finding that the line behind an include continues the included text."""
    message = f"the text of {include.template.span.text} does not end its line, and the next line is glued to it"
    help = "an include takes the newline behind itself: leave an empty line after it"
    return _finding(message, include.span, help, piece)


def glued_strip(before: Piece, piece: Piece) -> Diagnostic | None:
    """The finding that a line begins where `<<` took the line end of the one before; None where it does not."""
    if not before.is_literal or before.text.endswith("\n") or not _NEW_LINE.match(piece.text):
        return None
    span = before.origin.span
    stripped = _STRIPPED.match(span.source.text, span.end)
    if stripped is None:
        return None
    written = stripped[1].rstrip()
    place = Span(span.source, stripped.start(1), stripped.start(1) + len(written))
    sigil = written[:2] if written.startswith("<<") else "{%-"
    message = f"`{sigil}` takes the line end before it, and the next line is glued to that line"
    help = f"write `{'--' if sigil == '<<' else '{%'}`, which keeps the line end"
    return _finding(message, place, help, piece)


def _finding(message: str, place: Span, help: str, piece: Piece) -> Diagnostic:
    span = piece.origin.span
    line_end = span.text.find("\n")
    glued = span.at(0, line_end) if piece.is_literal and line_end >= 0 else span
    return Diagnostic("FGC211", message, place, Severity.WARNING, help, (Related(glued, "this is glued on"),))
