"""Which configuration a command line means: a file, or a project's, with its variables; compiled."""

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fgc.diagnostics import Diagnostic, has_errors, render_text, summary
from fgc.pipeline import Compilation
from fgc.workspace import (
    Project,
    ProjectError,
    Session,
    collect_facts,
    display_path,
    find_project,
    open_project,
    template_library,
)


class CannotRun(Exception):
    """The command line itself is wrong, or what it names cannot be read: exit code 2."""


@dataclass(frozen=True, slots=True)
class Selected:
    """A compiled configuration: its name, its project's folder, and all findings.

    `template` is the configuration's file as seen from the folder; `workspace_root` likewise.
    """

    name: str
    folder: Path
    template: str
    workspace_root: str
    compilation: Compilation
    diagnostics: tuple[Diagnostic, ...]
    variables: dict[str, Any]

    @property
    def has_errors(self) -> bool:
        return has_errors(self.diagnostics)


def add_selection(parser: ArgumentParser) -> None:
    """The arguments that choose a configuration."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="configuration file; without it, the project's")
    parser.add_argument("-I", action="append", default=[], dest="include", metavar="FOLDER", help="search path folder")
    parser.add_argument(
        "-D", action="append", default=[], dest="define", metavar="NAME=VALUE", help="set a template variable"
    )
    parser.add_argument("--vars", metavar="FILE.json", help="template variables from a JSON file")


def select(arguments: Namespace) -> Selected:
    """Compile what a command line names. Raises CannotRun or ProjectError."""
    variables = _variables(arguments)
    if arguments.file is None or arguments.project is not None:
        return _from_project(arguments, variables)
    path = Path(arguments.file)
    if not arguments.include:
        project = _project_of(path)
        if project is not None:
            return _select_config(project, _config_name(project, path), variables)
    return _bare_file(path, arguments.include, variables)


def _from_project(arguments: Namespace, variables: dict[str, Any]) -> Selected:
    folder = Path(arguments.project) if arguments.project else find_project(Path.cwd())
    if folder is None:
        raise CannotRun("no configuration is named: give a FILE, or `-p PROJECT`, or run this inside a project")
    return _select_config(open_project(folder), arguments.file or arguments.config, variables)


def _select_config(project: Project, config: str | None, variables: dict[str, Any]) -> Selected:
    compilation = project.compile(config, variables)
    name = str(config or project.default_config)
    return Selected(
        name=name,
        folder=project.folder,
        template=_seen_from(project.folder, Path(compilation.entry.display_name)),
        workspace_root=os.path.relpath(project.workspace, project.folder),
        compilation=compilation,
        diagnostics=(*project.diagnostics, *compilation.diagnostics),
        variables=variables,
    )


def _project_of(path: Path) -> Project | None:
    """The project that has this file among its configurations, if any."""
    folder = find_project(path.resolve().parent)
    if folder is None:
        return None
    try:
        project = open_project(folder)
    except ProjectError:
        return None
    return project if path.resolve() in _resolved(project.configurations.values()) else None


def _config_name(project: Project, path: Path) -> str:
    return next(name for name, file in project.configurations.items() if file.resolve() == path.resolve())


def _resolved(paths: Iterable[Path]) -> set[Path]:
    return {path.resolve() for path in paths}


def _bare_file(path: Path, include: list[str], variables: dict[str, Any]) -> Selected:
    library = template_library()
    folders = [Path(folder) for folder in include] or [path.parent]
    session = Session([*folders, *([library] if library else [])])
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
    return Selected(name, folder, _seen_from(folder, found), ".", compilation, diagnostics, variables)


def _seen_from(folder: Path, path: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder)).as_posix()


def _near_file(path: Path) -> str:
    from fgc.diagnostics import nearest

    folder = path.parent if path.parent.is_dir() else None
    match = nearest(path.name, [file.name for file in folder.iterdir()]) if folder else None
    return f"; did you mean `{display_path(path.parent / match)}`?" if match else ""


def _variables(arguments: Namespace) -> dict[str, Any]:
    variables: dict[str, Any] = {}
    if arguments.vars:
        try:
            loaded = json.loads(Path(arguments.vars).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CannotRun(f"`--vars {arguments.vars}` cannot be read: {error}") from None
        if not isinstance(loaded, dict):
            raise CannotRun(f"`--vars {arguments.vars}` must hold a JSON object")
        variables |= loaded
    for definition in arguments.define:
        name, equals, value = definition.partition("=")
        if not equals or not name.isidentifier():
            raise CannotRun(f"`-D {definition}`: write `-D name=value`")
        variables[name] = _value(value)
    return variables


def _value(text: str) -> Any:
    """A command-line value: a number, true, false, none, or a text."""
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text


def use_color(stream: Any) -> bool:
    """Whether to colour: on a terminal, unless NO_COLOR is set."""
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR")


def report(diagnostics: Iterable[Diagnostic]) -> None:
    """Findings, with their lines and carets, and a count, to standard error."""
    found = list(diagnostics)
    if found:
        print(render_text(found, use_color=use_color(sys.stderr)), file=sys.stderr)
        print(f"{summary(found)}", file=sys.stderr)
