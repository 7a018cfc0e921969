"""Which configuration a command line means: a file, or a project's, with its variables; compiled."""

import os
import sys
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fgc.cli.arguments import CannotRun, use_color, variables_of
from fgc.cli.memo import Trace
from fgc.diagnostics import Diagnostic, has_errors, render_text, summary
from fgc.pipeline import Compilation, Surroundings
from fgc.text import Source
from fgc.workspace import (
    FileStore,
    Project,
    ProjectError,
    PythonFiles,
    Session,
    collect_facts,
    display_path,
    find_project,
    open_project,
    template_library,
)


@dataclass(frozen=True, slots=True)
class Selected:
    """A compiled configuration: its name, its project's folder, and all findings.

    `template` is the configuration's file as seen from the folder; `workspace_root` likewise. `sources` are all the
    templates that were read.
    """

    name: str
    folder: Path
    template: str
    workspace_root: str
    compilation: Compilation
    diagnostics: tuple[Diagnostic, ...]
    variables: dict[str, Any]
    sources: tuple[Source, ...]
    python_files: PythonFiles

    @property
    def surroundings(self) -> Surroundings:
        """What the emitter must know of the disk around the configuration."""
        files = self.python_files
        return Surroundings(self.template, files.read_python, files.component_folders, self.workspace_root)

    @property
    def has_errors(self) -> bool:
        return has_errors(self.diagnostics)


def select(arguments: Namespace, trace: Trace | None = None) -> Selected:
    """Compile what a command line names. Raises CannotRun or ProjectError."""
    variables = variables_of(arguments)
    store = FileStore(trace)
    if arguments.file is None or arguments.project is not None:
        return _from_project(arguments, store, variables)
    path = Path(arguments.file)
    if not arguments.include:
        project = project_of(path, store)
        if project is not None:
            return _select_config(project, _config_name(project, path), variables)
    return _bare_file(path, arguments.include, store, variables)


def _from_project(arguments: Namespace, store: FileStore, variables: dict[str, Any]) -> Selected:
    folder = Path(arguments.project) if arguments.project else find_project(Path.cwd())
    if folder is None:
        raise CannotRun("no configuration is named: give a FILE, or `-p PROJECT`, or run this inside a project")
    return _select_config(open_project(folder, store), arguments.file or arguments.config, variables)


def _select_config(project: Project, config: str | None, variables: dict[str, Any]) -> Selected:
    session = project.session()
    compilation = project.compile(config, variables, session)
    name = str(config or project.default_config)
    return Selected(
        name=name,
        folder=project.folder,
        template=_seen_from(project.folder, Path(compilation.entry.display_name)),
        workspace_root=os.path.relpath(project.workspace, project.folder),
        compilation=compilation,
        diagnostics=(*project.diagnostics, *compilation.diagnostics),
        variables=variables,
        sources=tuple(session.sources.values()),
        python_files=PythonFiles(project.folder, project.store),
    )


def project_of(path: Path, store: FileStore) -> Project | None:
    """The project that has this file among its configurations, if any."""
    folder = find_project(path.resolve().parent)
    if folder is None:
        return None
    try:
        project = open_project(folder, store)
    except ProjectError:
        return None
    return project if path.resolve() in _resolved(project.configurations.values()) else None


def _config_name(project: Project, path: Path) -> str:
    return next(name for name, file in project.configurations.items() if file.resolve() == path.resolve())


def _resolved(paths: Iterable[Path]) -> set[Path]:
    return {path.resolve() for path in paths}


def _bare_file(path: Path, include: list[str], store: FileStore, variables: dict[str, Any]) -> Selected:
    library = template_library()
    folders = [Path(folder) for folder in include] or [path.parent]
    session = Session([*folders, *([library] if library else [])], store)
    found = path
    if include and not path.is_absolute():
        found = session.find(str(path)) or path
    if not found.exists():
        raise CannotRun(f"there is no file `{path}`{_near_file(path)}")
    name = str(path) if include else path.name
    facts = collect_facts(folders[0].resolve() if include else path.resolve().parent, None)
    compilation = session.compile(found, name, variables, facts)
    diagnostics = (*session.diagnostics, *compilation.diagnostics)
    folder = found.resolve().parent
    sources = tuple(session.sources.values())
    return Selected(
        name=name,
        folder=folder,
        template=_seen_from(folder, found),
        workspace_root=".",
        compilation=compilation,
        diagnostics=diagnostics,
        variables=variables,
        sources=sources,
        python_files=PythonFiles(folder, store),
    )


def _seen_from(folder: Path, path: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder)).as_posix()


def _near_file(path: Path) -> str:
    from fgc.diagnostics import nearest

    folder = path.parent if path.parent.is_dir() else None
    match = nearest(path.name, [file.name for file in folder.iterdir()]) if folder else None
    return f"; did you mean `{display_path(path.parent / match)}`?" if match else ""


def report(diagnostics: Iterable[Diagnostic]) -> None:
    """Findings, with their lines and carets, and a count, to standard error."""
    found = list(diagnostics)
    if found:
        print(render_text(found, use_color=use_color(sys.stderr)), file=sys.stderr)
        print(f"{summary(found)}", file=sys.stderr)
