"""Findings to files without them: the exact replacements that their help lines name.

Each file is written once. Of edits that overlap, the first counts; a file outside of what was checked stays as it is.
"""

from argparse import Namespace
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from difflib import unified_diff
from pathlib import Path

from msgspec import Struct

from fgc.cli.formatting import replace_file
from fgc.diagnostics import Diagnostic, Edit
from fgc.patterns import regex
from fgc.workspace import display_path, find_project

_CRLF = regex("\r\n")
_PACKAGES = ("site-packages", "dist-packages")  # folders of installed libraries, perhaps inside of a project


class FixedFile(Struct, frozen=True):
    """A file's text before and after, line ends included, and how many findings it loses."""

    path: Path
    before: str
    after: str
    count: int

    def diff(self) -> str:
        """Returns the changes as a unified diff."""
        name = display_path(self.path)
        before, after = (text.splitlines(keepends=True) for text in (self.before, self.after))
        parts = unified_diff(before, after, name, name)
        return "".join(p if p.endswith("\n") else f"{p}\n\\ No newline at end of file\n" for p in parts)

    def write(self) -> None:
        """Replace the file. Raises OSError."""
        replace_file(self.path, self.after)


def fixed_files(diagnostics: Iterable[Diagnostic], arguments: Namespace) -> list[FixedFile]:
    """The files that exact replacements change, of those that `arguments` say were checked."""
    folders = _own_folders(arguments)
    edits: dict[Path, list[Edit]] = {}
    for diagnostic in diagnostics:
        fix = diagnostic.fix
        if fix is None or fix.span.source.path is None:
            continue
        path = Path(fix.span.source.path).resolve()
        if any(path.is_relative_to(folder) for folder in folders) and not any(p in _PACKAGES for p in path.parts):
            edits.setdefault(path, []).append(fix)
    fixed = [_fixed(path, edits[path]) for path in sorted(edits)]
    return [file for file in fixed if file is not None]


def _own_folders(arguments: Namespace) -> list[Path]:
    """The folders that belong to the user: those that are named, and the projects of files that are."""
    if arguments.project:
        return [Path(arguments.project).resolve()]
    named = [Path(name).resolve() for name in arguments.paths or [find_project(Path.cwd()) or "."]]
    return [path if path.is_dir() else find_project(path.parent) or path.parent for path in named]


def _fixed(path: Path, edits: Sequence[Edit]) -> FixedFile | None:
    before = path.read_bytes().decode("utf-8")
    text = before.removeprefix("\ufeff")
    if text.replace("\r\n", "\n").replace("\r", "\n") != edits[0].span.source.text:
        return None  # it changed since it was read
    offsets = _Offsets(before)
    after, position, count = "", 0, 0
    for edit in sorted(edits, key=lambda edit: (edit.span.start, edit.span.end)):
        start, end = offsets.of(edit.span.start), offsets.of(edit.span.end)
        is_new = count == 0 or start > position or (start == position and end > start)
        if start < position or not is_new:
            continue
        after += before[position:start] + edit.text
        position, count = end, count + 1
    return FixedFile(path, before, after + before[position:], count) if count else None


class _Offsets:
    """Places of a source, whose line ends are `\\n`, in the file's own text."""

    def __init__(self, text: str) -> None:
        self._mark = int(text.startswith("\ufeff"))
        found = (match.start() - self._mark for match in _CRLF.finditer(text))
        self._ends = [offset - number for number, offset in enumerate(found)]  # of `\r\n`, in the source

    def of(self, offset: int) -> int:
        return offset + self._mark + bisect_left(self._ends, offset)
