"""A source to its templates: line rules, delimiters, statements, nesting. One mistake hides no other."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from fgc.diagnostics import Diagnostic, Outcome, has_errors
from fgc.syntax import ast
from fgc.syntax.delimit import Code, Data, Part, delimit, span_of
from fgc.syntax.lines import Shadow, read_lines
from fgc.syntax.lr import Unexpected, run
from fgc.syntax.nodes import NodeBuilder
from fgc.syntax.structure import Item, nest
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


def unreadable(source: Source) -> ast.ParsedFile:
    """Returns what a file that cannot be read is taken for: a template of which nothing is known."""
    span = Span(source, 0, 0)
    body = (ast.Include(span, ast.Invalid(span), False, True),)
    return ast.ParsedFile(ast.Template(source.name, source, body, {}, None, True, True))


def _parse_part(
    source: Source, name: str, start: int, end: int, name_span: Span | None, diagnostics: list[Diagnostic]
) -> ast.Template:
    shadow, line_findings = read_lines(source, start, end)
    parts, delimiter_findings = delimit(shadow, partial(fits, shadow))
    before = len(diagnostics)
    nested = nest(list(_items(shadow, parts, diagnostics)))
    diagnostics += [*line_findings, *delimiter_findings, *nested.diagnostics]
    is_partial = has_errors(diagnostics[before:])
    has_lost_blocks = nested.has_lost_blocks or has_errors((*line_findings, *delimiter_findings))
    return ast.Template(name, source, nested.body, nested.blocks, name_span, is_partial, has_lost_blocks)


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
            from fgc.syntax.complaints import syntax_error  # most statements fit the grammar

            diagnostics.append(syntax_error(shadow, part, unexpected))
            value = None
        if value is None:
            from fgc.syntax.recover import placeholder

            value = ast.Invalid(span) if part.is_print else placeholder(part.tokens, span)
        diagnostics += builder.diagnostics
        builder.diagnostics.clear()
        yield Item(ast.Print(span, value) if part.is_print else value, part.header, part.closes)
