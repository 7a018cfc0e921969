"""Configurations of other projects, for those that take objects from them."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fgc.diagnostics import Diagnostic, Outcome, Related, Severity
from fgc.pipeline.imports import Imported, ProjectRequest
from fgc.text import Origin, Source
from fgc.workspace.files import display_path, real_path
from fgc.workspace.store import FileStore

if TYPE_CHECKING:
    from fgc.workspace.project import ProjectDescription


class OtherProjects:
    """Compiles what a configuration asks for. `chain` are the files that ask for one another, this configuration last.

    `sources` and `missing` are what was read, as a session has them; `system_paths` where their Python modules lie.
    """

    def __init__(self, folder: Path, workspace: str | None, store: FileStore, chain: tuple[Path, ...]) -> None:
        self._folder = folder
        self._workspace = workspace
        self._store = store
        self._chain = chain
        self.sources: dict[Path, Source] = {}
        self.missing: dict[Path, Path | None] = {}
        self.system_paths: dict[str, None] = {}
        self._loaded: dict[str, Outcome[Imported | None]] = {}

    def load(self, request: ProjectRequest) -> Outcome[Imported | None]:
        """The graph of a configuration with its errors, or why there is none."""
        from fgc.workspace.project import ProjectError, open_project  # it knows sessions, which know this module

        folder = self._folder / request.project_dir
        try:
            project = open_project(folder, self._store)
        except ProjectError as error:
            return _refused(request.folder_origin, error.diagnostics)
        except OSError as error:
            message = f"`{display_path(folder)}`: {error.strerror or error}"
            return Outcome(None, (Diagnostic.at(request.folder_origin, "FGC415", message),))
        try:
            name = project.resolve_name(request.config)
        except ProjectError as error:
            return _refused(request.config_origin, error.diagnostics)
        key = repr((project.folder, name, sorted(request.variables.items())))
        file = real_path(project.configurations[name])
        if file in self._chain:
            return Outcome(None, (self._circle(file, request),))
        if key not in self._loaded:
            self._loaded[key] = self._compiled(project, name, request, key)
        return self._loaded[key]

    def _compiled(
        self, project: "ProjectDescription", name: str, request: ProjectRequest, key: str
    ) -> Outcome[Imported | None]:
        session = project.session(self._chain)
        compilation = project.compile(name, request.variables, session)
        self.sources |= {**project.sources, **session.sources, **session.imported}
        self.missing |= {**project.missing, **session.missing}
        own = [project.system_path] if project.system_path is not None else []
        self.system_paths |= dict.fromkeys([*own, *session.system_paths])
        workspace = self._seen(project.workspace) if str(project.workspace) != self._workspace else None
        graph, folder = compilation.graph, self._seen(project.folder)
        imported = Imported(key, f"{project.name}: {name}", graph, folder, workspace, compilation.needs)
        found = [*project.diagnostics, *compilation.diagnostics]
        return Outcome(imported, tuple(finding for finding in found if finding.severity is Severity.ERROR))

    def _seen(self, folder: Path) -> str:
        return Path(os.path.relpath(folder, self._folder)).as_posix()

    def _circle(self, file: Path, request: ProjectRequest) -> Diagnostic:
        names = [display_path(path) for path in (*self._chain[self._chain.index(file) :], file)]
        message = f"configurations use each other's objects in a circle: {' -> '.join(names)}"
        help = "put what both need into a third configuration"
        return Diagnostic.at(request.folder_origin, "FGC415", message, help=help)


def _refused(origin: Origin, found: tuple[Diagnostic, ...]) -> Outcome[Imported | None]:
    """The first finding about a project, where it is asked for; the place that it speaks of is the second one."""
    first = found[0]
    is_place = first.span.source.text != ""
    related = (Related(first.span, first.message), *first.related) if is_place else first.related
    message = "the project has errors" if is_place else first.message
    return Outcome(None, (replace(Diagnostic.at(origin, "FGC415", message, help=first.help), related=related),))
