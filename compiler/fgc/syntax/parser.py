"""A source to its templates: line rules, delimiters, statements, nesting. One mistake hides no other."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from fgc.diagnostics import Diagnostic, Outcome
from fgc.syntax import ast
from fgc.syntax.complaints import syntax_error
from fgc.syntax.delimit import Code, Data, Part, delimit, span_of
from fgc.syntax.lines import Shadow, read_lines
from fgc.syntax.lr import Unexpected, run
from fgc.syntax.nodes import NodeBuilder
from fgc.syntax.recover import placeholder
from fgc.syntax.structure import Item, Nester
from fgc.syntax.tables import line_pattern, load
from fgc.text import Source, Span

_PART_MARKER = line_pattern("PART_MARKER")


def parse(source: Source, *, splits: bool = True) -> Outcome[ast.ParsedFile]:
    """Parse a file. `splits`: whether `#---- name ----` lines cut it into inline templates."""
    diagnostics: list[Diagnostic] = []
    markers = list(_PART_MARKER.finditer(source.text)) if splits else []
    ends = [marker.start() for marker in markers] + [len(source.text)]
    main = _parse_part(source, source.name, 0, ends[0], None, diagnostics)
    parts = []
    for marker, end in zip(markers, ends[1:], strict=True):
        name_span = Span(source, *marker.span("name"))
        parts.append(_parse_part(source, marker["name"], marker.end(), end, name_span, diagnostics))
    return Outcome(ast.ParsedFile(main, tuple(parts)), tuple(diagnostics))


def _parse_part(
    source: Source, name: str, start: int, end: int, name_span: Span | None, diagnostics: list[Diagnostic]
) -> ast.Template:
    shadow, line_findings = read_lines(source, start, end)
    parts, delimiter_findings = delimit(shadow, partial(fits, shadow))
    nester = Nester()
    items = list(_items(shadow, parts, diagnostics))
    body = nester.nest(items)
    diagnostics += [*line_findings, *delimiter_findings, *nester.diagnostics]
    return ast.Template(name, source, body, nester.blocks, name_span)


def fits(shadow: Shadow, code: Code) -> bool:
    """Returns True if the grammar takes a statement or print."""
    try:
        run(load("template"), _start(code), code.tokens, NodeBuilder(shadow).table, code.end)
    except Unexpected:
        return False
    return True


def _start(code: Code) -> str:
    return "tuple" if code.is_print else "statement"


def _items(shadow: Shadow, parts: list[Part], diagnostics: list[Diagnostic]) -> Iterator[Item]:
    builder = NodeBuilder(shadow)
    tables = load("template")
    for part in parts:
        if isinstance(part, Data):
            yield Item(part.text)
            continue
        span = span_of(shadow, part)
        try:
            value: Any = None if part.is_bad else run(tables, _start(part), part.tokens, builder.table, part.end)
        except Unexpected as unexpected:
            diagnostics.append(syntax_error(shadow, part, unexpected))
            value = None
        if value is None:
            value = ast.Invalid(span) if part.is_print else placeholder(part.tokens, span)
        if value is not None:
            diagnostics += builder.diagnostics
            builder.diagnostics.clear()
            yield Item(ast.Print(span, value) if part.is_print else value, part.header, part.closes)
