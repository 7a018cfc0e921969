"""Lists projects with their configurations, each compiled separately."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from fgc.diagnostics import Diagnostic, Severity
from fgc.pipeline.metadata import meta_text
from fgc.questions import here
from fgc.workspace import FileStore, ProjectDescription, ProjectError, display_path, open_project
from fgc.workspace.clock import moving_texts, shows_any
from fgc.workspace.kept_findings import keep_with_texts
from fgc.workspace.project import META_FILE


class ListedConfiguration(Struct, frozen=True):
    """A configuration by the name of its file; `error` is what kept its graph from being made, if anything did."""

    file: str
    is_default: bool
    config_name: str | None
    description: str | None
    error: Diagnostic | None


class ListedProject(Struct, frozen=True):
    """A project; `error` keeps it, or a folder of it, from being read. `warnings` are about its description."""

    folder: str
    name: str
    description: str | None
    default_config: str | None
    configurations: tuple[ListedConfiguration, ...]
    error: Diagnostic | None = None
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def is_broken(self) -> bool:
        return self.error is not None or any(item.error is not None for item in self.configurations)


def list_folder(folder: Path, store: FileStore) -> ListedProject:
    """The project in a folder; one that cannot be read is listed with its error."""
    try:
        return list_project(open_project(folder, store))
    except ProjectError as error:
        store.questions.saw(folder / META_FILE)
        return ListedProject(display_path(folder), folder.name, None, None, (), _first_error(error.diagnostics))


def list_project(project: ProjectDescription) -> ListedProject:
    """A project with all its configurations."""
    default = project.default_config
    if default is not None and default not in project.configurations:
        default = f"{default}.yaml"
    configurations = tuple(_configuration(project, name, name == default) for name in project.configurations)
    return ListedProject(
        folder=display_path(project.folder),
        name=project.name,
        description=project.description,
        default_config=project.default_config,
        configurations=configurations,
        error=next((found for found in project.diagnostics if found.code == "FGC001"), None),
        warnings=tuple(found for found in project.diagnostics if found.code != "FGC001"),
    )


def _configuration(project: ProjectDescription, name: str, is_default: bool) -> ListedConfiguration:
    question = ["listed", *here(), str(project.folder), name, is_default]
    listed = partial(_compiled, project.folder, project.store, name, is_default)
    return keep_with_texts(project.store, question, ListedConfiguration, listed)


def _compiled(folder: Path, store: FileStore, name: str, is_default: bool) -> ListedConfiguration:
    project = open_project(folder, store)  # notes the dependency
    compilation = project.compile(name, {}, is_for_list=True)
    listed = ListedConfiguration(
        file=name,
        is_default=is_default,
        config_name=meta_text(compilation.graph, "config_name"),
        description=meta_text(compilation.graph, "config_description"),
        error=None if compilation.is_whole else _first_error(compilation.diagnostics),
    )
    shown = (listed.config_name, listed.description, listed.error.message if listed.error is not None else None)
    if shows_any(moving_texts(compilation), shown):
        project.store.questions.changes_by_itself()
    return listed


def _first_error(diagnostics: Sequence[Diagnostic]) -> Diagnostic | None:
    return next((found for found in diagnostics if found.severity is Severity.ERROR), None)


def project_json(project: ListedProject) -> dict[str, Any]:
    """Returns a project in the form of `fgc ls --format json`."""
    return {
        "folder": project.folder,
        "name": project.name,
        "description": project.description,
        "default_config": project.default_config,
        "error": _error_json(project.error),
        "configurations": [
            {
                "file": item.file,
                "is_default": item.is_default,
                "config_name": item.config_name,
                "config_description": item.description,
                "error": _error_json(item.error),
            }
            for item in project.configurations
        ],
    }


def _error_json(error: Diagnostic | None) -> dict[str, Any] | None:
    if error is None:
        return None
    first = error.span.first
    place = {"file": error.span.source.display_name, "line": first.line, "column": first.column}
    return {"code": error.code, "message": error.message, **place}
