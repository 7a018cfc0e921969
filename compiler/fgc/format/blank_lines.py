"""Blank lines that no document shows: what a child template writes at its top level after `extends` is dropped.

Of several of them one is kept; at the end of a file, none.
"""

from collections.abc import Iterable, Iterator, Sequence

from fgc.format.codes import PlacedCode
from fgc.format.lines import Line, LineKind
from fgc.syntax import ast


def dropped_blank_lines(file: ast.ParsedFile, lines: Sequence[Line], codes: Iterable[PlacedCode]) -> list[Line]:
    """The blank lines to leave out."""
    kept = _kept_characters(file, codes)
    children = _child_ranges(file, lines)
    last = max((index for index, line in enumerate(lines) if line.kind is not LineKind.BLANK), default=-1)
    found: list[Line] = []
    for index, line in enumerate(lines):
        is_in_child = any(start <= line.start < end for start, end in children)
        if (
            line.kind is not LineKind.BLANK
            or not is_in_child
            or not kept.isdisjoint(range(line.start - 1, line.end + 1))
        ):
            continue
        if index > last or lines[index - 1].kind is LineKind.BLANK:
            found.append(line)
    return found


def _child_ranges(file: ast.ParsedFile, lines: Sequence[Line]) -> list[tuple[int, int]]:
    """From each `extends` at the top level of a template to the end of that template."""
    markers = [line.start for line in lines if line.kind is LineKind.MARKER]
    ranges: list[tuple[int, int]] = []
    for template in (file.main, *file.parts):
        extends = next((item for item in template.body if isinstance(item, ast.Extends)), None)
        if extends is not None:
            end = next((start for start in markers if start > extends.span.start), len(file.main.source.text) + 1)
            ranges.append((extends.span.end, end))
    return ranges


def _kept_characters(file: ast.ParsedFile, codes: Iterable[PlacedCode]) -> set[int]:
    """Offsets of what a document may show, and of what stands inside a statement."""
    found = {offset for code in codes for offset in range(code.start, code.closing)}
    for template in (file.main, *file.parts):
        is_child = False
        for statement in template.body:
            is_child = is_child or isinstance(statement, ast.Extends)
            if not (is_child and isinstance(statement, ast.Text)):
                found.update(_characters(statement))
    return found


def _characters(statement: ast.Statement) -> Iterator[int]:
    for text in _texts(statement):
        for run in text.runs:
            if run.is_literal:
                yield from range(run.span.start, run.span.end)


def _texts(statement: ast.Statement) -> Iterator[ast.Text]:
    """All text in a statement, at any depth."""
    match statement:
        case ast.Text():
            yield statement
        case ast.If():
            bodies = (*(body for _, body in statement.branches), statement.otherwise)
        case ast.For():
            bodies = (statement.body, statement.otherwise)
        case _:
            bodies = (getattr(statement, "body", ()),)
    if not isinstance(statement, ast.Text):
        for body in bodies:
            for inner in body:
                yield from _texts(inner)
