"""Names of configurations to configurations, compiled: a project's by name, or a file."""

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from fgc.diagnostics import Diagnostic, has_errors
from fgc.pipeline import Compilation
from fgc.text import Source, secret_at, secrets_of
from fgc.workspace.facts import collect_facts
from fgc.workspace.files import display_path, real_path
from fgc.workspace.library import template_library
from fgc.workspace.project import ProjectDescription, ProjectError, find_project, open_project
from fgc.workspace.session import Session
from fgc.workspace.store import FileStore

if TYPE_CHECKING:
    from fgc.pipeline.surroundings import Surroundings
    from fgc.workspace.python_files import PythonFiles


class NoSuchFile(Exception):
    """A file that is not there; the text says which may have been meant."""


class Selected(Struct, frozen=True, dict=True):
    """A compiled configuration: its name, its project's folder, and all that was `found`.

    `template` is the configuration's file as seen from the folder; `workspace_root` likewise. `sources` are all the
    templates that were read. `files` are those and what describes the project; `missing` would have been read if they
    existed, with what was read instead. `system_path` are folders of Python modules, as PYTHONPATH has them.
    """

    name: str
    folder: Path
    template: str
    workspace_root: str
    compilation: Compilation
    found: tuple[Diagnostic, ...]
    variables: Mapping[str, Any]
    sources: tuple[Source, ...]
    files: Mapping[Path, Source]
    missing: Mapping[Path, Path | None]
    store: FileStore
    system_path: str | None = None

    @cached_property
    def python_files(self) -> "PythonFiles":
        """The Python files that the configuration names, and which of them were read."""
        from fgc.workspace.python_files import PythonFiles  # what reads signatures: 0.02 s

        folders = [Path(folder) for folder in (self.system_path or "").split(os.pathsep) if folder]
        return PythonFiles(self.folder, self.store, folders)

    @property
    def secrets(self) -> dict[str, str]:
        """Returns what was given to the build and the program reads from the environment, by the names there."""
        at_paths = {name: text for path, text in self.store.settings.items() if (name := secret_at(path)) is not None}
        return secrets_of({**self.variables, **at_paths})

    @property
    def surroundings(self) -> "Surroundings":
        """Returns what the emitter must know of the disk around the configuration."""
        from fgc.pipeline.surroundings import Surroundings
        from fgc.workspace.layouts import kept_layout

        files = self.python_files
        needs = self.compilation.needs
        return Surroundings(
            self.template,
            files.read_python,
            files.component_folders,
            self.workspace_root,
            needs,
            self.compilation.document.asked,
            files,
            partial(kept_layout, self.store.questions),
        )

    @cached_property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """The findings that count, as `fgc check` tells them."""
        return self.diagnostics_with(())

    def diagnostics_with(self, found: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
        """The findings that count, together with those of a later stage."""
        return self.store.rules.apply((*self.found, *found), self.compilation)

    @property
    def has_errors(self) -> bool:
        return has_errors(self.diagnostics)


def select_config(project: ProjectDescription, config: str | None, variables: Mapping[str, Any]) -> Selected:
    """A project's configuration by name, or its default one. Raises ProjectError for an unknown name."""
    session = project.session()
    compilation = project.compile(config, variables, session)
    file = project.configurations[project.resolve_name(config)]
    return Selected(
        name=str(config or project.default_config),
        folder=project.folder,
        template=_seen_from(project.folder, Path(compilation.entry.display_name)),
        workspace_root=os.path.relpath(project.workspace, project.folder),
        compilation=compilation,
        found=(*project.diagnostics, *compilation.diagnostics),
        variables=variables,
        sources=tuple(session.sources.values()),
        files={**project.sources, **session.sources, **session.imported},
        missing={**project.missing, **_shadowing(project, file), **session.missing},
        store=project.store,
        system_path=_system_path(project.system_path, session),
    )


def _shadowing(project: ProjectDescription, file: Path) -> dict[Path, Path | None]:
    """Files that would be the configuration instead of this one."""
    roots = [folder / project.config_prefix for folder in project.searchpath]
    own = next((place for place, root in enumerate(roots) if file.is_relative_to(root)), 0)
    return {root / file.relative_to(roots[own]): file for root in roots[:own]}


def select_file(path: Path, include: Sequence[str], variables: Mapping[str, Any], store: FileStore) -> Selected:
    """A file: with its project, if it is one of its configurations and no search path is given. Raises NoSuchFile."""
    if not include:
        project = project_of(path, store)
        if project is not None:
            return select_config(project, _config_name(project, path), variables)
    return _bare_file(path, include, variables, store)


def project_of(path: Path, store: FileStore) -> ProjectDescription | None:
    """The project that has this file among its configurations, if any."""
    folder = find_project(real_path(path).parent, store.questions)
    if folder is None:
        return None
    try:
        project = open_project(folder, store)
    except ProjectError:
        return None
    return project if real_path(path) in _resolved(project.configurations.values()) else None


def _config_name(project: ProjectDescription, path: Path) -> str:
    return next(name for name, file in project.configurations.items() if real_path(file) == real_path(path))


def _resolved(paths: Iterable[Path]) -> set[Path]:
    return {real_path(path) for path in paths}


def _bare_file(path: Path, include: Sequence[str], variables: Mapping[str, Any], store: FileStore) -> Selected:
    library = template_library()
    folders = [Path(folder) for folder in include] or [path.parent]
    session = Session([*folders, *([library] if library else [])], store)
    found = path
    if include and not path.is_absolute():
        found = session.find(str(path)) or path
    if not found.exists():
        raise NoSuchFile(f"there is no file `{path}`{_near_file(path)}")
    name = str(path) if include else path.name
    facts = collect_facts(folders[0].resolve() if include else path.resolve().parent, None)
    compilation = session.compile(found, name, variables, facts)
    folder = found.resolve().parent
    return Selected(
        name=name,
        folder=folder,
        template=_seen_from(folder, found),
        workspace_root=".",
        compilation=compilation,
        found=(*session.diagnostics, *compilation.diagnostics),
        variables=variables,
        sources=tuple(session.sources.values()),
        files={**session.sources, **session.imported},
        missing=session.missing,
        store=store,
        system_path=_system_path(None, session),
    )


def _system_path(own: str | None, session: Session) -> str | None:
    """The folder of Python modules, and those of the projects from which objects are taken."""
    return os.pathsep.join(dict.fromkeys([*([own] if own is not None else []), *session.system_paths])) or None


def _seen_from(folder: Path, path: Path) -> str:
    return Path(os.path.relpath(real_path(path), folder)).as_posix()


def _near_file(path: Path) -> str:
    from fgc.diagnostics import nearest

    folder = path.parent if path.parent.is_dir() else None
    match = nearest(path.name, [file.name for file in folder.iterdir()]) if folder else None
    return f"; did you mean `{display_path(path.parent / match)}`?" if match else ""
