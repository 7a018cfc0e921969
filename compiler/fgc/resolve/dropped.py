"""Finds text outside of blocks after `extends`, which is discarded (FGC217).

It is found in the syntax tree, after an `extends` that always runs. YAML comments are not reported.
"""

from collections.abc import Iterable, Iterator

from fgc.diagnostics import Diagnostic, Related, Severity
from fgc.patterns import regex
from fgc.syntax import ast
from fgc.text import Span

_LINE = regex(r"(?m)^[^\S\n]*+([^\s#](?:.*\S)?)[^\S\n]*$")  # neither blank nor a comment


def check_dropped(templates: Iterable[ast.Template]) -> Iterator[Diagnostic]:
    """Yields a finding for each stretch of text; blocks, assignments and imports separate stretches."""
    for template in templates:
        extends = next((statement for statement in template.body if isinstance(statement, ast.Extends)), None)
        if extends is None or template.is_partial:
            continue  # an unreadable part may have been a block
        behind = template.body[template.body.index(extends) + 1 :]
        for span in _stretches(behind):
            yield _finding(span, extends)


def _stretches(body: Iterable[ast.Statement]) -> Iterator[Span]:
    """Yields where each stretch begins, to the end of its line or statement."""
    is_inside = False
    for statement in body:
        found = _first(statement)
        if found is not None and not is_inside:
            yield found
        is_inside = found is not None or (is_inside and isinstance(statement, ast.Text))


def _first(statement: ast.Statement) -> Span | None:
    """Returns the first text that a statement would write."""
    match statement:
        case ast.Text():
            return _line(statement)
        case ast.Print():
            return statement.value.span
        case ast.If():
            bodies = [*(body for _, body in statement.branches), statement.otherwise]
        case ast.For():
            bodies = [statement.body, statement.otherwise]
        case ast.With() | ast.FilterBlock() | ast.Autoescape():
            bodies = [statement.body]
        case _:
            return None
    return next((span for body in bodies for span in _stretches(body)), None)


def _line(text: ast.Text) -> Span | None:
    for run in text.runs:
        if run.is_literal and (line := _LINE.search(run.text)) is not None:
            return run.span.at(*line.span(1))
    return None


def _finding(span: Span, extends: ast.Extends) -> Diagnostic:
    related = Related(extends.parent.span, "after this, only blocks are used")
    help = "write it into a block of a parent: below its header, such as `[name]`"
    message = "this text is in no block, and reaches no document"
    return Diagnostic("FGC217", message, span, Severity.WARNING, help, (related,))
