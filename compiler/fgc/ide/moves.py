"""Keeps the names of templates true when files or folders get another path."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from fgc.diagnostics import Edit
from fgc.ide.buffers import absolute
from fgc.ide.editor import Editor
from fgc.ide.families import Closure, FamilyLink, TemplateId
from fgc.ide.marks import Mark, MarkKind
from fgc.ide.navigation import file_of
from fgc.text import Span
from fgc.workspace.files import display_path
from fgc.workspace.hierarchy import template_files
from fgc.workspace.project import META_FILE, ProjectDescription, Setting


class Following(Struct, frozen=True):
    """The edits by which names follow files that move, by file; `problems` are the names that no edit keeps true."""

    edits: dict[str, list[Edit]]
    problems: tuple[str, ...] = ()


class _Reader(Struct, frozen=True):
    """A project or its `meta.yaml`, with the folders in which it finds templates after the moves."""

    name: str
    folders: tuple[Path, ...]


def follow(editor: Editor, moves: Iterable[tuple[str, str]]) -> Following:
    """Returns what must be written where files or folders are named that move, as (old, new) paths.

    Those are the names in statements, and the folders, the prefix and the default of every `meta.yaml`. A name in a
    statement is written only if it leads to the same file for every project that reads it there.
    """
    return _Follower(editor, [*moves]).all()


class _Follower:
    """Reads a workspace with the eyes of one set of moves."""

    def __init__(self, editor: Editor, moves: list[tuple[str, str]]) -> None:
        self._editor = editor
        self._moves = moves
        self._edits: dict[Span, Edit] = {}
        self._problems: dict[str, None] = {}

    def all(self) -> Following:
        self._settings()
        self._names()
        self._configurations()
        edits: dict[str, list[Edit]] = {}
        for span, edit in self._edits.items():
            path = file_of(span)
            if any(Path(path).is_relative_to(folder) for folder in self._editor.folders):
                edits.setdefault(path, []).append(edit)
            else:
                self._problem(span, f"`{span.text}` is named outside of this workspace")
        return Following(edits, tuple(self._problems))

    def _settings(self) -> None:
        """Writes the folders and names of descriptions that all their projects can agree on."""
        wanted: dict[Span, dict[str, Setting]] = {}
        for project in self._editor.families.projects():
            for setting in project.settings:
                wanted.setdefault(setting.span, {})[self._wanted(project, setting)] = setting
        for span, texts in wanted.items():
            setting = next(iter(texts.values()))
            if texts.keys() == {setting.text} or all(text == each.text for text, each in texts.items()):
                continue
            if len(texts) == 1 and setting.is_literal:
                quoted = 1 if span.text[:1] in "\"'" and len(span.text) > 1 else 0
                inner = span.at(quoted, span.end - span.start - quoted)
                self._edits[inner] = Edit(inner, next(iter(texts)))
            else:
                how = "for several projects" if setting.is_literal else "by an expression"
                self._problem(span, f"`{setting.key}` names {display_path(Path(setting.text))} {how}: change it there")

    def _wanted(self, project: ProjectDescription, setting: Setting) -> str:
        """Returns what a setting must say after the moves."""
        home, text = self._new(project.folder), setting.text
        match setting.key:
            case "default_config":
                return self._wanted_default(project, text)
            case "config_prefix":
                return self._wanted_prefix(project, text)
            case _:
                old = absolute(project.folder / text)
                new = self._new(old)
                if absolute(home / text) == new or (not setting.is_literal and not self._moves_alone(project, old)):
                    return text
                return str(new) if Path(text).is_absolute() else os.path.relpath(new, home)

    def _wanted_prefix(self, project: ProjectDescription, prefix: str) -> str:
        for folder in project.template_folders:
            old, new_folder = absolute(folder / prefix), self._new(absolute(folder))
            new = self._new(old)
            if new != new_folder / prefix and new.is_relative_to(new_folder):
                return new.relative_to(new_folder).as_posix()
        return prefix

    def _wanted_default(self, project: ProjectDescription, name: str) -> str:
        path = project.configurations.get(name)
        if path is None or _moved(str(absolute(path)), self._moves) is None:
            return name
        start = self._prefix(project)
        found = self._names_of(self._reader(project), self._new(absolute(path)))
        return next((other[len(start) + 1 :] for other in found if other.startswith(f"{start}/")), name)

    def _prefix(self, project: ProjectDescription) -> str:
        """Returns the prefix of a project's configurations after the edits."""
        setting = next((each for each in project.settings if each.key == "config_prefix"), None)
        return project.config_prefix if setting is None or not setting.is_literal else self._wanted(project, setting)

    def _moves_alone(self, project: ProjectDescription, path: Path) -> bool:
        """Returns True if a path moves otherwise than with the project that it belongs to."""
        home = project.folder
        along = self._new(home) / path.relative_to(home) if path.is_relative_to(home) else path
        return self._new(path) != along

    def _names(self) -> None:
        """Writes the names of templates in statements."""
        for mention, targets in self._mentions().items():
            if any(_moved(target, self._moves) is not None for _, target in targets):
                name = self._common_name(mention, targets)
                if name != mention.name:
                    self._edits[mention.span] = Edit(mention.span, name)

    def _configurations(self) -> None:
        """Tells of projects that no longer find their configurations, because a folder around them moves."""
        roots = {old for old, _ in self._moves}
        for project in self._editor.families.projects():
            prefix = self._prefix(project)
            folders = [folder / prefix for folder in self._reader(project).folders]
            for name, path in project.configurations.items():
                new = self._new(absolute(path))
                is_found = any(new.is_relative_to(folder) for folder in folders)
                if new != absolute(path) and str(absolute(path)) not in roots and not is_found:
                    start = Span(self._editor.source(project.folder / META_FILE), 0, 0)
                    self._problem(start, f"project `{project.name}` does not find its configuration `{name}` any more")
                    break

    def _mentions(self) -> dict[Mark, list[tuple[_Reader, str]]]:
        """Returns all names of templates in statements, each with who reads it and the files that it means."""
        found: dict[Mark, list[tuple[_Reader, str]]] = {}
        for reader, closure in self._closures():
            for template, links in closure.links.items():
                for link in links:
                    if link.target is not None and not link.target.part:
                        for mark in self._marks(template, link):
                            found.setdefault(mark, []).append((reader, link.target.path))
        return found

    def _closures(self) -> Iterator[tuple[_Reader, Closure]]:
        """Yields the closures of all descriptions and configurations, and of templates that none of them draws on."""
        families = self._editor.families
        seen: set[str] = set()
        readers = [(project, self._reader(project)) for project in families.projects()]
        for project, reader in readers:
            folders = tuple(self._new(absolute(folder)) for folder in project.description_folders)
            yield _Reader(reader.name, folders), families.closure(str(project.folder / META_FILE))
            for config in project.configurations.values():
                closure = families.closure(str(absolute(config)), project)
                seen |= closure.paths
                yield reader, closure
        for project, reader in readers:
            folders = tuple(absolute(folder) for folder in project.searchpath)
            for _, path in template_files([*folders], self._editor.store):
                if str(path) not in seen:
                    yield reader, families.closure(str(path), project)

    def _marks(self, template: TemplateId, link: FamilyLink) -> Iterator[Mark]:
        """Yields the places in a statement that hold the name of a template."""
        for mark in self._editor.families.marks(template.path):
            is_name = mark.kind is MarkKind.TEMPLATE and mark.name == link.name and mark.part == template.part
            if is_name and not mark.is_definition and link.span.start <= mark.span.start < link.span.end:
                yield mark

    def _common_name(self, mention: Mark, targets: Iterable[tuple[_Reader, str]]) -> str:
        """Returns a name that leads to the target for all who can still find it; the old one if there is none."""
        found = {reader: self._names_of(reader, self._new(Path(target))) for reader, target in targets}
        known = [names for names in found.values() if names]
        lost = next((reader.name for reader, names in found.items() if not names), None)
        if lost is not None:
            self._problem(mention.span, f"`{mention.name}` is not found by project `{lost}` at its new place")
        common = [name for name in known[0] if all(name in names for names in known)] if known else []
        if known and not common:
            self._problem(mention.span, f"`{mention.name}` gets another name in each project that reads it here")
        return mention.name if mention.name in common or not common else common[0]

    def _names_of(self, reader: _Reader, path: Path) -> list[str]:
        """Returns the names by which a file is found after the moves; an earlier file of the name hides it."""
        found: list[str] = []
        for at, folder in enumerate(reader.folders):
            if path.is_relative_to(folder):
                name = path.relative_to(folder).as_posix()
                if not any(self._is_there(earlier / name) for earlier in reader.folders[:at]):
                    found.append(name)
        return found

    def _reader(self, project: ProjectDescription) -> _Reader:
        """Returns where a project looks for templates after the moves and the edits of its search path."""
        texts = {absolute(project.folder / s.text): s for s in project.settings if s.key == "searchdir"}
        folders = []
        for folder in map(absolute, project.template_folders):
            setting = texts.get(folder)
            stays = setting is None or not setting.is_literal
            stays = stays and self._moves_alone(project, folder) and folder != project.library
            folders.append(folder if stays else self._new(folder))
        return _Reader(project.name, tuple(folders))

    def _is_there(self, path: Path) -> bool:
        """Returns True if a file will have this path."""
        source = _moved(str(path), ((new, old) for old, new in self._moves))
        if source is not None:
            return self._editor.store.is_file(Path(source))
        return _moved(str(path), self._moves) is None and self._editor.store.is_file(path)

    def _new(self, path: Path) -> Path:
        return Path(_moved(str(path), self._moves) or path)

    def _problem(self, span: Span, text: str) -> None:
        self._problems[f"{display_path(Path(file_of(span)))}:{span.first.line}: {text}"] = None


def _moved(path: str, moves: Iterable[tuple[str, str]]) -> str | None:
    """Returns the new path of a file that moves, by itself or with a folder."""
    for old, new in moves:
        if path == old or path.startswith(f"{old}/"):
            return f"{new}{path[len(old) :]}"
    return None
