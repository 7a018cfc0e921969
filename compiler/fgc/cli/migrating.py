"""A tree on disk to its files as they are after a migration: only files inside it are read and written."""

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from fgc.migrate import Migrated, MigrationTable, migrate_notebook, migrate_python, migrate_template, read_table

_SKIPPED = frozenset(("__pycache__", "node_modules", "output_models", "site-packages", "forgather.egg-info"))
_PACKAGE = "forgather"  # the reference's own source, which nobody migrates


class MigratedFile(Struct, frozen=True):
    """A file's text before and after, line ends included; `problem` says why it was not read."""

    path: Path
    before: str
    result: Migrated
    problem: str | None = None

    @property
    def is_changed(self) -> bool:
        return self.before != self.result.text


def migrated_files(tree: Path) -> Iterator[MigratedFile]:
    """Migrates each template, Python file and notebook of a tree; nothing is written."""
    table = read_table()
    paths = [path for path in _files(tree) if path.suffix in (".yaml", ".yml", ".py", ".ipynb")]
    own = _Names(paths)
    for path in paths:
        try:
            text = path.read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            yield MigratedFile(path, "", Migrated("", 0, ()), f"cannot be read: {error}")
            continue
        yield MigratedFile(path, text, _migrate(path, text, table, own))


def _migrate(path: Path, text: str, table: MigrationTable, own: "_Names") -> Migrated:
    if path.suffix == ".py":
        return migrate_python(text, table)
    if path.suffix == ".ipynb":
        return migrate_notebook(text, table)
    return migrate_template(text, table, own)


class _Names:
    """The names by which templates of the tree can be found, from whatever folder is searched.

    A checkout of the reference has its library in the tree, whose names are those of the table.
    """

    def __init__(self, paths: list[Path]) -> None:
        bases = [path.parent for path in paths if path.parts[-3:] == ("templatelib", "base", "config_type.yaml")]
        own = [path for path in paths if not any(path.is_relative_to(base.parent) for base in bases)]
        self._names = {"/".join(path.parts[n:]) for path in own for n in range(1, len(path.parts))}
        self._names |= {"templatelib/base"} if bases else set()

    def __contains__(self, name: object) -> bool:
        return name in self._names


def _files(tree: Path) -> Iterator[Path]:
    """Files of a tree, sorted; links and hidden folders are not followed."""
    for root, folders, names in os.walk(tree):
        kept = [name for name in folders if not name.startswith(".") and name not in _SKIPPED]
        is_source = (Path(root) / _PACKAGE / "__init__.py").is_file()
        folders[:] = sorted(name for name in kept if not (is_source and name == _PACKAGE))
        yield from (path for name in sorted(names) if not (path := Path(root) / name).is_symlink() and path.is_file())
