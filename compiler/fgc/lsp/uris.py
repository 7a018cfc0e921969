"""URIs of a client to paths, and back.

A client names a file in its own way: through a link to the workspace, with other letters in percents. What it is told
of a file that it has open has the URI by which it opened it.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from pygls.uris import from_fs_path, to_fs_path

from fgc.workspace.project import find_project


class Uris:
    """The names that one client gives to files."""

    def __init__(self, folders: Iterable[str] = ()) -> None:
        self._roots: dict[str, str] = {}  # folders behind links, as the client names them, with what they are
        self._named: dict[str, str] = {}
        self.add(folders)

    def add(self, folders: Iterable[str]) -> None:
        """Adds folders of the client."""
        for folder in folders:
            self._add_root(os.path.abspath(folder))  # noqa: PTH100 -- `Path.resolve` follows links

    def path_of(self, uri: str) -> str | None:
        """Returns the path of a file; None for a text that is none, such as an untitled one."""
        local = uri.replace("file://localhost/", "file:///", 1)
        found = to_fs_path(local) if local.startswith("file:") else None
        if not found or "\0" in found:
            return None
        path = os.path.abspath(found)  # noqa: PTH100
        if not any(_is_in(path, root) for root in self._roots):
            project = find_project(Path(path).parent)
            if project is not None:
                self._add_root(str(project))
        return _mapped(path, self._roots.items())

    def uri_of(self, path: str) -> str:
        """Returns the URI of an absolute path, as the client named it, if it did."""
        if path in self._named:
            return self._named[path]
        shown = _mapped(path, ((real, root) for root, real in self._roots.items()))
        return from_fs_path(shown) or f"file://{shown}"

    def opened(self, uri: str) -> None:
        """Remembers how the client names a file."""
        path = self.path_of(uri)
        if path is not None:
            self._named[path] = uri

    def _add_root(self, folder: str) -> None:
        real = os.path.realpath(folder)
        if real != folder:
            self._roots[folder] = real


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _mapped(path: str, folders: Iterable[tuple[str, str]]) -> str:
    """Returns a path with the longest folder in front of it exchanged."""
    fitting = [(old, new) for old, new in folders if _is_in(path, old)]
    old, new = max(fitting, key=lambda pair: len(pair[0]), default=("", ""))
    return f"{new}{path[len(old) :]}"
