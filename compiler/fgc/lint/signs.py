"""Finds texts and keys that look as if a sign of YAML were missing or too much in them."""

import re
from collections.abc import Iterator

from fgc.diagnostics import Diagnostic, Edit, Severity
from fgc.ir import BUILTINS, Graph
from fgc.lint.prints import values_printed
from fgc.lint.rules import rule
from fgc.patterns import regex
from fgc.syntax import CALL_TAGS
from fgc.yaml import Composition, MappingNode, Place, ScalarNode

HALF_CALL = regex(rf"(?P<kind>{'|'.join(CALL_TAGS)}):(?P<callable>[A-Za-z_][\w.]*(?::[A-Za-z_][\w.]*)?)")
_CALLED = regex(HALF_CALL.pattern + r"(?:@\w+)?\s*(?:[\[{].*)?", re.DOTALL)
_NAMED = regex(r"\$(\w+)")  # `${name}` is put in by other programs
_ENDS_SO = regex(  # measures in inches or minutes, plurals and primes; TeX, regular expressions, other quotes
    r"(?:.*[\s(\u00d7x/'-])?\d[\d.,]*[\"']|(?:.*[sn]|\W*\w)'|.*[`\\*?|^$\u201c-\u201f\u2032\u2033].*"
)
_TAKES_OPTIONS = regex(r"(?:flags|options|opts|args|arguments)\w*:\s*\Z")
_ITEM = regex(r"(?:^|\n)([^\S\n]*)(-)[^\s\d-]")
_LONGEST = 2_000  # characters; longer texts are no slips


@rule
def missing_sign(composition: Composition, graph: Graph) -> Iterator[Diagnostic]:
    """FGC322: `call:dict` without `!`, `$name` for `*name`, `text"` without its first quote, `lr::`."""
    elsewhere = values_printed(composition.document)
    for place in composition.places:
        match place.node:
            case ScalarNode(is_plain=True, tag=None, parts=None, value=value) if value and len(value) < _LONGEST:
                if place.node.origin.span not in elsewhere:
                    yield from _text(composition, place, value)
            case MappingNode():
                yield from _keys(place.node)
                if place.style == "block" and place.node is not composition.root:
                    yield from _same_names(composition, place.node)
            case _:
                pass


def _text(composition: Composition, place: Place, value: str) -> Iterator[Diagnostic]:
    origin = place.node.origin
    if (match := _CALLED.fullmatch(value)) and _may_be_called(match):
        what = f"`!` is missing: this is the text `{value:.40}`, which calls nothing"
        better = f"!{match['kind']}:{match['callable']}"
        fix = Edit(origin.span.at(0, 0), "!") if origin.span.text.startswith(match["kind"]) else None
    elif (match := _NAMED.fullmatch(value)) and match[1] in composition.anchors:
        what = f"this is the text `{value}`, and not what `&{match[1]}` names"
        better, fix = f"*{match[1]}", None
    elif _lacks_quote(value):
        what = f"a quote is missing where this text begins: it is `{value:.40}`, with the quote"
        better, fix = f"{value[-1]}{value:.40}", None
    elif found := _dashes(composition, place):
        yield found
        return
    else:
        return
    help = f"write `{better}`, or quotes around the text"
    yield Diagnostic.at(origin, "FGC322", what, severity=Severity.WARNING, help=help, fix=fix)


def _may_be_called(match: re.Match[str]) -> bool:
    """Returns True if what stands behind `call:` is a callable: `meta:llama` may be a text."""
    name = match["callable"]
    return ":" in name or name in BUILTINS or match.end("callable") < match.end()


def _lacks_quote(value: str) -> bool:
    quote = value[-1]
    if quote not in "\"'" or value.count(quote) > 1 or len(value) == 1 or (quote == "'" and " " in value):
        return False
    return not value.startswith("--") and not _ENDS_SO.fullmatch(value)  # FGC405 reads names of options


def _same_names(composition: Composition, node: MappingNode) -> Iterator[Diagnostic]:
    """Yields the findings of `name: name` where `&name` is an anchor, unless all pairs are so: that is a renaming."""
    same = [
        value
        for key, value in node.pairs
        if isinstance(key, ScalarNode) and isinstance(value, ScalarNode) and value.is_plain and value.tag is None
        if key.value == value.value and value.parts is None
    ]
    if len(same) == len(node.pairs) and node.tag is None:
        return
    for value in same:
        if value.value in composition.anchors:
            what = f"this is the text `{value.value}`, and not what `&{value.value}` names"
            help = f"write `*{value.value}`, or quotes around the text"
            yield Diagnostic.at(value.origin, "FGC322", what, severity=Severity.WARNING, help=help)


def _dashes(composition: Composition, place: Place) -> Diagnostic | None:
    """The finding of an item `-x` without its space: below another item, or where all lines are such items."""
    text = composition.document.text
    if "-" not in text[place.start : place.end] or "\n" not in text[place.start : place.end]:
        return None
    line = text[text.rfind("\n", 0, place.start) + 1 : place.start]
    lines = text[place.start : place.end].split("\n")
    is_list = not line.strip() and all(_ITEM.match(part) for part in lines)
    if is_list and _TAKES_OPTIONS.search(text, max(place.start - _LONGEST, 0), place.start):
        return None
    for match in _ITEM.finditer(text, place.start if is_list else place.start + 1, place.end):
        if is_list or line == f"{match[1]}- ":
            origin = composition.document.locate(*match.span(2))
            message = "a space is missing after this `-`: its line continues the text above"
            help = "write `- ` before an item; if it is text, write the text on one line or in quotes"
            return Diagnostic.at(origin, "FGC322", message, severity=Severity.WARNING, help=help)
    return None


def _keys(node: MappingNode) -> Iterator[Diagnostic]:
    """Yields the findings of keys that end with a second colon."""
    for key, _ in node.pairs:
        if isinstance(key, ScalarNode) and key.is_plain and key.value.endswith(":") and key.parts is None:
            name = key.value.rstrip(":")
            if name.isidentifier():
                message = f"there is one `:` too many: the key is `{key.value}`"
                help = f"write `{name}:`, or quotes around the key"
                yield Diagnostic.at(key.origin, "FGC322", message, severity=Severity.WARNING, help=help)
