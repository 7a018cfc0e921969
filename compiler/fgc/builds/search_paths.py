"""Finds modules that a program imports from its project's `system_path`, so that they can be copied beside it.

Python searches the folder of the program first, so the modules are found wherever the build is and is started from.
Installed packages take precedence over `system_path`, as they do when it is searched last.
"""

import ast
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from fgc.installed import package_folder


def modules_of(texts: Iterable[str], system_path: str | None) -> dict[str, Path]:
    """Returns the files that Python texts import from the folders, directly or not, by their names in a build."""
    folders = [Path(folder) for folder in (system_path or "").split(os.pathsep) if folder]
    found: dict[str, Path] = {}
    seen: set[str] = set()
    pending = [name for text in texts for name in _imported(text)] if folders else []
    while pending:
        name = pending.pop()
        if name in seen or _is_installed(name):
            continue
        seen.add(name)
        for target, path in _files(name, folders):
            found[target] = path
            pending += _imported(path.read_text(encoding="utf-8"))
    return dict(sorted(found.items()))


def _files(name: str, folders: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """Yields the file of a module, or all files of a package, from the first folder that has it."""
    for folder in folders:
        module, package = folder / f"{name}.py", folder / name
        paths = sorted(package.rglob("*.py")) or ([module] if module.is_file() else [])
        if paths:
            yield from ((path.relative_to(folder).as_posix(), path) for path in paths)
            return


def _is_installed(name: str) -> bool:
    return name in sys.stdlib_module_names or package_folder(name) is not None


def _imported(text: str) -> Iterator[str]:
    """Yields the top-level names that a text imports; none if it is not valid Python."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]
