"""A path of the configuration that a command line names, explained; also where it leads into another project."""

import sys
from argparse import Namespace

from fgc.cli.arguments import CannotRun
from fgc.cli.guard import with_selection
from fgc.cli.select import Selected, report
from fgc.explain import Elsewhere, ExplainedPart, UnknownPath, explain, explanation_to_json, explanation_to_text
from fgc.syntax import parse
from fgc.workspace import ProjectError, display_path, open_project
from fgc.workspace.replay import ReadSources, facts_of
from fgc.workspace.selection import select_config


def explain_path(arguments: Namespace, path: str) -> int:
    """Print the explanation; 2 if the path names nothing, 1 if the configuration has errors."""

    def show(selected: Selected) -> int:
        errors = [diagnostic for diagnostic in selected.diagnostics if diagnostic.severity.value == "error"]
        try:
            parts = _parts(selected, path)
        except CannotRun as problem:
            print(f"fgc: {problem}", file=sys.stderr)
            report(errors)
            return 2
        is_json = arguments.format == "json"
        sys.stdout.write(explanation_to_json(parts) + "\n" if is_json else explanation_to_text(parts))
        sys.stdout.flush()
        report(errors)
        return int(bool(errors))

    return with_selection(arguments, show)


def _parts(selected: Selected, path: str) -> list[ExplainedPart]:
    """The explanation here, and then in each project that the value is taken from. Raises CannotRun."""
    parts: list[ExplainedPart] = []
    current: Selected | None = selected
    while current is not None:
        loader = ReadSources(current.sources)
        entry = parse(current.compilation.entry).value
        found = explain(entry, loader, current.variables, facts_of(current), path=path)
        if isinstance(found, UnknownPath):
            where = f"{display_path(current.folder)}: {current.name}" if parts else current.name
            raise CannotRun(f"{where}: {found}")
        parts.append(ExplainedPart(found, display_path(current.folder), current.name))
        asked = found.elsewhere
        current = _selected(current, asked) if asked is not None and not selected.has_errors else None
        path = asked.path if asked is not None else ""
    return parts


def _selected(current: Selected, asked: Elsewhere) -> Selected | None:
    """The configuration that is asked for; None where there is none, which compiling has said."""
    try:
        project = open_project(current.folder / asked.project_dir, current.store)
        return select_config(project, asked.config or project.default_config, asked.variables)
    except (ProjectError, OSError):
        return None
