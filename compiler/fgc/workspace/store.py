"""Files read and parsed once in a run, whoever asks: shared by all search paths of the process."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from msgspec import Struct, field

from fgc.diagnostics import Diagnostic, Outcome
from fgc.syntax import ast, parse
from fgc.text import Source
from fgc.workspace.files import read_source

if TYPE_CHECKING:
    from fgc.ir import Graph
    from fgc.pipeline.models import SourceFiles


class Dependencies(Protocol):
    """Where is noted what a result depends on: files, names looked for in vain, folders whose entries count."""

    files: set[Path]
    absent: set[Path]
    folders: set[Path]
    is_timeless: bool


class _NoTrace(Struct):
    """For whoever keeps no results."""

    files: set[Path] = field(default_factory=set)
    absent: set[Path] = field(default_factory=set)
    folders: set[Path] = field(default_factory=set)
    is_timeless: bool = True


Check: TypeAlias = Callable[["Graph", "SourceFiles"], Sequence[Diagnostic]]


class FileStore:
    """Parsed files by path and by the name under which a template knows them.

    `checks_calls`: configurations are checked against the Python files that they name, also by the `checks` that were
    added. What only lists or prints templates goes without. `projects`: the folders of all projects that are checked.
    """

    def __init__(self, trace: Dependencies | None = None, *, checks_calls: bool = True) -> None:
        self.trace: Dependencies = trace if trace is not None else _NoTrace()
        self.checks_calls = checks_calls
        self.checks: list[Check] = []
        self.projects: set[Path] = set()
        self._python: dict[Path, Source | None] = {}
        self._parsed: dict[tuple[Path, str], Outcome[ast.ParsedFile]] = {}

    def python(self, path: Path, name: str) -> Source | None:
        """The text of a Python file; None if there is none that can be read."""
        if path not in self._python:
            (self.trace.files if path.is_file() else self.trace.absent).add(path)
            source, problem = read_source(path, name) if path.is_file() else (None, None)
            self._python[path] = None if problem else source
        return self._python[path]

    def parse(self, path: Path, name: str) -> Outcome[ast.ParsedFile]:
        """A file's templates; one that cannot be read is empty and says why."""
        self.trace.files.add(path)
        key = (path, name)
        if key not in self._parsed:
            source, problem = read_source(path, name)
            outcome = parse(source)
            self._parsed[key] = Outcome(outcome.value, (problem,) if problem else outcome.diagnostics)
        return self._parsed[key]
