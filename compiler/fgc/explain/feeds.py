"""Finds what a printed value was computed from: variables, the statements that set them, arguments and defaults."""

from collections.abc import Iterator, Mapping
from enum import Enum

from jinja2.runtime import Undefined
from msgspec import Struct

from fgc.explain.instrument import walk
from fgc.explain.trace import Event, SiteKind, Trace
from fgc.syntax import ast
from fgc.text import Segment, Span

_MAX_DEPTH = 12  # a chain of sets longer than this explains nothing


class FeedKind(Enum):
    """How a variable got its value."""

    SET = "set"
    LOOP = "loop"
    PARAMETER = "argument"
    DEFAULT = "default"
    MISSING = "not given"
    GIVEN = "command line"
    SURROUNDINGS = "surroundings"


class Feed(Struct, frozen=True):
    """A variable that the value depends on, the place that set it, and the length of the chain to it."""

    name: str
    kind: FeedKind
    value: object
    span: Span | None
    depth: int


class FeedFinder:
    """Finds the variables behind a piece of the document. `given`: the variables of the command line."""

    def __init__(self, trace: Trace, given: Mapping[str, object]) -> None:
        self._trace = trace
        self._given = given
        self._seen: set[tuple[int, str]] = set()

    def feeds(self, segment: Segment) -> Iterator[Feed]:
        """Yields variables, nearest first, each followed by its own; inside a macro also the arguments of its call."""
        origin = segment.piece.origin
        for span in (origin.span, *origin.via):
            event = self._event_of(segment, span)
            if event is not None:
                yield from self._of_event(event, 0)

    def feeds_at(self, span: Span) -> Iterator[Feed]:
        """Yields the same for the last print at a place."""
        at_place = [event for event in self._trace.events if _covers(event.site.expr.span, span)]
        printing = [event for event in at_place if event.site.kind is SiteKind.PRINT]
        if printing:
            yield from self._of_event(printing[-1], 0)

    def _event_of(self, segment: Segment, span: Span) -> Event | None:
        """Returns the evaluation that made a piece: the last one at its place with its text, or else at its place."""
        at_place = [event for event in self._trace.events if _covers(event.site.expr.span, span)]
        printing = [event for event in at_place if event.site.kind is SiteKind.PRINT]
        same_text = [event for event in printing if str(event.value) == segment.piece.text]
        return next((found[-1] for found in (same_text, printing, at_place) if found), None)

    def _of_event(self, event: Event, depth: int) -> Iterator[Feed]:
        if depth > _MAX_DEPTH:
            return
        for reference in _references(event.site.expr):
            key = (event.number, reference.name)
            if key not in self._seen:
                self._seen.add(key)
                yield from self._of_reference(reference, event, depth)

    def _of_reference(self, reference: "_Reference", event: Event, depth: int) -> Iterator[Feed]:
        value = _read(event.names.get(reference.base), reference.attribute)
        is_missing = isinstance(value, Undefined)
        source = None if is_missing else self._source(reference, value, event)
        if source is not None:
            kind = _KINDS[source.site.kind]
            yield Feed(reference.name, kind, value, source.site.span, depth)
            yield from self._of_event(source, depth + 1)
        elif is_missing:
            default = reference.default
            kind = FeedKind.MISSING if default is None else FeedKind.DEFAULT
            yield Feed(reference.name, kind, None, default.span if default is not None else None, depth)
        elif reference.base in self._given:
            yield Feed(reference.name, FeedKind.GIVEN, value, None, depth)
        elif isinstance(value, _DATA):
            yield Feed(reference.name, FeedKind.SURROUNDINGS, value, None, depth)

    def _source(self, reference: "_Reference", value: object, event: Event) -> Event | None:
        """Returns the assignment that a reference reads: the last one before it, preferably of the same object."""
        for name in dict.fromkeys((reference.name, reference.base)):
            found = [e for e in self._trace.events[: event.number] if name in e.site.targets]
            same = [e for e in found if e.value is value]
            if same or found:
                return (same or found)[-1]
        return None


class _Reference(Struct, frozen=True):
    """A name, or an attribute of one, in an expression; `default` is the filter that replaces it if undefined."""

    base: str
    attribute: str | None
    default: ast.Filter | None

    @property
    def name(self) -> str:
        return self.base if self.attribute is None else f"{self.base}.{self.attribute}"


def _references(expr: ast.Expr) -> list[_Reference]:
    """Returns the variables that an expression reads, in written order, without names of called functions."""
    nodes = list(walk(expr))
    defaults = {id(n.base): n.filter for n in nodes if isinstance(n, ast.FilterExpr) and n.filter.name in _DEFAULTS}
    callees = {id(node.callee) for node in nodes if isinstance(node, ast.CallExpr)}
    inside = {id(node.base) for node in nodes if isinstance(node, ast.GetAttr) and id(node) not in callees}
    found: dict[str, _Reference] = {}
    for node in nodes:
        if id(node) in callees:
            continue
        if isinstance(node, ast.GetAttr) and isinstance(node.base, ast.Name):
            reference = _Reference(node.base.name, node.name, defaults.get(id(node)))
        elif isinstance(node, ast.Name) and id(node) not in inside:
            reference = _Reference(node.name, None, defaults.get(id(node)))
        else:
            continue
        found.setdefault(reference.name, reference)
    return list(found.values())


_KINDS = {SiteKind.SET: FeedKind.SET, SiteKind.LOOP: FeedKind.LOOP, SiteKind.PARAMETER: FeedKind.PARAMETER}
_DEFAULTS = ("default", "d", "toyaml")
_DATA = (str, bool, int, float, list, tuple, dict)  # values worth showing, unlike functions and imported templates


def _read(value: object, attribute: str | None) -> object:
    """Returns an attribute of a namespace or a mapping; the value itself if `attribute` is None."""
    if attribute is None or value is None:
        return value
    return value.get(attribute, Undefined(name=attribute)) if isinstance(value, Mapping) else value


def _covers(outer: Span, inner: Span) -> bool:
    return outer.source is inner.source and outer.start <= inner.start and inner.end <= outer.end
