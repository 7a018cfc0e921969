"""Anchors that nobody mentions and that look like a misspelt alias; anchors of a block that stand in one inside it."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from operator import itemgetter
from typing import Any

from fgc.diagnostics import Diagnostic, Related, Severity, misspelt
from fgc.ir import Graph
from fgc.lint.rules import rule
from fgc.patterns import regex
from fgc.resolve.mentions import children
from fgc.syntax import ast
from fgc.syntax.parser import parse
from fgc.text import Source, Span
from fgc.yaml import Composition

_DEFINITION = regex(r"^\S[^\n]*:\s+&\w", re.MULTILINE)


@rule
def anchor_of_outer_block(composition: Composition, graph: Graph) -> Iterator[Diagnostic]:
    """FGC323: `&feed_forward` below `&experts` in the block `[experts]`, which is nested in `[feed_forward]`."""
    for name, anchor in composition.anchors.items():
        inner, place = anchor.origin.block, anchor.origin.span
        if inner is None or inner == name or f"[{name}" not in place.source.text:
            continue
        headers = {block.name: block.name_span for block in _blocks_around(place)}
        if name not in headers or inner != list(headers)[-1]:
            continue
        text, header = place.source.text, headers[inner]
        if not _DEFINITION.search(text, header.end, text.rfind("\n", 0, place.start) + 1):
            continue  # the block is for this anchor alone
        message = f"`&{name}` is in the block `{inner}`, which is inside the block `{name}`"
        help = f"an override of `{inner}` removes it: write it above `[{inner}]`, or below a separate header"
        shown = Span(header.source, header.start - 1, header.end + 1)
        related = (Related(shown, f"`{inner}` ends at the next header"),)
        yield Diagnostic.at(anchor.origin, "FGC323", message, severity=Severity.WARNING, help=help, related=related)


def _blocks_around(place: Span) -> tuple[ast.Block, ...]:
    """The blocks with headers that are open at a place, the innermost last."""
    starts, blocks = _texts_in_blocks(place.source)
    number = bisect_right(starts, place.start) - 1
    return blocks[number] if number >= 0 else ()


@lru_cache(maxsize=16)
def _texts_in_blocks(source: Source) -> tuple[list[int], list[tuple[ast.Block, ...]]]:
    """Returns where each text of a file begins, and the blocks with headers around it, the innermost last."""
    file = parse(source).value
    found: list[tuple[int, tuple[ast.Block, ...]]] = []
    stack: list[tuple[Any, tuple[ast.Block, ...]]] = [(template.body, ()) for template in (file.main, *file.parts)]
    while stack:
        node, around = stack.pop()
        match node:
            case tuple():
                stack += [(item, around) for item in node]
            case ast.Text():
                found.append((node.span.start, around))
            case ast.Block():
                stack.append((node.body, (*around, node) if _has_header(node) else around))
            case ast.If() | ast.For() | ast.With() | ast.FilterBlock() | ast.Autoescape():
                stack += [(child, around) for child in children(node)]
            case _:
                pass
    found.sort(key=itemgetter(0))
    return [start for start, _ in found], [around for _, around in found]


def _has_header(block: ast.Block) -> bool:
    return block.span.source.text[block.name_span.start - 1 : block.name_span.start] == "["


@rule
def unused_anchor(composition: Composition, graph: Graph) -> Iterator[Diagnostic]:
    """FGC309: an anchor without alias that is nearly spelt as an alias is, which then means another anchor.

    An alias without any anchor is a finding of its own (FGC302), which names the nearest.
    """
    for name, anchor in [] if composition.is_partial else composition.anchors.items():
        if name in composition.aliases:
            continue
        alias = misspelt(name, (other for other in composition.aliases if other in composition.anchors))
        if alias is None:
            continue
        other = composition.anchors[alias]
        related = (
            Related(composition.aliases[alias][0].span, f"`*{alias}` is used here"),
            Related(other.origin.span, f"and means `&{alias}`"),
        )
        message = f"anchor `&{name}` is never used"
        help = f"is it the anchor that `*{alias}` means? If not, drop it"
        yield Diagnostic.at(anchor.origin, "FGC309", message, severity=Severity.WARNING, help=help, related=related)
