"""Keys of mappings: the same one twice in one template, one without its colon, tags that stand on a key."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from operator import itemgetter

from fgc.diagnostics import Diagnostic, Related, Severity
from fgc.ir import Graph
from fgc.lint.rules import rule
from fgc.patterns import regex
from fgc.text import Origin, Source
from fgc.yaml import Composition, MappingNode, ScalarNode, scalar_type

_PART = regex(r"^#\s*-{3,}\s*[\w./]+\s*-{3,}\s*$", re.MULTILINE)  # where another inline template begins
_KEY_AND_VALUE = regex(r"(?P<key>[\w.-]+)(?:\s+|(?P<colon>:))(?P<value>\S.*)", re.DOTALL)
_BRANCH = regex(r"(?:^[^\S\n]*+(?:--|<<|>>)\s|\{%[-+]?)\s*+(?P<end>end)?(?P<word>if|for|elif|else)\b", re.MULTILINE)


@rule
def key_twice(composition: Composition, graph: Graph) -> Iterator[Diagnostic]:
    """FGC316: one key on two lines of one template, in one mapping. Over templates it is how a value is overridden."""
    for place in composition.places:
        if not isinstance(place.node, MappingNode):
            continue
        is_root = composition.document.text[max(place.start - 1, 0)] == "\n" or place.start == 0
        seen: dict[tuple[str, str], ScalarNode] = {}
        for key, _ in place.node.pairs:
            if not isinstance(key, ScalarNode) or (is_root and key.value.startswith(".")):
                continue  # the root's `.define: &name ...` only gives names
            kind = scalar_type(key.value, key.is_plain) if key.tag is None else key.tag.text
            earlier = seen.get((kind, key.value))
            seen[kind, key.value] = key
            if kind != "merge" and earlier is not None and _is_repeated(earlier.origin, key.origin):
                yield _twice(key, earlier)


def _is_repeated(first: Origin, second: Origin) -> bool:
    """Returns True if both places always follow each other in one template: no branch decides about the second."""
    source, start, end = first.span.source, first.span.start, second.span.start
    if second.span.source is not source or first.via != second.via or start >= end:
        return False
    return _PART.search(source.text, start, end) is None and not _enters_branch(source, start, end)


def _enters_branch(source: Source, start: int, end: int) -> bool:
    depth = 0
    first = bisect_left(_branches(source), source.text.rfind("\n", 0, start) + 1, key=itemgetter(0))
    for at, is_end, word in islice(_branches(source), first, None):
        if at >= end:
            break
        if is_end:
            depth = max(depth - 1, 0)
        elif word in ("if", "for") or depth == 0:
            depth += 1
    return depth > 0


@lru_cache(maxsize=64)
def _branches(source: Source) -> list[tuple[int, bool, str]]:
    """Returns where branches begin and end in a text; one search for all its keys."""
    return [(match.start(), bool(match["end"]), match["word"]) for match in _BRANCH.finditer(source.text)]


def _twice(key: ScalarNode, earlier: ScalarNode) -> Diagnostic:
    message = f"key `{key.value}` is in this mapping twice, and the last value is used"
    related = (Related(earlier.origin.span, "the first one is here"),)
    return Diagnostic.at(
        key.origin, "FGC316", message, severity=Severity.WARNING, help="remove one of them", related=related
    )


@rule
def key_without_colon(composition: Composition, graph: Graph) -> Iterator[Diagnostic]:
    """FGC321: `{ lr 1.0e-3 }` and `{ lr:1.0e-3 }` have the key `lr 1.0e-3`, and no value."""
    for place in composition.places:
        if place.style != "flow" or not isinstance(place.node, MappingNode):
            continue
        for key, value in place.node.pairs:
            is_alone = isinstance(value, ScalarNode) and value.value == "" and value.is_plain and value.tag is None
            if is_alone and isinstance(key, ScalarNode) and _is_bare(key):
                yield from _lacks_colon(key)


def _is_bare(key: ScalarNode) -> bool:
    """Returns True for a key without quotes and without a `:` behind it, by which its value is null as written."""
    span = key.origin.span
    return key.is_plain and not key.is_broken and not span.source.text[span.end :].lstrip().startswith(":")


def _lacks_colon(key: ScalarNode) -> Iterator[Diagnostic]:
    """Yields the finding of a key in braces that holds its value."""
    match = _KEY_AND_VALUE.fullmatch(key.value)
    if match is not None:
        what = "a space is missing after the `:`" if match["colon"] else "a `:` is missing"
        message = f"{what}: this is the key `{key.value:.40}`, and it has no value"
        help = f"write `{match['key']}: {match['value']:.40}`, or quotes around the key"
        yield Diagnostic.at(key.origin, "FGC321", message, severity=Severity.WARNING, help=help)


@rule
def tag_on_key(composition: Composition, graph: Graph) -> Iterator[Diagnostic]:
    """FGC317: `!call:dict a: 1` puts the tag on the key `a`, where it has no meaning."""
    for place in composition.places:
        if not isinstance(place.node, MappingNode):
            continue
        for key, _ in place.node.pairs:
            tag = key.tag if isinstance(key, ScalarNode) else None
            if tag is None or not isinstance(key, ScalarNode) or not tag.text.startswith("!") or tag.text == "!":
                continue
            message = f"the tag `{tag.text}` is on the key `{key.value}`, and is ignored"
            help = (
                "put the tag of a mapping at the end of the line above its keys, and the tag of a value after the `:`"
            )
            yield Diagnostic.at(tag.origin, "FGC317", message, severity=Severity.WARNING, help=help)
