"""Places on a command line to the answers of `fgc.ide`, as data."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fgc import ide
from fgc.cli.arguments import CannotRun
from fgc.cli.tracing import Asked
from fgc.diagnostics import did_you_mean
from fgc.text import Span
from fgc.workspace import display_path
from fgc.workspace.project import WORKSPACE_FOLDER


def answers_to(question: str, place: str, root: str | None) -> list[dict[str, Any]]:
    """Returns the answers to a question about a place. Raises CannotRun for a place that does not exist."""
    asked = _place(place)
    folder = Path(root) if root is not None else _root(asked.file)
    if not folder.is_dir():
        raise CannotRun(f"`{root}` is not a folder")
    editor = ide.Editor([folder])
    name = str(asked.file.absolute())
    if question == "symbols":
        return [*_symbols(ide.symbols(editor, name))]
    offset = _offset(editor, name, asked.line, asked.column)
    match question:
        case "hover":
            found = ide.hover(editor, name, offset)
            return [] if found is None else [{"text": found.markdown, **_at(found.span)}]
        case "definition":
            return [_at(span) for span in ide.definitions(editor, name, offset)]
        case "overrides":
            return [_at(span) for span in ide.implementations(editor, name, offset)]
        case "references":
            found_marks = ide.references(editor, name, offset)
            return [{**_at(m.span), "is_definition": m.is_definition} for m in found_marks]
        case _:
            items = ide.complete(editor, name, offset)
            return [{"name": item.label, "kind": item.kind, "detail": item.detail} for item in items]


def _symbols(found: Iterable[ide.FileSymbol]) -> Iterable[dict[str, Any]]:
    for symbol in found:
        yield {"name": symbol.name, "kind": symbol.kind, **_at(symbol.span)}
        yield from _symbols(symbol.children)


def _at(span: Span) -> dict[str, Any]:
    first, last = span.first, span.last
    place = {"line": first.line, "column": first.column, "end_line": last.line, "end_column": last.column}
    return {"path": display_path(Path(ide.file_of(span))), **place}


def _place(text: str) -> Asked:
    """Returns a file, and a line and a column from 1 where they are given. Raises CannotRun."""
    asked = Asked.of(text)
    if asked.file.is_dir():
        raise CannotRun(f"`{asked.file}` is a folder: name a file in it")
    if not asked.file.is_file():
        folder = asked.file.parent
        names = [str(file) for file in folder.iterdir()] if folder.is_dir() else []
        help = did_you_mean(str(asked.file), names)
        raise CannotRun(f"there is no file `{asked.file}`" + (f"; {help}" if help else ""))
    return asked


def _offset(editor: ide.Editor, path: str, line: int | None, column: int | None) -> int:
    source = editor.source(path)
    if line is None:
        raise CannotRun("name a place: FILE:LINE:COLUMN, both from 1")
    if not 1 <= line <= len(source.line_starts):
        raise CannotRun(f"`{display_path(Path(path))}` has {len(source.line_starts)} lines, and no line {line}")
    text = source.line(line)
    if not 1 <= (column or 1) <= len(text) + 1:
        raise CannotRun(f"line {line} has {len(text)} characters, and no column {column}")
    return source.line_starts[line - 1] + (column or 1) - 1


def _root(path: Path) -> Path:
    """Returns the outermost workspace around a file, or the file's own folder."""
    around = [folder for folder in path.absolute().parents if (folder / WORKSPACE_FOLDER).is_dir()]
    return around[-1] if around else path.absolute().parent
