"""A file to its marks: every name in it that means something, with its place.

They are read from the syntax tree and from the YAML between statements, so that broken texts have marks too.
"""

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

from msgspec import Struct

from fgc.patterns import regex
from fgc.syntax import ast, parse_tag
from fgc.text import Source, Span


class MarkKind(Enum):
    """The kinds of names."""

    BLOCK = "block"
    TEMPLATE = "template"
    MACRO = "macro"
    VARIABLE = "variable"
    ATTRIBUTE = "attribute"  # `ns.lr`
    ANCHOR = "anchor"
    CALLABLE = "callable"
    OBJECT = "object"  # `@name` behind a callable
    SUPER = "super"  # `super()`, by the name of its block
    FILTER = "filter"
    TEST = "test"


class Mark(Struct, frozen=True):
    """A name and its place. `part` is the template of the file in which it stands; `whole` its statement or tag."""

    kind: MarkKind
    name: str
    span: Span
    is_definition: bool
    part: str
    whole: Span


_YAML = regex(
    r"""(?<![^\s\[{,:])"(?:[^"\\\n]|\\.)*"|(?<![^\s\[{,:])'(?:[^'\n]|'')*'|(?<!\S)\#[^\n]*"""
    r"""|(?<![^\s\[{,])&(?P<anchor>[^\s\[\]{},]+)|(?<![^\s\[{,])\*(?P<alias>[^\s\[\]{},]+)"""
    r"""|(?<![^\s\[{,])(?P<tag>![A-Za-z][^\s\[\]{},]*)"""
)
_END = regex(r"\s*+(?:--|<<|\{%)?[-+]?\s*+(?P<word>end[a-z]+(?:[ \t]+[\w.-]+)?)")
_END_OF_BLOCK = regex(r"\bendblock[ \t]+(?P<name>\w+)\Z")
_MACRO_NAME = regex(r"\bmacro\s+(\w+)")
_IMPORT_NAME = regex(r"\bas\s+(\w+)")


def marks_of(file: ast.ParsedFile) -> list[Mark]:
    """Returns all marks of a file in the order of their places."""
    found: list[Mark] = []
    for template in (file.main, *file.parts):
        part = "" if template is file.main else template.name
        if template.name_span is not None:
            found.append(Mark(MarkKind.TEMPLATE, part, template.name_span, True, part, template.name_span))
        found += _Reader(part).body(template.body, None)
    return sorted(found, key=lambda mark: (mark.span.start, mark.span.end))


def extent(statement: ast.Statement) -> Span:
    """Returns a statement with all that stands in it, and the statement that ends it."""
    bodies = [getattr(statement, "body", ()), getattr(statement, "otherwise", ())]
    bodies += [body for _, body in getattr(statement, "branches", ())]
    source, start = statement.span.source, statement.span.start
    end = max([statement.span.end, *(extent(inner).end for body in bodies for inner in body)])
    closing = _END.match(source.text, end)
    is_closed = closing is not None and any(bodies) and not source.text.startswith("[", start)
    end = closing.end("word") if is_closed and closing is not None else end
    return Span(source, start, end)


def mark_at(marks: list[Mark], offset: int) -> Mark | None:
    """Returns the shortest mark at an offset; the end of a name belongs to it."""
    covering = [mark for mark in marks if mark.span.start <= offset <= mark.span.end]
    return min(covering, key=lambda mark: mark.span.end - mark.span.start, default=None)


def block_ended_at(marks: list[Mark], offset: int) -> Mark | None:
    """Returns the block whose name stands at an offset behind its `endblock`."""
    for mark in marks:
        end = None if mark.kind is not MarkKind.BLOCK else end_name(mark)
        if end is not None and end.start <= offset <= end.end:
            return mark
    return None


def end_name(mark: Mark) -> Span | None:
    """Returns the place of a block's name behind its `endblock`."""
    match = _END_OF_BLOCK.search(mark.whole.text)
    is_own = match is not None and match["name"] == mark.name
    return mark.whole.at(*match.span("name")) if match is not None and is_own else None


def mark_near(marks: list[Mark], offset: int) -> Mark | None:
    """Returns the name that a place is about: in the same tag, header, alias or statement of one line.

    Of a statement that is what it sets or names; the name that is written first, if there are several.
    """
    near = [mark for mark in marks if mark.whole.start <= offset <= mark.whole.start + _first_line(mark)]
    return min(near, key=lambda mark: (_first_line(mark), not mark.is_definition, mark.span.start), default=None)


def _first_line(mark: Mark) -> int:
    text = mark.whole.text
    return len(text) if "\n" not in text else text.index("\n")


