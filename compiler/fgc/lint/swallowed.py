"""Finds text that YAML reads as something else: a value as a comment, an item as part of the text above."""

import re
from collections.abc import Iterator

from fgc.diagnostics import Diagnostic, Edit, Severity
from fgc.ir import Graph
from fgc.lint.rules import rule
from fgc.lint.signs import HALF_CALL
from fgc.patterns import regex
from fgc.text import Document
from fgc.yaml import Composition, Place, ScalarNode

_COMMENT_VALUE = regex(r"[^\S\n]+(#(?:[^\s#]\S*))[^\S\n]*(?=\n|\Z)")  # one word right behind `#`
_COMMENT_NUMBER = regex(r"[^\S\n]+(#\d+)[^\S\n]*(?=\n|\Z)")
_BRACKET = regex(r"[\[\]{}()]")
_PARTNERS = {"]": "[", "}": "{", ")": "("}
_MEANT = regex(r"[:;=]-?[()]|^\w?[()]$")  # a smiley, the number of an item, a parenthesis and nothing else
_INTERVAL = regex(r"\([^()\[\],]+,[^()\[\]]+\]")  # without its left end
_ITEM = regex(r"\n[^\S\n]*(-)(?:[^\S\n]|\n|\Z)")


@rule
def comment_for_value(composition: Composition, graph: Graph) -> Iterator[Diagnostic]:
    """FGC318: `a: #ff0000` has no value, and `title: run #3` is `run`."""
    document = composition.document
    for place in composition.places:
        if not isinstance(place.node, ScalarNode) or place.style != "plain":
            continue
        pattern = _COMMENT_VALUE if place.start == place.end else _COMMENT_NUMBER
        match = pattern.match(document.text, place.end)
        if match is None or (
            place.start < place.end and " " not in place.node.value and not place.node.value.isalpha()
        ):
            continue
        if document.segment_at(match.start(1)).piece.is_literal:
            yield _comment(document, place, match)


def _comment(document: Document, place: Place, match: re.Match[str]) -> Diagnostic:
    origin = document.locate(*match.span(1))
    whole = document.text[place.start : match.end(1)].strip()
    message = f"`{match[1]}` is a comment in YAML, and no part of the value"
    fix = Edit(origin.span, f'"{match[1]}"') if place.start == place.end and '"' not in match[1] else None
    help = f'put the value in quotes, `"{whole}"`, or a space after the `#`'
    return Diagnostic.at(origin, "FGC318", message, severity=Severity.WARNING, help=help, fix=fix)


@rule
def item_in_text(composition: Composition, graph: Graph) -> Iterator[Diagnostic]:
    """FGC319: ` - y` below `- x`, indented more, goes on with the text `x`."""
    document = composition.document
    for place in composition.places:
        if not isinstance(place.node, ScalarNode) or place.style != "plain" or HALF_CALL.match(place.node.value):
            continue
        for match in _ITEM.finditer(document.text, place.start, place.end):
            origin = document.locate(*match.span(1))
            message = "this `-` does not begin an item: its line continues the text above"
            help = "indent it as the item above; if it is text, write the text on one line or in quotes"
            yield Diagnostic.at(origin, "FGC319", message, severity=Severity.WARNING, help=help)


@rule
def stray_bracket(composition: Composition, graph: Graph) -> Iterator[Diagnostic]:
    """FGC320: `lr: 3]` is the text `3]`, `lr: (3` is `(3`, and `lr]: 3` has the key `lr]`."""
    document = composition.document
    for place in composition.places:
        if not isinstance(place.node, ScalarNode) or place.style != "plain" or not _BRACKET.search(place.node.value):
            continue
        text = document.text[place.start : place.end]
        at = None if _INTERVAL.fullmatch(text) else _unbalanced(text, "[]{}")
        at = _stray_parenthesis(text) if at is None else at
        if at is None or not document.segment_at(place.start + at).piece.is_literal:
            continue
        bracket = document.text[place.start + at]
        message = f"`{bracket}` is not paired, and is part of the text `{place.node.value:.40}`"
        help = "remove it, or write the other bracket; if it is part of the text, put the text in quotes"
        origin = document.locate(place.start + at, place.start + at + 1)
        yield Diagnostic.at(origin, "FGC320", message, severity=Severity.WARNING, help=help)


def _stray_parenthesis(text: str) -> int | None:
    """Returns the offset of a parenthesis without its partner: around a value or in one word. In prose it is text."""
    at = _unbalanced(text, "()")
    if at is None or _MEANT.search(text) or _INTERVAL.fullmatch(text):
        return None
    rest = (text[:at] + text[at + 1 :]).strip()
    is_value = " " not in rest or (at == 0 and rest[0] in "[{!&*") or (at == len(text) - 1 and rest[-1] in "]}")
    return at if is_value else None


def _unbalanced(text: str, brackets: str) -> int | None:
    """Returns the offset of the first of these brackets that has no partner; `\\(` of a pattern is none."""
    opened: list[int] = []
    for at, character in enumerate(text):
        if character not in brackets or text[at - 1 : at] == "\\":
            continue
        if character not in _PARTNERS:
            opened.append(at)
        else:
            if not opened or text[opened[-1]] != _PARTNERS[character]:
                return at
            opened.pop()
    return opened[0] if opened else None
