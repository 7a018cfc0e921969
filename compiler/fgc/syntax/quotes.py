"""Trailing comments that cut a quoted text in two: lines to whether one does."""

from fgc.diagnostics import Diagnostic, Severity
from fgc.patterns import regex
from fgc.text import Span

_SIGIL = regex(r"\s*(?:--|<<|>>|==|=>)\s")
_MAX_LINE = 2_000  # characters; longer lines are no quotes that a person counts
_SCALAR_START = regex(r"(?:^|[:\-\[{,?]|[!&]\S+)\s*\Z")


def cuts_quote(line: str, at: int) -> bool:
    """Returns True if `line[:at]` leaves a quote open that the rest closes.

    A quote opens a text at the beginning of a YAML scalar, and everywhere in a statement or a print; an apostrophe
    inside a word opens nothing.
    """
    if len(line) > _MAX_LINE:
        return False
    quote = _open_quote(line[:at])
    return bool(quote) and quote in line[at:]


def _open_quote(kept: str) -> str:
    is_statement = _SIGIL.match(kept) is not None
    quote = ""
    since = 0
    position = 0
    while position < len(kept):
        character = kept[position]
        if quote:
            if character == "\\" and quote == '"':
                position += 1
            elif character == quote:
                quote, since = "", position + 1
        elif character in "\"'" and (is_statement or _begins(kept[since:position], since == 0)):
            quote = character
        position += 1
    return quote


def _begins(before: str, is_line_start: bool) -> bool:
    """Returns True if a quote behind this text opens a text: at the start of a scalar, or in an open delimiter."""
    if max(before.rfind("{{"), before.rfind("{%")) > max(before.rfind("}}"), before.rfind("%}")):
        return True
    return bool(_SCALAR_START.search(before)) if is_line_start or before.strip() else False


def cut_quote_finding(place: Span, severity: Severity) -> Diagnostic:
    """Returns what to say of a comment, at `place`, that cuts a quoted text."""
    help = 'comments are cut before quotes are read: write the `#` as "\\x23", or remove the white space before it'
    return Diagnostic("FGC110", "this comment cuts a quoted text in two", place, severity, help)
