"""Explains a path in a configuration by resolving it once more with a trace."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from fgc.explain.elsewhere import Elsewhere, elsewhere, is_taken
from fgc.explain.feeds import Feed, FeedFinder
from fgc.explain.inheritance import Inheritance, Link
from fgc.explain.overrides import Override, overrides_of
from fgc.explain.pairs import target_of
from fgc.explain.paths import Found, UnknownPath, find
from fgc.explain.trace import RECORD, Trace
from fgc.explain.watched import WatchedLoader
from fgc.resolve import Facts, Loader, resolve
from fgc.syntax import ast
from fgc.text import Document, Origin, Segment, Span
from fgc.yaml import AliasNode, Node, ScalarNode, compose


class Explanation(Struct, frozen=True):
    """The facts about a path. `span` is the part of a line that set it; `aliases` are those that were followed.

    `elsewhere` is set if the value is an object of another project.
    """

    path: str
    value: Node
    span: Span
    overrides: tuple[Override, ...]
    links: tuple[Link, ...]
    feeds: tuple[Feed, ...]
    aliases: tuple[AliasNode, ...]
    elsewhere: Elsewhere | None = None


def explain(
    entry: ast.ParsedFile, loader: Loader, variables: Mapping[str, Any], facts: Facts, *, path: str
) -> Explanation | UnknownPath:
    """Returns the explanation of a path in a configuration, or the part of the path that does not exist."""
    trace = Trace()
    watched = WatchedLoader(loader, trace)
    resolved = resolve(watched.watch(entry), watched, {**variables, RECORD: trace.record}, facts)
    found = find(compose(resolved.value).value, path)
    if isinstance(found, UnknownPath):
        return found
    finder = FeedFinder(trace, variables)
    segments = _value_segments(resolved.value, found.node)
    origin = _origin(found)
    return Explanation(
        path=found.steps[-1].path if found.rest else path,
        value=found.node,
        span=_span(found, origin, segments),
        overrides=tuple(overrides_of(found.steps)),
        links=tuple(Inheritance(watched.files, trace).links(origin)),
        feeds=tuple(feed for segment in segments for feed in finder.feeds(segment)),
        aliases=tuple(_aliases(found)),
        elsewhere=elsewhere(found.node, found.rest) if is_taken(found.node) else None,
    )


def _origin(found: Found) -> Origin:
    """Returns the place of the effective key, or of the value if there is no key."""
    key = found.steps[-1].chosen.key if found.steps else None
    return key.origin if key is not None else found.node.origin


def _span(found: Found, origin: Origin, segments: Iterable[Segment]) -> Span:
    """Returns the span from the key to the end of the value, within one line."""
    value, span = found.node, origin.span
    label = getattr(value, "tag", None)
    first = label.origin.span if label is not None and not isinstance(value, ScalarNode) else value.origin.span
    for end in (first, *(segment.piece.origin.span for segment in segments)):
        if end.source is span.source and end.end > span.end and end.last.line == span.first.line:
            span = span.to(end)
    return span


def _aliases(found: Found) -> Iterable[AliasNode]:
    """Returns the aliases on the path and at its end."""
    for step in found.steps:
        if isinstance(step.chosen.value, AliasNode):
            yield step.chosen.value


def _value_segments(document: Document, node: Node) -> list[Segment]:
    """Returns the printed pieces of a scalar's text in the document."""
    target = target_of(node)
    if not isinstance(target, ScalarNode):
        return []
    start = _document_offset(document, target.origin)
    if start is None:
        return []
    end = start + len(target.value) + (0 if target.is_plain else 2)
    for _ in range(target.value.count("\n")):
        end = max(end, document.text.find("\n", end))
    return [s for s in document.segments if s.start < end and s.end > start and not s.piece.is_literal]


def _document_offset(document: Document, origin: Origin) -> int | None:
    """Returns the offset in the document at which the text from an origin begins, or None."""
    for segment in document.segments:
        piece = segment.piece
        if piece.origin is origin:
            return segment.start
        span, inside = piece.origin.span, origin.span
        is_same_way = piece.origin.via == origin.via and span.source is inside.source
        if piece.is_literal and is_same_way and span.start <= inside.start < span.end:
            return segment.start + inside.start - span.start
    return None
