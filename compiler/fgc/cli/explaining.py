"""A path of the configuration that a command line names, explained."""

import sys
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path

from fgc.cli.guard import with_selection
from fgc.cli.select import Selected, report
from fgc.diagnostics import Outcome
from fgc.explain import UnknownPath, explain, explanation_to_json, explanation_to_text
from fgc.resolve import Facts
from fgc.syntax import ast, parse
from fgc.text import Source
from fgc.workspace import collect_facts


def explain_path(arguments: Namespace, path: str) -> int:
    """Print the explanation; 2 if the path names nothing, 1 if the configuration has errors."""

    def show(selected: Selected) -> int:
        loader = ReadSources(selected.sources)
        entry = parse(selected.compilation.entry).value
        found = explain(entry, loader, selected.variables, facts_of(selected), path=path)
        errors = [diagnostic for diagnostic in selected.diagnostics if diagnostic.severity.value == "error"]
        if isinstance(found, UnknownPath):
            print(f"fgc: {selected.name}: {found}", file=sys.stderr)
            report(errors)
            return 2
        is_json = arguments.format == "json"
        sys.stdout.write(explanation_to_json(found) + "\n" if is_json else explanation_to_text(found))
        sys.stdout.flush()
        report(errors)
        return int(bool(errors))

    return with_selection(arguments, show)


class ReadSources:
    """The templates that compiling has read, by name: explaining reads no other."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = {source.name: source for source in sources}
        self.searchpath: list[str] = []

    def load(self, name: str) -> Outcome[ast.ParsedFile | None]:
        source = self._sources.get(name)
        return Outcome(None) if source is None else Outcome(parse(source).value)

    def names(self) -> Iterable[str]:
        return list(self._sources)


def facts_of(selected: Selected) -> Facts:
    """The facts with which a configuration was compiled, as they are now."""
    workspace = (Path(selected.folder) / selected.workspace_root).resolve()
    has_workspace = (workspace / "forgather_workspace").is_dir()
    return collect_facts(selected.folder, workspace if has_workspace else None)
