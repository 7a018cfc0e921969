"""A folder to the projects in it and below it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from fgc.workspace.project import META_FILE
from fgc.workspace.store import FileStore


def projects_below(
    folder: Path, store: FileStore, on_unreadable: Callable[[OSError], None] | None = None
) -> Iterator[Path]:
    """Every folder with a `meta.yaml`, sorted; hidden folders and links to folders are not entered."""
    for root, folders, files in os.walk(folder, onerror=on_unreadable):
        store.trace.folders.add(Path(root))
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        if META_FILE in files:
            yield Path(root)
