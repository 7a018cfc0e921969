"""A source to its templates: line rules, delimiters, statements, nesting. One mistake hides no other."""

from collections.abc import Iterator

from fgc.diagnostics import Diagnostic, Outcome, did_you_mean
from fgc.syntax import ast
from fgc.syntax.delimit import Code, Data, Part, delimit, span_of
from fgc.syntax.lines import Shadow, read_lines
from fgc.syntax.lr import Unexpected, run
from fgc.syntax.nodes import NodeBuilder
from fgc.syntax.recover import placeholder
from fgc.syntax.structure import Item, Nester
from fgc.syntax.tables import line_pattern, load
from fgc.syntax.tokens import Token
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
    parts, delimiter_findings = delimit(shadow)
    nester = Nester()
    items = list(_items(shadow, parts, diagnostics))
    body = nester.nest(items)
    diagnostics += [*line_findings, *delimiter_findings, *nester.diagnostics]
    return ast.Template(name, source, body, nester.blocks, name_span)


def _items(shadow: Shadow, parts: list[Part], diagnostics: list[Diagnostic]) -> Iterator[Item]:
    builder = NodeBuilder(shadow)
    tables = load("template")
    for part in parts:
        if isinstance(part, Data):
            yield Item(part.text)
            continue
        span = span_of(shadow, part)
        start = "tuple" if part.is_print else "statement"
        try:
            value = run(tables, start, part.tokens, builder.table, part.end)
        except Unexpected as unexpected:
            diagnostics.append(_syntax_error(shadow, part, unexpected))
            value = ast.Invalid(span) if part.is_print else placeholder(part.tokens, span)
        if value is not None:
            yield Item(ast.Print(span, value) if part.is_print else value, part.header, part.closes)


def _syntax_error(shadow: Shadow, code: Code, unexpected: Unexpected) -> Diagnostic:
    if not code.tokens:
        what = "print" if code.is_print else "statement"
        return Diagnostic("FGC108", f"this {what} is empty", span_of(shadow, code))
    token = unexpected.token
    if token is not None and token is code.tokens[0] and not code.is_print:
        return _unknown_statement(shadow, token)
    if token is None:
        last = code.tokens[-1]
        span = shadow.span(last.end - 1, last.end)
        at_end = Span(span.source, span.end, span.end)
        return Diagnostic("FGC101", f"{_expectation(unexpected.expected)} after `{last.text}`", at_end)
    help = None
    if token.text == "=" and "__ANON_0" in unexpected.expected:
        help = "to compare, write `==`"
    span = shadow.span(token.start, token.end)
    return Diagnostic("FGC101", f"unexpected `{span.text or token.text}`", span, help=help)


def _unknown_statement(shadow: Shadow, token: Token) -> Diagnostic:
    literals = load("template").literals
    start = load("template").states[load("template").starts["statement"]]
    keywords = [*(text for text, name in literals.items() if name in start), "raw"]
    help = did_you_mean(token.text, keywords)
    if token.text in ("do", "break", "continue"):
        help = f"the language has no `{token.text}`; to set a value use `set`"
    if token.text == ":" and shadow.source.text[: shadow.offset(token.start)].rstrip().endswith("<<"):
        help = "`<< ` begins a statement; a YAML merge key is written without the space: `<<: *name`"
    message = f"unknown statement `{token.text}`"
    return Diagnostic("FGC102", message, shadow.span(token.start, token.end), help=help)


def _expectation(expected: tuple[str, ...]) -> str:
    """What is missing, in words: a closing bracket or keyword if it is the only way on, else an expression."""
    names = {name: text for text, name in load("template").literals.items()}
    closing = [name for name in ("RPAR", "RSQB", "RBRACE", "IN", "EQUAL", "AS", "IMPORT") if name in expected]
    if "NAME" in expected and "STRING" in expected:
        return "an expression is missing"
    if len(closing) == 1 and closing[0] in names:
        return f"`{names[closing[0]]}` is missing"
    if "NAME" in expected:
        return "a name is missing"
    return "something is missing"
