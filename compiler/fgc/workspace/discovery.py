"""A folder to the projects in it and below it."""

from collections.abc import Callable, Iterator
from pathlib import Path

from fgc.workspace.project import META_FILE
from fgc.workspace.store import FileStore


def projects_below(
    folder: Path, store: FileStore, on_unreadable: Callable[[OSError], None] | None = None
) -> Iterator[Path]:
    """Every folder with a `meta.yaml`, sorted; hidden folders and links to folders are not entered."""
    for root, files in store.walk(folder, _is_entered, on_unreadable):
        if META_FILE in files:
            yield root


def _is_entered(name: str) -> bool:
    return not name.startswith(".") and name != "__pycache__"
