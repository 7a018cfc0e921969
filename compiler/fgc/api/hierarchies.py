"""Shows templates and what they extend, include and import: as a tree, as Markdown or as JSON."""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from textwrap import wrap

from msgspec import Struct

from fgc.workspace.hierarchy import TemplateEntry, UseKind


class Branch(Struct, frozen=True):
    """A template in a tree; `word` is its relation to the template above it."""

    name: str
    word: str
    note: str
    branches: "tuple[Branch, ...]" = ()


def inheritance(entries: Sequence[TemplateEntry], all_names: Collection[str]) -> list[Branch]:
    """Returns the trees of templates, each below the one that it extends; the others are roots."""
    children: dict[TemplateEntry, list[TemplateEntry]] = {}
    roots = []
    for entry in entries:
        parents = [found for name in entry.names(UseKind.EXTENDS) if (found := _find(name, entry, entries))]
        for parent in parents:
            children.setdefault(parent, []).append(entry)
        if not parents:
            roots.append(entry)
    placed: set[TemplateEntry] = set()

    def branch(entry: TemplateEntry, above: tuple[TemplateEntry, ...] = ()) -> Branch:
        placed.add(entry)
        inner = [child for child in children.get(entry, ()) if child not in (*above, entry)]
        note = _note(entry, entries, all_names)
        return Branch(entry.name, "", note, tuple(branch(child, (*above, entry)) for child in inner))

    trees = [branch(entry) for entry in roots]
    return trees + [branch(entry) for entry in entries if entry not in placed]  # a cycle has no root


def _find(name: str, user: TemplateEntry, entries: Sequence[TemplateEntry]) -> TemplateEntry | None:
    """Returns the template that a name refers to: an inline one of the same file, else the first with that name."""
    found = [entry for entry in entries if entry.name == name and entry is not user]
    own = [entry for entry in found if entry.is_inline and entry.file == user.file]
    return next(iter(own or found), None)


def _note(entry: TemplateEntry, entries: Sequence[TemplateEntry], all_names: Collection[str]) -> str:
    """Returns the note beside a template's name."""
    parts = [f"inline in {Path(entry.file).name}"] if entry.is_inline else []
    shown = {entry.name for entry in entries}
    for use in entry.uses:
        if use.kind is UseKind.EXTENDS and not shown.intersection(use.names):
            is_missing = bool(use.names) and not set(all_names).intersection(use.names)
            parts.append(
                f"extends {', '.join(use.names) or use.text}" + (", which does not exist" if is_missing else "")
            )
    for kind in (UseKind.INCLUDES, UseKind.IMPORTS):
        words = list(dict.fromkeys(n for use in entry.uses if use.kind is kind for n in use.names or (use.text,)))
        parts += [f"{kind.value} {', '.join(words)}"] if words else []
    return "; ".join(parts)


def as_tree(trees: Sequence[Branch], *, columns: int | None = None, dim: Callable[[str], str] = str) -> Iterator[str]:
    """Yields lines with a branch for each template; notes are dimmed, and wrapped to `columns`."""
    for tree in trees:
        yield from _tree_lines(tree, "", "", columns, dim)


def _tree_lines(tree: Branch, stem: str, indent: str, columns: int | None, dim: Callable[[str], str]) -> Iterator[str]:
    name = f"{tree.word} {tree.name}" if tree.word else tree.name
    note = f"({tree.note})" if tree.note else ""
    below = indent + ("│   " if tree.branches else "    ")
    if columns is None or len(stem + name + note) + 2 <= columns:
        yield stem + name + (f"  {dim(note)}" if note else "")
    else:
        yield stem + name
        yield from (below + dim(line) for line in wrap(note, max(columns - len(below), 20), break_long_words=False))
    for number, branch in enumerate(tree.branches):
        is_last = number == len(tree.branches) - 1
        inner = indent + ("    " if is_last else "│   ")
        yield from _tree_lines(branch, indent + ("└── " if is_last else "├── "), inner, columns, dim)


def as_markdown(trees: Sequence[Branch], depth: int = 0) -> Iterator[str]:
    """Yields nested list items."""
    for tree in trees:
        word = f"{tree.word} " if tree.word else ""
        yield "  " * depth + f"- {word}`{tree.name}`" + (f" ({tree.note})" if tree.note else "")
        yield from as_markdown(tree.branches, depth + 1)


def entries_json(entries: Sequence[TemplateEntry]) -> str:
    """Returns every template with the names it mentions; `computed` counts names known only when the template runs."""
    rows = [
        {
            "name": entry.name,
            "file": entry.file,
            "is_inline": entry.is_inline,
            **{kind.value: list(entry.names(kind)) for kind in UseKind},
            "computed": [f"{use.kind.value} {use.text}" for use in entry.uses if not use.names],
        }
        for entry in entries
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False)
