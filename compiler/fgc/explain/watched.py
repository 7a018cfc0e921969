"""Wraps a loader so that its templates record their evaluations in a trace."""

from collections.abc import Iterable

from fgc.diagnostics import Outcome
from fgc.explain.instrument import instrument
from fgc.explain.trace import Trace
from fgc.resolve import Loader
from fgc.syntax import ast


class WatchedLoader:
    """The instrumented templates of another loader. `files` has the original ones."""

    def __init__(self, loader: Loader, trace: Trace) -> None:
        self._loader = loader
        self._trace = trace
        self.files: list[ast.ParsedFile] = []
        self.searchpath = loader.searchpath

    def watch(self, file: ast.ParsedFile) -> ast.ParsedFile:
        self.files.append(file)
        return instrument(file, self._trace)

    def load(self, name: str) -> Outcome[ast.ParsedFile | None]:
        outcome = self._loader.load(name)
        return outcome if outcome.value is None else Outcome(self.watch(outcome.value), outcome.diagnostics)

    def exists(self, name: str) -> bool:
        return self._loader.exists(name)

    def names(self) -> Iterable[str]:
        return self._loader.names()

    def mentioning(self, word: str) -> Iterable[ast.ParsedFile]:
        return self._loader.mentioning(word)
