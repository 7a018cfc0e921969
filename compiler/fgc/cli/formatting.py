"""Files and folders to formatted files: which are read, how one is replaced, and what is said about it."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from fgc.diagnostics import Diagnostic
from fgc.format import format_source
from fgc.reading import read_bytes
from fgc.text import TEMPLATE_SUFFIXES, Source, Span
from fgc.workspace import display_path, read_source


class FormattedFile(Struct, frozen=True):
    """A file's text before and after, line ends included; `diagnostics` say why it stays as it is."""

    path: Path
    before: str
    after: str
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def is_changed(self) -> bool:
        return self.before != self.after


def template_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Files as they are named, and the templates below folders, sorted; hidden folders are skipped."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for root, folders, files in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield from (Path(root) / name for name in sorted(files) if name.endswith(TEMPLATE_SUFFIXES))


def format_file(path: Path) -> FormattedFile:
    """Read and format a file."""
    source, problem = read_source(path, path.name)
    if problem is not None:
        return FormattedFile(path, "", "", (problem,))
    try:
        before = read_bytes(path).decode("utf-8-sig")
    except OSError as error:
        shown = display_path(path)
        message = f"`{shown}` cannot be read: {error.strerror or error}"
        return FormattedFile(path, "", "", (Diagnostic("FGC001", message, Span(source, 0, 0)),))
    return _format(path, before, source)


def format_text(text: str) -> FormattedFile:
    """Format a text that is no file."""
    path = Path("<stdin>")
    return _format(path, text, Source(path.name, text.replace("\r\n", "\n").replace("\r", "\n"), str(path)))


def _format(path: Path, before: str, source: Source) -> FormattedFile:
    outcome = format_source(source)
    if outcome.diagnostics:
        return FormattedFile(path, before, before, outcome.diagnostics)
    return FormattedFile(path, before, outcome.value.replace("\n", _line_end(before)))


def _line_end(text: str) -> str:
    """The line end of a text; `\\n` if it has several."""
    found = {end for end in ("\r\n", "\r", "\n") if end in text.replace("\r\n", "") or (end == "\r\n" and end in text)}
    return found.pop() if len(found) == 1 else "\n"


def replace_file(path: Path, text: str) -> None:
    """Write a file whole or not at all; its permissions stay, and a link goes on pointing at it. Raises OSError."""
    path = path.resolve()
    mode = path.stat().st_mode
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
