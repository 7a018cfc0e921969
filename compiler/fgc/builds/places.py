"""Converts paths to names that do not depend on where a project and the library are, and back.

A name is a path relative to the project's folder, or begins with a root: `@library/models/llama.yaml` is a template of
the library, `@models` a model component, `@runtime` a module of the runtime, `@user` a template of the user.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field


class Places(Struct, frozen=True):
    """A project's folder, and the folders of the roots by their names."""

    project: Path
    roots: Mapping[str, Path] = field(default_factory=dict)

    def name(self, path: Path) -> str:
        """Returns the name of a file."""
        path = path.absolute()
        if not path.is_relative_to(self.project):
            for root, folder in self.roots.items():
                if path.is_relative_to(folder):
                    return f"@{root}/{path.relative_to(folder).as_posix()}"
        return Path(os.path.relpath(path, self.project)).as_posix()

    def path(self, name: str) -> Path | None:
        """Returns the file with a name; None if its root is not installed."""
        if not name.startswith("@"):
            return self.project / name
        root, _, rest = name[1:].partition("/")
        folder = self.roots.get(root)
        return None if folder is None else folder / rest
