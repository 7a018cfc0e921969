"""Unsaved texts of an editor, laid over the files on disk."""

import os
from pathlib import Path

from fgc.diagnostics import Diagnostic
from fgc.questions import content_digest
from fgc.text import Source
from fgc.workspace.files import display_path
from fgc.workspace.store import FileStore


def absolute(path: Path | str) -> Path:
    """Returns a path as the editor names it: absolute, links not followed."""
    return Path(os.path.abspath(path))  # noqa: PTH100 -- `Path.resolve` follows links


class BufferStore(FileStore):
    """A `FileStore` that reads the editor's text of a file, where it has one."""

    def __init__(self) -> None:
        super().__init__(shows_text=False)
        self._buffers: dict[str, str] = {}

    def lay(self, path: Path, text: str) -> bool:
        """Sets the text of an open file; returns False if that changes nothing."""
        key = os.path.realpath(path)
        normal = text.replace("\r\n", "\n").replace("\r", "\n")
        if self._buffers.get(key) == normal:
            return False
        self._buffers[key] = normal
        self._forget(path)
        return True

    def lift(self, path: Path) -> None:
        """Reads a file from disk again."""
        if self._buffers.pop(os.path.realpath(path), None) is not None:
            self._forget(path)

    def open_texts(self) -> dict[str, str]:
        """Returns the texts of open files by their real paths."""
        return dict(self._buffers)

    def is_file(self, path: Path) -> bool:
        return os.path.realpath(path) in self._buffers or super().is_file(path)

    def read(self, path: Path, name: str) -> tuple[Source, Diagnostic | None]:
        text = self._buffers.get(os.path.realpath(path))
        if text is None:
            return super().read(path, name)

        def laid() -> tuple[Source, Diagnostic | None]:
            source = Source(name, text, display_path(path), content_digest(text.encode("utf-8", "surrogatepass")))
            self.questions.saw(path, source.digest)
            return source, None

        return self.questions.ask(("text", path, name), laid)

    def _forget(self, path: Path) -> None:
        self.questions.forget([path, Path(os.path.realpath(path))])
