"""Files read and parsed once in a run, whoever asks: shared by all search paths of the process."""

from pathlib import Path

from fgc.diagnostics import Outcome
from fgc.syntax import ast, parse
from fgc.workspace.files import read_source


class FileStore:
    """Parsed files by path and by the name under which a template knows them."""

    def __init__(self) -> None:
        self._parsed: dict[tuple[Path, str], Outcome[ast.ParsedFile]] = {}

    def parse(self, path: Path, name: str) -> Outcome[ast.ParsedFile]:
        """A file's templates; one that cannot be read is empty and says why."""
        key = (path, name)
        if key not in self._parsed:
            source, problem = read_source(path, name)
            outcome = parse(source)
            self._parsed[key] = Outcome(outcome.value, (problem,) if problem else outcome.diagnostics)
        return self._parsed[key]
