"""Traces how text of a template got into the document: through blocks, extending templates and includes."""

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum

from msgspec import Struct

from fgc.explain.trace import SiteKind, Trace
from fgc.syntax import ast
from fgc.text import Origin, Span


class LinkKind(Enum):
    """The kinds of step on the way."""

    WRITTEN = "written in"
    KEPT = "kept by super() of"
    REDEFINES = "redefines"
    EXTENDS = "extends"
    INCLUDED = "included by"
    CALLED = "called by"


class Link(Struct, frozen=True):
    """One step of the way: its kind, the template and block, and the place."""

    kind: LinkKind
    template: str
    block: str | None
    span: Span


class Inheritance:
    """The templates of a configuration, and which of them extend and include which."""

    def __init__(self, files: Iterable[ast.ParsedFile], trace: Trace) -> None:
        self._templates = [template for file in files for template in (file.main, *file.parts)]
        self._names = {template.name: template for template in reversed(self._templates)}
        self._names |= {t.name: t for t in reversed(self._templates) if t.name_span is not None}
        self._parents: dict[str, tuple[str, Span]] = {}
        self._included: dict[tuple[str, int], str] = {}
        for event in trace.events:
            owner = self._owner(event.site.span)
            if event.site.kind is SiteKind.EXTENDS and owner is not None:
                self._parents[owner.name] = (str(event.value), event.site.span)
            elif event.site.kind is SiteKind.INCLUDE:
                self._included[event.site.span.source.display_name, event.site.span.start] = str(event.value)

    def links(self, origin: Origin) -> Iterator[Link]:
        """Yields the steps from the place itself outwards to the configuration."""
        entry = self._templates[0]
        span, block = origin.span, origin.block
        for via in (*origin.via, None):
            owner = self._owner(span)
            if owner is None:
                return
            included = self._included_by(via)
            leaf = included or (entry if via is None else owner)
            own = block if block in owner.blocks else None  # an included text is in a block of the including template
            yield from self._in_template(owner, own or _block_around(owner.body, span), span, leaf)
            if via is not None:
                kind = LinkKind.CALLED if included is None else LinkKind.INCLUDED
                yield Link(kind, leaf.name, None, via)
                span, block = via, None

    def _included_by(self, via: Span | None) -> ast.Template | None:
        """Returns the template that an include names; None for the call of a macro."""
        name = self._included.get((via.source.display_name, via.start)) if via is not None else None
        return self._names.get(name) if name is not None else None

    def _in_template(self, owner: ast.Template, block: str | None, span: Span, leaf: ast.Template) -> Iterator[Link]:
        chain = self._chain(leaf)
        at = chain.index(owner) if owner in chain else 0
        own = owner.blocks.get(block) if block is not None else None
        if own is not None:
            yield Link(LinkKind.WRITTEN, owner.name, block, own.name_span)
        else:
            yield Link(LinkKind.WRITTEN, owner.name, block, span)
        if owner not in chain or block is None:
            return
        for child in reversed(chain[:at]):
            if block in child.blocks:
                yield Link(LinkKind.KEPT, child.name, block, child.blocks[block].name_span)
        for parent in chain[at + 1 :]:
            if block in parent.blocks:
                yield Link(LinkKind.REDEFINES, parent.name, block, parent.blocks[block].name_span)
        for template in chain[:-1]:
            name, place = self._parents[template.name]
            yield Link(LinkKind.EXTENDS, name, None, place)

    def _chain(self, leaf: ast.Template) -> Sequence[ast.Template]:
        """Returns a template and its ancestors, child first."""
        chain = [leaf]
        while (found := self._parents.get(chain[-1].name)) is not None:
            parent = self._names.get(found[0])
            if parent is None or parent in chain:
                break
            chain.append(parent)
        return chain

    def _owner(self, span: Span) -> ast.Template | None:
        """Returns the template that contains a place: the last one that begins before it."""
        starts = [(t.name_span.end if t.name_span else 0, t) for t in self._templates if t.source is span.source]
        before = [(start, number) for number, (start, _) in enumerate(starts) if start <= span.start]
        return starts[max(before)[1]][1] if before else None


def _block_around(body: Iterable[ast.Statement], span: Span) -> str | None:
    """Returns the innermost block that contains a statement at a place."""
    for statement in body:
        if statement.span == span or any(_covers(part, span) for part in _expression_spans(statement)):
            return ""
        inner = _inner(statement)
        found = _block_around(inner, span) if inner else None
        if found is not None:
            return found or (statement.name if isinstance(statement, ast.Block) else "")
    return None


def _expression_spans(statement: ast.Statement) -> Iterator[Span]:
    for name in statement.__struct_fields__:
        value = getattr(statement, name)
        if isinstance(value, ast.Expr):
            yield value.span


def _covers(outer: Span, inner: Span) -> bool:
    return outer.source is inner.source and outer.start <= inner.start and inner.end <= outer.end


def _inner(statement: ast.Statement) -> tuple[ast.Statement, ...]:
    match statement:
        case ast.If():
            return (*(item for _, body in statement.branches for item in body), *statement.otherwise)
        case ast.For():
            return (*statement.body, *statement.otherwise)
        case _:
            body: tuple[ast.Statement, ...] = getattr(statement, "body", ())
            return body