class _Reader:
    """Reads the statements of one template."""

    def __init__(self, part: str) -> None:
        self._part = part
        self._targets: set[int] = set()  # names that a statement assigns

    def body(self, body: tuple[ast.Statement, ...], block: ast.Block | None) -> Iterator[Mark]:
        for statement in body:
            yield from self._statement(statement, block)

    def _statement(self, statement: ast.Statement, block: ast.Block | None) -> Iterator[Mark]:
        match statement:
            case ast.Text():
                yield from self._text(statement)
                return
            case ast.Block():
                yield self._mark(MarkKind.BLOCK, statement.name, statement.name_span, True, extent(statement))
                yield from self.body(statement.body, statement)
                return
            case ast.Extends(parent=named) | ast.Include(template=named) | ast.FromImport(template=named):
                yield from self._templates(named, statement.span)
            case ast.Import():
                yield from self._templates(statement.template, statement.span)
                yield from self._written(_IMPORT_NAME, statement.span, MarkKind.VARIABLE, statement.name)
            case ast.Macro():
                yield from self._written(_MACRO_NAME, statement.span, MarkKind.MACRO, statement.name)
            case ast.Set(target=target) | ast.SetBlock(target=target) | ast.For(target=target):
                self._targets |= {id(name) for name in _names_in(target)}
            case ast.With(bindings=bindings):
                self._targets |= {id(name) for target, _ in bindings for name in _names_in(target)}
            case _:
                pass
        yield from self._parts(statement, block, statement.span)

    def _parts(self, node: Any, block: ast.Block | None, whole: Span) -> Iterator[Mark]:
        """Yields the marks of what a statement is made of; expressions may be deeper than Python's stack."""
        stack = _fields(node)[::-1]
        while stack:
            value = stack.pop()
            if isinstance(value, Mark):
                yield value
            elif isinstance(value, tuple):
                stack += value[::-1]
            elif isinstance(value, ast.Statement):
                yield from self._statement(value, block)
            elif isinstance(value, Struct) and not isinstance(value, Span | Source):
                stack += [*self._expression(value, block, whole)][::-1]

    def _expression(self, node: Struct, block: ast.Block | None, whole: Span) -> Iterator[Any]:
        """Yields the mark of an expression, and the parts that are still to be read, in written order."""
        match node:
            case (
                ast.CallExpr(callee=ast.Name(name="super", span=span), span=call)
                | ast.CallExpr(callee=ast.GetAttr(base=ast.Name(name="super", span=span)), span=call)
            ) if block is not None:  # `super()`, and `super.super()`
                yield self._mark(MarkKind.SUPER, block.name, span, False, call)
                return
            case ast.Name(name=name, span=span):
                yield self._mark(MarkKind.VARIABLE, name, span, id(node) in self._targets, whole)
            case ast.NamespaceTarget(namespace=namespace, attribute=attribute, attribute_span=span):
                yield self._mark(MarkKind.ATTRIBUTE, f"{namespace}.{attribute}", span, True, whole)
            case ast.GetAttr(base=ast.Name(name=name), name=attribute, name_span=span):
                yield self._mark(MarkKind.ATTRIBUTE, f"{name}.{attribute}", span, False, whole)
            case ast.Filter(name=name, name_span=span):
                yield self._mark(MarkKind.FILTER, name, span, False, whole)
            case ast.TestExpr(test=ast.Filter(name=name, name_span=span, arguments=arguments), base=base):
                yield base
                yield self._mark(MarkKind.TEST, name, span, False, whole)
                yield arguments
                return
            case ast.Parameter(name=name, span=span):
                start = span.at(0, min(len(name), span.end - span.start))
                yield self._mark(MarkKind.VARIABLE, name, start, True, whole)
            case ast.ImportedName(name=name, span=span):
                yield self._mark(MarkKind.MACRO, name, span.at(0, min(len(name), span.end - span.start)), False, whole)
            case _:
                pass
        yield from _fields(node)

    def _templates(self, named: ast.Expr, whole: Span) -> Iterator[Mark]:
        """Yields the names of templates that an expression may give."""
        match named:
            case ast.Const(value=str(name), span=span):
                inside = span.at(1, span.end - span.start - 1)
                exact = inside if inside.text == name else span
                yield self._mark(MarkKind.TEMPLATE, name, exact, False, whole)
            case ast.Conditional(then=then, otherwise=otherwise):
                yield from self._templates(then, whole)
                if otherwise is not None:
                    yield from self._templates(otherwise, whole)
            case ast.ListExpr(items=items) | ast.TupleExpr(items=items):
                for item in items:
                    yield from self._templates(item, whole)
            case _:
                pass

    def _written(self, pattern: re.Pattern[str], whole: Span, kind: MarkKind, name: str) -> Iterator[Mark]:
        """Yields the definition of a name whose place the syntax tree does not hold."""
        match = pattern.search(whole.source.text, whole.start, whole.end)
        if match is not None and match[1] == name:
            yield self._mark(kind, name, Span(whole.source, *match.span(1)), True, whole)

    def _text(self, text: ast.Text) -> Iterator[Mark]:
        for run in text.runs:
            if run.is_literal:
                yield from self._yaml(run)

    def _yaml(self, run: ast.Run) -> Iterator[Mark]:
        for match in _YAML.finditer(run.text):
            whole = run.span.at(*match.span())
            if match["anchor"]:
                yield self._mark(MarkKind.ANCHOR, match["anchor"], run.span.at(*match.span("anchor")), True, whole)
            elif match["alias"]:
                yield self._mark(MarkKind.ANCHOR, match["alias"], run.span.at(*match.span("alias")), False, whole)
            elif match["tag"]:
                yield from self._tag(match["tag"], run.span.at(*match.span("tag")))

    def _tag(self, text: str, whole: Span) -> Iterator[Mark]:
        tag = parse_tag(text)
        if tag is None:
            return
        if tag.callable:
            end = tag.callable_start + len(tag.callable)
            yield self._mark(MarkKind.CALLABLE, tag.callable, whole.at(tag.callable_start, end), False, whole)
        if tag.name is not None:
            span = whole.at(tag.name_start, tag.name_start + len(tag.name))
            yield self._mark(MarkKind.OBJECT, tag.name, span, True, whole)

    def _mark(self, kind: MarkKind, name: str, span: Span, is_definition: bool, whole: Span) -> Mark:
        return Mark(kind, name, span, is_definition, self._part, whole)


def _fields(node: Struct) -> list[Any]:
    return [getattr(node, name) for name in node.__struct_fields__]


def _names_in(target: ast.Target) -> Iterator[ast.Name]:
    """Yields the plain names that a target assigns."""
    match target:
        case ast.Name():
            yield target
        case ast.TargetTuple(items=items):
            for item in items:
                yield from _names_in(item)
        case ast.NamespaceTarget():
            pass
