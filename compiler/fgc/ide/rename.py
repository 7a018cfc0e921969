"""A new name for a thing, everywhere it is named; or the reason why that cannot be done."""

import re
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from fgc.diagnostics import Edit
from fgc.ide.editor import Editor
from fgc.ide.marks import Mark, MarkKind, end_name
from fgc.ide.moves import follow
from fgc.ide.navigation import file_of, mark_under, references, template_of
from fgc.patterns import regex
from fgc.text import Span
from fgc.workspace.files import display_path

_NAMES = {
    MarkKind.BLOCK: re.compile(r"[A-Za-z_]\w*"),
    MarkKind.SUPER: re.compile(r"[A-Za-z_]\w*"),
    MarkKind.ANCHOR: re.compile(r"[^\s\[\]{},*&!#]+"),
    MarkKind.VARIABLE: re.compile(r"[A-Za-z_]\w*"),
    MarkKind.MACRO: re.compile(r"[A-Za-z_]\w*"),
    MarkKind.ATTRIBUTE: re.compile(r"[A-Za-z_]\w*"),
    MarkKind.OBJECT: re.compile(r"[A-Za-z_]\w*"),
    MarkKind.TEMPLATE: re.compile(r"[^\s\"'\n]+"),
}
_MACRO = regex(r"\W*macro\b")


class CannotRename(Exception):
    """A name that cannot be changed; the text says why."""


class Renaming(Struct, frozen=True):
    """The edits of a new name by file; `moved` is a file that gets another path."""

    edits: dict[str, list[Edit]]
    moved: tuple[str, str] | None = None


def can_rename(editor: Editor, path: str, offset: int) -> Span:
    """Returns the place of the name that can be changed. Raises CannotRename."""
    mark = mark_under(editor, path, offset)
    if mark is None:
        raise CannotRename("there is no name here")
    if mark.kind not in _NAMES:
        raise CannotRename(f"a {mark.kind.value} is named outside of templates")
    end = end_name(mark) if mark.kind is MarkKind.BLOCK else None
    return end if end is not None and end.start <= offset <= end.end else mark.span


def rename(editor: Editor, path: str, offset: int, name: str) -> Renaming:
    """Returns the edits that give the name at a place another one. Raises CannotRename."""
    can_rename(editor, path, offset)
    mark = mark_under(editor, path, offset)
    assert mark is not None, "it can be renamed"
    if not _NAMES[mark.kind].fullmatch(name):
        raise CannotRename(f"`{name}` cannot name a {_word(mark)}")
    found = references(editor, path, offset)
    if not any(other.is_definition for other in found) and mark.kind is not MarkKind.TEMPLATE:
        raise CannotRename(f"nothing in this workspace defines `{mark.name}`")
    _refuse_parameter(found)
    _refuse_computed(editor, path, mark)
    _refuse_taken(editor, path, mark, found, name)
    moved = _moved(editor, path, mark, name)
    spans = [*(other.span for other in found), *_ends(mark, found)]
    edits: dict[str, list[Edit]] = {}
    for span in dict.fromkeys(spans):
        edits.setdefault(_own_file(editor, span), []).append(Edit(span, name))
    if moved is not None:  # other projects may know the file by another name
        following = follow(editor, [moved])
        if following.problems:
            raise CannotRename(following.problems[0])
        for file, others in following.edits.items():
            edits.setdefault(file, []).extend(edit for edit in others if edit.span not in spans)
    return Renaming({file: found for file, found in edits.items() if found}, moved)


def _own_file(editor: Editor, span: Span) -> str:
    """Returns the file of a place. Raises CannotRename if it is outside of the workspace."""
    path = file_of(span)
    if not any(Path(path).is_relative_to(folder) for folder in editor.folders):
        raise CannotRename(
            f"it is also named in {display_path(Path(path))}:{span.first.line}, outside of this workspace"
        )
    return path


def _refuse_parameter(found: Iterable[Mark]) -> None:
    """Refuses a parameter of a macro: calls may give it by its name, and another macro's may be called like it."""
    for other in found:
        if other.kind is MarkKind.VARIABLE and other.is_definition and _MACRO.match(other.whole.text):
            place = f"{display_path(Path(file_of(other.span)))}:{other.span.first.line}"
            raise CannotRename(f"`{other.name}` is a parameter of a macro, in {place}: calls may name it")


def _refuse_computed(editor: Editor, path: str, mark: Mark) -> None:
    """Refuses a name that templates share, if the name of one of them is computed."""
    if mark.kind is MarkKind.VARIABLE:
        return
    for closure in editor.families.family(path):
        if closure.is_open:
            place = display_path(Path(closure.entry.path))
            raise CannotRename(f"{place} uses a template whose name is computed: not every reference is known")


def _refuse_taken(editor: Editor, path: str, mark: Mark, found: Iterable[Mark], name: str) -> None:
    """Refuses a name that something of the same kind has, in a file where it would be changed."""
    full = f"{mark.name.rpartition('.')[0]}.{name}" if mark.kind is MarkKind.ATTRIBUTE else name
    kind = MarkKind.BLOCK if mark.kind is MarkKind.SUPER else mark.kind
    for file in dict.fromkeys([path, *(file_of(other.span) for other in found)]):
        for other in editor.families.marks(file):
            if other.kind is kind and other.name == full and other.is_definition:
                place = f"{display_path(Path(file))}:{other.span.first.line}"
                raise CannotRename(f"there is a {_word(mark)} `{full}` already, in {place}")


def _moved(editor: Editor, path: str, mark: Mark, name: str) -> tuple[str, str] | None:
    """Returns the old and the new path of a template's file, if the name of a file is changed."""
    if mark.kind is not MarkKind.TEMPLATE or mark.is_definition:
        return None
    targets = template_of(editor, path, mark)
    if not targets:
        raise CannotRename(f"there is no template `{mark.name}`")
    if len(targets) > 1:
        raise CannotRename(f"`{mark.name}` is another file in another configuration")
    if targets[0].part:
        return None
    old = targets[0].path
    if not old.endswith(f"/{mark.name}"):
        raise CannotRename(f"the file of `{mark.name}` has another name")
    new = f"{old[: -len(mark.name)]}{name}"
    if Path(new).exists():
        raise CannotRename(f"there is a file {display_path(Path(new))} already")
    return old, new


def _ends(mark: Mark, found: Iterable[Mark]) -> list[Span]:
    """Returns the names behind `endblock` of the blocks that are renamed."""
    if mark.kind not in (MarkKind.BLOCK, MarkKind.SUPER):
        return []
    return [end for block in found if (end := end_name(block)) is not None]


def _word(mark: Mark) -> str:
    return MarkKind.BLOCK.value if mark.kind is MarkKind.SUPER else mark.kind.value
