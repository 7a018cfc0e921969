"""A template's statements and prints with the place of each: behind a sigil, in a header, or between delimiters."""

from collections.abc import Iterator
from functools import partial

from msgspec import Struct

from fgc.format.lines import read_parts
from fgc.patterns import regex
from fgc.syntax.delimit import Code, delimit
from fgc.syntax.lines import Shadow, read_lines
from fgc.syntax.parser import fits
from fgc.syntax.tokens import Token
from fgc.text import Source

_OPENERS = frozenset(("if", "for", "block", "macro", "call", "filter", "with", "autoescape"))
_SECTIONS = frozenset(("elif", "else"))
_OPENING = regex(r"\{[%{]([-+]?)")
_CLOSING = regex(r"([-+]?)[%}]\}")


class PlacedCode(Struct, frozen=True):
    """A statement or print: where it and its closing delimiter begin in the source, and its author's tokens.

    `sigil`: it is all of a line behind a sigil. `inline_end`: it stands between delimiters in one line, and ends
    there. Neither is set where it spans lines, shares a sigil's line, or was made up by a line rule.
    """

    code: Code
    start: int
    closing: int
    tokens: tuple[Token, ...]
    sigil: str | None = None
    inline_end: int | None = None
    strips: tuple[str, str] = ("", "")

    @property
    def keyword(self) -> str:
        """The statement's first word; empty for a print."""
        return "" if self.code.is_print or not self.tokens else self.tokens[0].text

    @property
    def opens(self) -> bool:
        """Returns whether an end must follow."""
        if self.keyword == "set":
            return not any(text == "=" for text in _outer_texts(self.tokens))
        return self.keyword in _OPENERS

    @property
    def is_section(self) -> bool:
        return self.keyword in _SECTIONS

    @property
    def closes(self) -> bool:
        return self.keyword.startswith("end")


def read_codes(source: Source) -> Iterator[PlacedCode]:
    """The codes of all templates of a file, in order; the file must be free of syntax errors."""
    for start, end in read_parts(source.text):
        shadow, _ = read_lines(source, start, end)
        parts, _ = delimit(shadow, partial(fits, shadow))
        for part in parts:
            if isinstance(part, Code):
                yield _place(shadow, part)


def _place(shadow: Shadow, code: Code) -> PlacedCode:
    start, end = shadow.offset(code.start), shadow.offset(code.end)
    tokens = tuple(token for token in code.tokens if _is_literal(shadow, token.start, token.end))
    opening, closing = _OPENING.match(shadow.text, code.start), _CLOSING.match(shadow.text, code.end)
    assert opening and closing, "a code lies between delimiters"
    if _is_literal(shadow, code.start, closing.end()):
        strips = opening[1], closing[1]
        return PlacedCode(code, start, end, tokens, inline_end=start + closing.end() - code.start, strips=strips)
    is_made_up = not _is_literal(shadow, code.start, code.start + 1) and end == start
    if is_made_up and code.header is None and code.closes is None and tokens:
        return PlacedCode(code, start, end, tokens, sigil=shadow.source.text[start : start + 2])
    return PlacedCode(code, start, end, tokens)


def _is_literal(shadow: Shadow, start: int, end: int) -> bool:
    """Returns whether a range of the shadow text is one range of the source, within a line."""
    runs = shadow.literal_runs(start, end)
    return len(runs) == 1 and runs[0][2]


def _outer_texts(tokens: tuple[Token, ...]) -> Iterator[str]:
    """The tokens that stand in no bracket."""
    depth = 0
    for token in tokens:
        depth += (token.text in "([{") - (token.text in ")]}")
        if depth == 0:
            yield token.text
