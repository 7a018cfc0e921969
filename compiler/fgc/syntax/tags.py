"""A tag's text to its kind, callable and name, by tag.lark."""

import re
from functools import lru_cache
from typing import Any

from msgspec import Struct

from fgc.syntax.lr import Unexpected, run
from fgc.syntax.tables import load
from fgc.syntax.tokens import Token

CALL_TAGS = ("call", "singleton", "factory", "partial", "lambda", "meta")
TAG_KINDS = (*CALL_TAGS, "list", "tuple", "dict", "dlist", "var")


class Tag(Struct, frozen=True):
    """`!kind:callable@name`; offsets of the callable and the name in the tag's text."""

    kind: str
    callable: str
    callable_start: int
    name: str | None
    name_start: int
    has_colon: bool


@lru_cache(maxsize=4096)
def parse_tag(text: str) -> Tag | None:
    """The parts of a tag; None if it has not the form of a construction tag."""
    match = _tokens().fullmatch(text)
    if match is None:
        return None
    terminals = ("BANG", "KIND", "COLON", "CALLABLE", "AT", "NAME")
    tokens = [
        Token((terminal,), match[group], *match.span(group))
        for group, terminal in enumerate(terminals, start=1)
        if match[group]
    ]
    try:
        tag: Tag = run(load("tag"), "tag", tokens, {"tag": _build}, 0)
    except Unexpected:
        return None
    return tag


@lru_cache(maxsize=1)
def _tokens() -> re.Pattern[str]:
    patterns = load("tag").patterns
    kind, callable, name = patterns["KIND"], patterns["CALLABLE"], patterns["NAME"]
    return re.compile(f"(!)({kind})?(?:(:)({callable})?)?(?:(@)({name})?)?")


def _build(start: int, end: int, parts: list[Any]) -> Tag:
    tokens = {part.terminals[0]: part for part in parts}
    callable, name = tokens.get("CALLABLE"), tokens.get("NAME")
    return Tag(
        tokens["KIND"].text,
        callable.text if callable else "",
        callable.start if callable else end,
        name.text if name else None,
        name.start if name else end,
        "COLON" in tokens,
    )
