"""Keeps the names of templates true when files or folders get another path."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from fgc.diagnostics import Edit
from fgc.ide.buffers import absolute
from fgc.ide.editor import Editor
from fgc.ide.families import Closure, FamilyLink, TemplateId
from fgc.ide.marks import Mark, MarkKind
from fgc.ide.navigation import file_of
from fgc.text import Span
from fgc.workspace.hierarchy import template_files
from fgc.workspace.project import META_FILE, ProjectDescription

_DEFAULT = re.compile(r"(?m)^default_config:[ \t]+[\"']?(?P<name>[^\"'\s#]+)")


def edits_of_moves(editor: Editor, moves: Iterable[tuple[str, str]]) -> dict[str, list[Edit]]:
    """Returns by file what must be written where templates are named whose files move, as (old, new) paths.

    A name is written only if it leads to the same file in every project that reads it there. A file that leaves the
    search path keeps its mentions: no name leads to it any more.
    """
    pairs = [*moves]
    found: dict[Span, Edit] = {}
    for mention, targets in _mentions(editor).items():
        if any(_moved(target, pairs) is not None for _, target in targets):
            name = _common_name(editor, mention.name, targets, pairs)
            if name != mention.name:
                found[mention.span] = Edit(mention.span, name)
    for project in editor.families.projects():
        found |= {edit.span: edit for edit in _of_default(editor, project, pairs)}
    edits: dict[str, list[Edit]] = {}
    for span, edit in found.items():
        path = file_of(span)
        if any(Path(path).is_relative_to(folder) for folder in editor.folders):
            edits.setdefault(path, []).append(edit)
    return edits


def _mentions(editor: Editor) -> dict[Mark, list[tuple[ProjectDescription, str]]]:
    """Returns all names of templates in statements, each with the projects that read it and the files that it means."""
    found: dict[Mark, list[tuple[ProjectDescription, str]]] = {}
    for project, closure in _closures(editor):
        for template, links in closure.links.items():
            for link in links:
                if link.target is not None and not link.target.part:
                    for mark in _marks(editor, template, link):
                        found.setdefault(mark, []).append((project, link.target.path))
    return found


def _closures(editor: Editor) -> Iterator[tuple[ProjectDescription, Closure]]:
    """Yields the closures of all configurations, and of the templates that no configuration draws on."""
    families = editor.families
    seen: set[str] = set()
    for project in families.projects():
        for config in project.configurations.values():
            closure = families.closure(str(absolute(config)), project)
            seen |= closure.paths
            yield project, closure
    for project in families.projects():
        for _, path in template_files([absolute(folder) for folder in project.searchpath], editor.store):
            if str(path) not in seen:
                yield project, families.closure(str(path), project)


def _marks(editor: Editor, template: TemplateId, link: FamilyLink) -> Iterator[Mark]:
    """Yields the places in a statement that hold the name of a template."""
    for mark in editor.families.marks(template.path):
        is_name = mark.kind is MarkKind.TEMPLATE and mark.name == link.name and mark.part == template.part
        if is_name and not mark.is_definition and link.span.start <= mark.span.start < link.span.end:
            yield mark


def _moved(path: str, moves: Iterable[tuple[str, str]]) -> str | None:
    """Returns the new path of a file that moves, by itself or with a folder."""
    for old, new in moves:
        if path == old or path.startswith(f"{old}/"):
            return f"{new}{path[len(old) :]}"
    return None


def _common_name(
    editor: Editor, name: str, targets: Iterable[tuple[ProjectDescription, str]], moves: list[tuple[str, str]]
) -> str:
    """Returns a name that leads to the target in all projects that can still find it; `name` if there is none."""
    found = [_names(editor, project, _moved(target, moves) or target, moves) for project, target in targets]
    known = [names for names in found if names]
    common = [other for other in known[0] if all(other in names for names in known)] if known else []
    return name if name in common or not common else common[0]


def _names(editor: Editor, project: ProjectDescription, path: str, moves: list[tuple[str, str]]) -> list[str]:
    """Returns the names by which a project finds a file after the moves; an earlier file of the name hides it."""
    folders = _searchpath(project, moves)
    found: list[str] = []
    for at, folder in enumerate(folders):
        if Path(path).is_relative_to(folder):
            name = Path(path).relative_to(folder).as_posix()
            if not any(_is_there(editor, earlier / name, moves) for earlier in folders[:at]):
                found.append(name)
    return found


def _searchpath(project: ProjectDescription, moves: list[tuple[str, str]]) -> list[Path]:
    """Returns where a project looks for templates after the moves: `searchdir` is relative to the project's folder."""
    home = Path(_moved(str(project.folder), moves) or project.folder)
    return [
        absolute(home / folder.relative_to(project.folder) if folder.is_relative_to(project.folder) else folder)
        for folder in project.template_folders
    ]


def _is_there(editor: Editor, path: Path, moves: list[tuple[str, str]]) -> bool:
    """Returns True if a file will have this path."""
    source = _moved(str(path), ((new, old) for old, new in moves))
    if source is not None:
        return editor.store.is_file(Path(source))
    return _moved(str(path), moves) is None and editor.store.is_file(path)


def _of_default(editor: Editor, project: ProjectDescription, moves: list[tuple[str, str]]) -> Iterator[Edit]:
    """Yields the default configuration of a project where its file moves."""
    source = editor.source(project.folder / META_FILE)
    match = _DEFAULT.search(source.text)
    path = None if match is None else project.configurations.get(match["name"])
    new = None if path is None else _moved(str(absolute(path)), moves)
    if match is None or new is None:
        return
    names = _names(editor, project, new, moves)
    prefix = f"{project.config_prefix}/"
    name = next((name.removeprefix(prefix) for name in names if name.startswith(prefix)), match["name"])
    if name != match["name"]:
        yield Edit(Span(source, *match.span("name")), name)
