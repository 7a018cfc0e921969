"""Files read and parsed once in a run, whoever asks: shared by all search paths of the process."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from fgc.diagnostics import Diagnostic, Outcome
from fgc.questions import Questions, open_kept
from fgc.reading import is_regular_file
from fgc.syntax import ast, parse, unreadable
from fgc.text import Source
from fgc.workspace.files import read_source
from fgc.workspace.rules import Rules

if TYPE_CHECKING:
    from fgc.ir import Graph
    from fgc.pipeline.models import ModelFiles
    from fgc.yaml import Composition

Change: TypeAlias = Callable[["Composition"], object]
Check: TypeAlias = Callable[["Graph", "ModelFiles"], Sequence[Diagnostic]]


class FileChanged(Exception):
    """A file has another content than a moment ago."""


def _unchanged(composition: "Composition") -> None:
    """Leaves a configuration as it was written."""


class FileStore:
    """The files of a run: every file as it was when it was read first.

    `checks_calls`: configurations are checked against the Python files that they name, also by the `checks` that were
    added. What only lists or prints templates goes without. `enforced` checks run on configurations with errors too.
    `projects`: the folders of all projects that are checked.
    `rules`: which findings count.
    `change` sets values of the configuration that is asked for, by the paths of `settings`. Whoever does not show the
    text of a configuration (`shows_text`) sees to the time in what it does show.
    """

    def __init__(
        self, questions: Questions | None = None, *, checks_calls: bool = True, shows_text: bool = True
    ) -> None:
        self.questions = questions or Questions(open_kept())
        self.checks_calls = checks_calls
        self.shows_text = shows_text
        self.checks: list[Check] = []
        self.enforced: list[Check] = []
        self.change: Change = _unchanged
        self.settings: Mapping[str, str] = {}
        self.projects: set[Path] = set()
        self.rules = Rules()
        self._texts: dict[tuple[str, str | None, str | None], Source] = {}

    def is_file(self, path: Path) -> bool:
        """Returns True for a file that can be read; one that is not there is noted."""

        def look() -> bool:
            found = is_regular_file(path)
            if not found:
                self.questions.saw(path)
            return found

        return self.questions.ask(("is a file", path), look)

    def read(self, path: Path, name: str) -> tuple[Source, Diagnostic | None]:
        """The text of a file, and what is wrong with it; then the text is empty."""

        def read() -> tuple[Source, Diagnostic | None]:
            source, problem = read_source(path, name)
            self.questions.saw(path, source.digest)
            return source, problem

        source, problem = self.questions.ask(("text", path, name), read)
        self._texts[name, source.path, source.digest] = source
        return source, problem

    def text_again(self, source: Source) -> Source:
        """A text of which name, path and digest are known. Raises FileChanged if its file has another content."""
        key = source.name, source.path, source.digest
        if source.digest is not None and source.path is not None and key not in self._texts:
            self.read(Path(source.path), source.name)
        if source.digest is not None and key not in self._texts:
            raise FileChanged(source.display_name)
        return self._texts.get(key, source)

    def python(self, path: Path, name: str) -> Source | None:
        """The text of a Python file; None if there is none that can be read."""
        if not self.is_file(path):
            return None
        source, problem = self.read(path, name)
        return None if problem else source

    def parse(self, path: Path, name: str) -> Outcome[ast.ParsedFile]:
        """A file's templates; one that cannot be read is broken and says why."""

        def compute() -> Outcome[ast.ParsedFile]:
            source, problem = self.read(path, name)
            return Outcome(unreadable(source), (problem,)) if problem else parse(source)

        return self.questions.ask(("syntax tree", path, name), compute)

    def walk(
        self, folder: Path, is_entered: Callable[[str], bool], on_error: Callable[[OSError], None] | None = None
    ) -> Iterator[tuple[Path, list[str]]]:
        """Every folder in a folder with the names of its files, sorted; what is in a folder is noted."""

        def fail(error: OSError) -> None:
            self.questions.saw_folder(error.filename)
            if on_error is not None:
                on_error(error)

        for root, folders, files in os.walk(folder, onerror=fail):
            self.questions.saw_folder(root, [*folders, *files])
            folders[:] = sorted(name for name in folders if is_entered(name))
            yield Path(root), sorted(files)
