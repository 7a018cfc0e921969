"""Finds which templates belong together: a configuration, all that it may draw on, and who else draws on a template.

Everything is read from syntax trees; nothing is resolved. A name of a template that is computed leads nowhere, and is
told as `is_open`.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from fgc.ide.buffers import BufferStore, absolute
from fgc.ide.marks import Mark, MarkKind, marks_of
from fgc.syntax import ast
from fgc.text import Span
from fgc.workspace.discovery import projects_below
from fgc.workspace.hierarchy import UseKind, uses_in
from fgc.workspace.library import template_library
from fgc.workspace.project import META_FILE, ProjectDescription, ProjectError, find_project, open_project
from fgc.workspace.session import Session


class TemplateId(Struct, frozen=True, order=True):
    """A template: its file, and its name if it is an inline one."""

    path: str
    part: str = ""


class FamilyLink(Struct, frozen=True):
    """A statement by which one template draws on another; `target` is None if no file has the name."""

    kind: UseKind
    name: str
    target: TemplateId | None
    span: Span


class Closure(Struct, frozen=True):
    """All templates that a configuration may draw on, the nearest first. `is_open`: a name of one is computed."""

    entry: TemplateId
    links: dict[TemplateId, tuple[FamilyLink, ...]]
    is_open: bool

    @property
    def paths(self) -> set[str]:
        return {template.path for template in self.links}

    def parents(self, template: TemplateId) -> list[TemplateId]:
        """Returns the templates that a template may extend."""
        found = self.links.get(template, ())
        return [link.target for link in found if link.kind is UseKind.EXTENDS and link.target is not None]

    def ancestors(self, template: TemplateId) -> Iterator[TemplateId]:
        """Yields the parents of a template, theirs, and so on; each once."""
        seen, waiting = {template}, self.parents(template)
        while waiting:
            parent = waiting.pop(0)
            if parent not in seen:
                seen.add(parent)
                yield parent
                waiting += self.parents(parent)


class Families:
    """The projects below some folders, and how their templates hang together."""

    def __init__(self, folders: Iterable[Path], store: BufferStore) -> None:
        self.folders = [absolute(folder) for folder in folders]
        self._store = store

    def file(self, path: str) -> ast.ParsedFile:
        """Returns the templates of a file."""
        return self._store.parse(Path(path), os.path.basename(path)).value  # noqa: PTH119

    def marks(self, path: str) -> list[Mark]:
        """Returns the marks of a file."""
        return self._store.questions.ask(("marks", path), lambda: marks_of(self.file(path)))

    def projects(self) -> list[ProjectDescription]:
        """Returns all projects below the folders that can be read."""
        return self._store.questions.ask(("projects",), lambda: [*self._projects()])

    def project_of(self, path: Path) -> ProjectDescription | None:
        """Returns the project in whose folder a file lies."""
        folder = find_project(path.parent, self._store.questions)
        return None if folder is None else self._opened(folder)

    def configurations(self) -> dict[str, tuple[ProjectDescription, str]]:
        """Returns the files of all configurations with their projects and names."""
        return self._store.questions.ask(("configurations",), self._configurations)

    def configuration(self, path: str) -> tuple[ProjectDescription, str] | None:
        """Returns the project of a configuration's file, and its name there; None for another file."""
        project = self.project_of(Path(path))  # to open all projects of a large tree takes half a second
        if project is not None:
            for name, own in project.configurations.items():
                if str(absolute(own)) == path:
                    return project, name
        return self.configurations().get(path)

    def prepare(self) -> Iterator[None]:
        """Reads what questions about a whole workspace rest on, in small steps."""
        for folder in self.folders:
            for found in projects_below(folder, self._store):
                self._opened(found)
                yield
        for config in [*self.configurations()]:
            self.closure(config)
            yield

    def closure(self, path: str, project: ProjectDescription | None = None) -> Closure:
        """Returns what a file may draw on: on the search path of `project`, else of its own project or folder."""
        question = ("closure", path, None if project is None else project.folder)
        return self._store.questions.ask(question, lambda: self._closure(path, project))

    def users(self, path: str) -> list[str]:
        """Returns the configurations that may draw on a file; those of its own project come first."""
        found = [config for config in self.configurations() if path in self.closure(config).paths]
        project = self.project_of(Path(path))
        home = str(project.folder) if project is not None else ""
        return sorted(found, key=lambda config: (config != path, not config.startswith(f"{home}/"), config))

    def family(self, path: str) -> list[Closure]:
        """Returns the closures in which a file takes part; its own if no configuration draws on it."""
        users = self.users(path)
        return [self.closure(user) for user in users] if users else [self.closure(path)]

    def is_shared(self, path: Path) -> bool:
        """Returns True for a template on the search path of a project."""
        return self._sharing(path) is not None

    def names(self, path: str) -> list[str]:
        """Returns the names of templates that a file can name: those of its project, or of one that draws on it."""
        users = [] if self.project_of(Path(path)) is not None else self.users(path)
        return [*self._session(users[0] if users else path).names()]

    def target(self, path: str, name: str) -> TemplateId | None:
        """Returns the template that a name means in a file."""
        inline = {part.name: TemplateId(path, part.name) for part in self.file(path).parts}
        return self._target(name, inline, self._session(path))

    def sources(self, closures: Iterable[Closure]) -> list[str]:
        """Returns the files of closures, each once."""
        return list(dict.fromkeys(template.path for closure in closures for template in closure.links))

    def _projects(self) -> Iterator[ProjectDescription]:
        for folder in self.folders:
            for found in projects_below(folder, self._store):
                project = self._opened(found)
                if project is not None:
                    yield project

    def _opened(self, folder: Path) -> ProjectDescription | None:
        try:
            return open_project(folder, self._store)
        except (ProjectError, OSError):
            return None

    def _configurations(self) -> dict[str, tuple[ProjectDescription, str]]:
        found: dict[str, tuple[ProjectDescription, str]] = {}
        for project in self.projects():
            for name, path in project.configurations.items():
                found.setdefault(str(absolute(path)), (project, name))
        return found

    def _session(self, path: str) -> Session:
        """Returns the search path on which a file's names are looked up: its project's, or its own folder."""
        known = self.configuration(path)
        project = known[0] if known is not None else self.project_of(Path(path))
        if project is not None and Path(path).name == META_FILE:
            return Session(project.description_folders, self._store)
        project = project or self._sharing(Path(path))
        if project is not None:
            return project.session()
        library = template_library()
        return Session([Path(path).parent, *([library] if library else [])], self._store)

    def _sharing(self, path: Path) -> ProjectDescription | None:
        """Returns the first project that has a template on its search path."""
        for project in self.projects():
            if any(path.is_relative_to(absolute(folder)) for folder in project.template_folders):
                return project
        return None

    def _closure(self, path: str, project: ProjectDescription | None) -> Closure:
        entry = TemplateId(path)
        session = self._session(path) if project is None else project.session()
        inline: dict[str, TemplateId] = {}
        links: dict[TemplateId, tuple[FamilyLink, ...]] = {}
        waiting, is_open = [entry], False
        while waiting:
            template = waiting.pop(0)
            if template in links:
                continue
            file = self.file(template.path)
            for part in file.parts:
                inline.setdefault(part.name, TemplateId(template.path, part.name))
            body = next((part.body for part in file.parts if part.name == template.part), ())
            uses = sorted(uses_in(body if template.part else file.main.body), key=lambda use: use.span.start)
            is_open = is_open or any(not use.names for use in uses)
            links[template] = tuple(
                FamilyLink(use.kind, name, self._target(name, inline, session), use.span)
                for use in uses
                for name in use.names
            )
            waiting += [link.target for link in links[template] if link.target is not None]
        return Closure(entry, links, is_open)

    def _target(self, name: str, inline: dict[str, TemplateId], session: Session) -> TemplateId | None:
        if name in inline:
            return inline[name]
        found = session.find(name)
        return None if found is None else TemplateId(str(absolute(found)))


def block_marks(families: Families, template: TemplateId, name: str) -> list[Mark]:
    """Returns the definitions of a block in one template."""
    return [
        mark
        for mark in families.marks(template.path)
        if mark.kind is MarkKind.BLOCK and mark.name == name and mark.part == template.part
    ]
