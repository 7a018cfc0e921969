"""Keeps what was read to compile a configuration: enough to resolve it once more, and to watch."""

from collections.abc import Iterable
from pathlib import Path

from fgc.diagnostics import Outcome
from fgc.resolve import Facts
from fgc.syntax import ast, parse
from fgc.text import Source
from fgc.workspace.facts import collect_facts
from fgc.workspace.selection import Selected


class ReadSources:
    """The templates that compiling has read, by name: explaining reads no other."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = {source.name: source for source in sources}
        self.searchpath: list[str] = []

    def load(self, name: str) -> Outcome[ast.ParsedFile | None]:
        source = self._sources.get(name)
        return Outcome(None) if source is None else Outcome(parse(source).value)

    def exists(self, name: str) -> bool:
        return name in self._sources

    def names(self) -> Iterable[str]:
        return list(self._sources)

    def mentioning(self, word: str) -> Iterable[ast.ParsedFile]:
        return ()


def facts_of(selected: Selected) -> Facts:
    """The facts with which a configuration was compiled, as they are now."""
    workspace = (Path(selected.folder) / selected.workspace_root).resolve()
    has_workspace = (workspace / "forgather_workspace").is_dir()
    return collect_facts(selected.folder, workspace if has_workspace else None)
