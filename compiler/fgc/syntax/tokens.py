"""The inside of a delimiter to tokens of the grammar's terminals.

A token's text may fit several terminals (`with` is a keyword and a name): the parser takes the first that its state
allows.
"""

import re
from dataclasses import dataclass
from functools import cache

from fgc.syntax.tables import load


@dataclass(frozen=True, slots=True)
class Token:
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


def scan(text: str, start: int, closing: re.Pattern[str]) -> tuple[list[Token], int, int, int | None]:
    """Tokens from `start` to the closing delimiter, which a bracket that is still open hides.

    Returns the tokens, the closing delimiter's start and end (both -1 if there is none), and the offset of the first
    character that begins no token (None if all is well); what follows such a character is skipped.
    """
    pattern, literals = _scanner()
    tokens: list[Token] = []
    depth = 0
    position = start
    while True:
        stripped = _skip_space(text, position)
        if depth <= 0 and (end := closing.match(text, stripped)):
            return tokens, stripped, end.end(), None
        match = pattern.match(text, position)
        if match is None:
            return _skip_to_closing(text, tokens, stripped, closing)
        group = match.lastgroup or ""
        value = match[group]
        if value in "([{":
            depth += 1
        elif value in ")]}":
            depth -= 1
        is_literal = group in ("NAME", "OPERATOR") and value in literals
        tokens.append(Token(literals[value] if is_literal else (group,), value, match.start(group), match.end()))
        position = match.end()


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _skip_to_closing(
    text: str, tokens: list[Token], bad: int, closing: re.Pattern[str]
) -> tuple[list[Token], int, int, int | None]:
    end = closing.search(text, bad)
    if end is None:
        return tokens, -1, -1, None if bad >= len(text) else bad
    return tokens, end.start(), end.end(), bad
