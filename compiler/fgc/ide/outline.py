"""The shape of a file: symbols, what folds, what a selection grows to, links to other files."""

import re
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from msgspec import Struct

from fgc.ide.editor import Editor
from fgc.ide.marks import MarkKind, extent
from fgc.ide.navigation import file_of, template_of
from fgc.patterns import regex
from fgc.syntax import ast
from fgc.text import Source, Span

SymbolKind: TypeAlias = Literal["template", "block", "macro", "key", "anchor", "variable"]
_KEY = regex(r"(?<![\w.-])(?P<key>[A-Za-z_][\w.-]*):(?=\s|\Z)")


class FileSymbol(Struct, frozen=True):
    """A named part of a file: `whole` is all of it, `span` its name."""

    name: str
    kind: SymbolKind
    span: Span
    whole: Span
    children: "tuple[FileSymbol, ...]" = ()


def symbols(editor: Editor, path: str) -> list[FileSymbol]:
    """Returns the outline of a file: its inline templates, blocks, macros, keys at the margin, and anchors."""
    file = editor.families.file(path)
    found = [*_of_body(file.main.body)]
    for part in file.parts:
        children = tuple(_of_body(part.body))
        span = part.name_span or Span(file.main.source, 0, 0)
        end = max([span.end, *(child.whole.end for child in children)])
        found.append(FileSymbol(part.name, "template", span, Span(span.source, span.start, end), children))
    return found


def workspace_symbols(editor: Editor, query: str) -> list[FileSymbol]:
    """Returns the blocks, macros and anchors of all templates whose names hold the letters of a query in order."""
    kinds: dict[MarkKind, SymbolKind] = {
        MarkKind.BLOCK: "block",
        MarkKind.MACRO: "macro",
        MarkKind.ANCHOR: "anchor",
        MarkKind.TEMPLATE: "template",
    }
    pattern = re.compile(".*".join(map(re.escape, query)), re.IGNORECASE)
    families = editor.families
    files = families.sources(families.closure(config) for config in families.configurations())
    marks = (mark for file in files for mark in families.marks(file) if mark.is_definition and mark.kind in kinds)
    return [FileSymbol(m.name, kinds[m.kind], m.span, m.span) for m in marks if pattern.search(m.name)]


def foldings(editor: Editor, path: str) -> list[tuple[int, int]]:
    """Returns the ranges of lines, from 1, that can be folded: statements with a body, comments, indented YAML."""
    file = editor.families.file(path)
    source = file.main.source
    found = {*_indented(source), *_comments(source)}
    for template in (file.main, *file.parts):
        for span in _bodies(template.body):
            found.add((span.first.line, span.last.line - (1 if span.last.column == 1 else 0)))
    return sorted((first, last) for first, last in found if last > first)


def selections(editor: Editor, path: str, offset: int) -> list[Span]:
    """Returns what a selection grows to, the shortest first: the name, statement, line, blocks, the file."""
    file = editor.families.file(path)
    source = file.main.source
    number = source.position(offset).line
    start = source.line_starts[number - 1]
    line = Span(source, start, start + len(source.line(number)))
    spans = [span for m in editor.families.marks(path) for span in (m.span, m.whole)]
    spans += [span for template in (file.main, *file.parts) for span in _bodies(template.body)]
    around = {(s.start, s.end) for s in (*spans, line) if s.start <= offset <= s.end} | {(0, len(source.text))}
    chain: list[Span] = []
    for begin, end in sorted(around, key=lambda place: place[1] - place[0]):
        if not chain or (begin <= chain[-1].start and chain[-1].end <= end):
            chain.append(Span(source, begin, end))
    return chain


def links(editor: Editor, path: str) -> Iterator[tuple[Span, str]]:
    """Yields the names of templates in a file with the paths of their files."""
    for mark in editor.families.marks(path):
        if mark.kind is MarkKind.TEMPLATE and not mark.is_definition:
            for template in template_of(editor, path, mark):
                if template.path != path:
                    yield mark.span, template.path
                    break


def _of_body(body: Iterable[ast.Statement]) -> Iterator[FileSymbol]:
    for statement in body:
        match statement:
            case ast.Block():
                children = tuple(_of_body(statement.body))
                yield FileSymbol(statement.name, "block", statement.name_span, extent(statement), children)
            case ast.Macro() if statement.name:
                yield FileSymbol(statement.name, "macro", statement.span, statement.span)
            case ast.Text():
                yield from _keys(statement)
            case ast.If(branches=branches, otherwise=otherwise):
                for _, inside in branches:
                    yield from _of_body(inside)
                yield from _of_body(otherwise)
            case ast.For(body=inside) | ast.With(body=inside):
                yield from _of_body(inside)
            case _:
                pass


def _keys(text: ast.Text) -> Iterator[FileSymbol]:
    """Yields the keys at the margin."""
    for run in text.runs if text.runs else ():
        if not run.is_literal:
            continue
        source = run.span.source
        for match in _KEY.finditer(run.text):
            start = run.span.start + match.start()
            if start == 0 or source.text[start - 1] == "\n":
                yield FileSymbol(match["key"], "key", *(run.span.at(*match.span("key")),) * 2)


def _bodies(body: Iterable[ast.Statement]) -> Iterator[Span]:
    for statement in body:
        inner = getattr(statement, "body", None)
        if isinstance(statement, ast.If):
            yield extent(statement)
            for _, inside in statement.branches:
                yield from _bodies(inside)
            yield from _bodies(statement.otherwise)
        elif inner is not None:
            yield extent(statement)
            yield from _bodies(inner)


def _comments(source: Source) -> Iterator[tuple[int, int]]:
    """Yields runs of comment lines."""
    lines = source.text.split("\n")
    start = 0
    for number, line in enumerate([*lines, ""], start=1):
        if line.lstrip().startswith("#"):
            start = start or number
        elif start:
            yield start, number - 1
            start = 0


def _indented(source: Source) -> Iterator[tuple[int, int]]:
    """Yields each line that ends in a colon or holds a tag, with the deeper lines below it."""
    lines = source.text.split("\n")
    open_lines: list[tuple[int, int]] = []
    last = 0
    for number, line in enumerate([*lines, "-"], start=1):
        if not line.strip():
            continue
        depth = len(line) - len(line.lstrip())
        while open_lines and open_lines[-1][0] >= depth:
            _, first = open_lines.pop()
            yield first, last
        open_lines.append((depth, number))
        last = number


def place_text(span: Span) -> str:
    """Returns a place in a few letters: `causal_lm.yaml:41`."""
    return f"{file_of(span).rpartition('/')[2]}:{span.first.line}"
