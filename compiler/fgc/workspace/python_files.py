"""Python files that configurations name: model components and local modules, read as texts and never imported."""

from pathlib import Path

from fgc.text import Source
from fgc.workspace.library import component_folder
from fgc.workspace.store import FileStore


class PythonFiles:
    """Reads Python files by absolute path, or relative to a project; `read` collects what was read."""

    def __init__(self, folder: Path, store: FileStore) -> None:
        self._folder = folder
        self._store = store
        self.read: dict[Path, Source] = {}

    @property
    def component_folders(self) -> list[str]:
        components = component_folder()
        return [str(components)] if components else []

    def read_python(self, path: str) -> Source | None:
        found = self._folder / path  # an absolute path stays as it is
        source = self._store.python(found, path)
        if source is not None:
            self.read[found] = source
        return source
