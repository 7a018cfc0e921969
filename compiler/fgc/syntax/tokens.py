"""The inside of a delimiter to tokens of the grammar's terminals.

A token's text may fit several terminals (`with` is a keyword and a name): the parser takes the first that its state
allows.
"""

import re
from functools import cache

from msgspec import Struct

from fgc.patterns import regex
from fgc.syntax.tables import load


class Token(Struct, frozen=True):
    """A token and the terminals that it may be, keywords first; offsets are those of the shadow text."""

    terminals: tuple[str, ...]
    text: str
    start: int
    end: int


@cache
def _scanner() -> tuple[re.Pattern[str], dict[str, tuple[str, ...]]]:
    tables = load("template")
    literals: dict[str, tuple[str, ...]] = {text: (name,) for text, name in tables.literals.items()}
    for name in ("ADDITIVE", "MULTIPLICATIVE"):
        for text in re.findall(r"[-+*/%]+", tables.patterns[name].replace("\\", "")):
            literals[text] = (*literals.get(text, ()), name)
    for text in list(literals):
        if text.isidentifier():
            literals[text] = (*literals[text], "NAME")
    operators = sorted((text for text in literals if not text.isidentifier()), key=len, reverse=True)
    parts = [f"(?P<{name}>{tables.patterns[name]})" for name in ("FLOAT", "INTEGER", "NAME", "STRING")]
    parts.append(f"(?P<OPERATOR>{'|'.join(map(re.escape, operators))})")
    return re.compile(r"\s*(?:" + "|".join(parts) + ")"), literals


class Scanned(Struct, frozen=True):
    """The inside of a delimiter.

    `end_start` and `end` are the closing delimiter's, both -1 if there is none; `bad` is the first character that
    begins no token, or None; `stop` is where another delimiter opens inside, which shows that this one is not closed,
    or where a text that is not closed ends; `deep` the bracket that is one too many; `has_long_text`: a quoted text
    runs over the end of a line.
    """

    tokens: list[Token]
    end_start: int
    end: int
    bad: int | None = None
    stop: int | None = None
    deep: int | None = None
    has_long_text: bool = False

    @property
    def is_closed(self) -> bool:
        return self.end_start >= 0 and self.bad is None


_SPACE = regex(r"\s+")
_NESTED_OPENING = regex(r"\{[%#]")
_OPENING = regex(r"\{[{%#]")
_MAX_DIGITS = 1_000  # Python refuses to read integers of more than 4,300
_MAX_BRACKETS = 200  # inside each other; deeper is no expression that a person wrote


class LineEnd(Struct, frozen=True):
    """The end of the author's text of a line statement, and the closing delimiter that a rule made."""

    written: int
    closing: int


def scan(
    text: str, start: int, closing: re.Pattern[str], line: LineEnd | None = None, *, in_lines: bool = False
) -> Scanned:
    """Tokens from `start` to the closing delimiter, which a bracket that is still open may hide.

    `line`: the end of a line statement, which neither brackets nor quotes hide. `in_lines`: quoted texts end with their
    line, as they nearly always do; what swallows other lines then shows where it is not closed.
    """
    pattern, literals = _scanner()
    tokens: list[Token] = []
    has_long_text = False
    brackets: list[str] = []
    position = start
    while True:
        stripped = _skip_space(text, position)
        end = closing.match(text, stripped)
        if end and (_ends(end, brackets, text) or (line is not None and stripped >= line.closing)):
            return Scanned(tokens, stripped, end.end(), has_long_text=has_long_text)
        if _NESTED_OPENING.match(text, stripped) and line is not None:
            return Scanned(tokens, line.closing, line.closing + 2, stripped)
        if _NESTED_OPENING.match(text, stripped):
            return Scanned(tokens, -1, -1, stop=stripped)
        match = pattern.match(text, position)
        if match is None:
            is_quote = in_lines and text[stripped : stripped + 1] in tuple("\"'")
            return (_open_text if is_quote else _skip_to_closing)(text, tokens, stripped, closing)
        group = match.lastgroup or ""
        value = match[group]
        if group == "STRING" and line is not None and match.start(group) < line.written < match.end():
            return Scanned(tokens, line.closing, line.closing + 2, match.start(group))
        if group == "STRING" and "\n" in value:
            has_long_text = True
            if in_lines:
                return _open_text(text, tokens, match.start(group), closing)
        if (
            in_lines
            and value == "}"
            and not brackets
            and closing.search(text, stripped, _line_end(text, stripped)) is None
        ):
            return Scanned(tokens, -1, -1, stripped, stop=stripped + 1)
        if group == "INTEGER" and len(value) > _MAX_DIGITS:
            return _skip_to_closing(text, tokens, stripped, closing)
        if value in "([{":
            brackets.append(value)
            if len(brackets) > _MAX_BRACKETS:
                is_print = text.find("{{", start, stripped) >= 0
                return Scanned(tokens, -1, -1, deep=None if is_print else stripped)
        elif value in ")]}" and brackets:
            brackets.pop()
        is_literal = group in ("NAME", "OPERATOR") and value in literals
        tokens.append(Token(literals[value] if is_literal else (group,), value, match.start(group), match.end()))
        position = match.end()


def _ends(end: re.Match[str], brackets: list[str], text: str) -> bool:
    """Returns True if a closing delimiter closes: `%}` always, `}}` unless it may be the end of dictionaries."""
    if "%" in end[0] or not brackets or brackets[-1] != "{":
        return True
    return len(brackets) == 1 and not text.startswith("}", end.end())


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _open_text(text: str, tokens: list[Token], quote: int, closing: re.Pattern[str]) -> Scanned:
    """Scans a quote that is never closed: up to the closing delimiter, unless another delimiter opens before."""
    end = closing.search(text, quote)
    if end is not None and _OPENING.search(text, quote, end.start()) is None:
        return Scanned(tokens, end.start(), end.end(), quote)
    stop = _line_end(text, quote)
    if not any(character.isalnum() for character in text[quote:stop]):
        return Scanned(tokens, -1, -1, stop=quote)  # a quote at the end is YAML's: the delimiter is open
    return Scanned(tokens, -1, -1, quote, stop)


def _skip_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return position if found is None else found.end()


def _skip_to_closing(text: str, tokens: list[Token], bad: int, closing: re.Pattern[str]) -> Scanned:
    end = closing.search(text, bad)
    if end is None:
        return Scanned(tokens, -1, -1, None if bad >= len(text) else bad)
    return Scanned(tokens, end.start(), end.end(), bad)
