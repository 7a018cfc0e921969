"""Finds the modules of the runtime that a program uses, by reading imports, without importing anything."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGE = "fgc_runtime"
LICENSE = """\
The files in this folder are part of fgc, copied by `fgc build --bundle`.

MIT License

Copyright (c) 2026 The fgc authors

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""


def runtime_files(programs: Iterable[str], package: Path) -> dict[Path, str]:
    """Returns the modules of the runtime (in the folder `package`) that Python texts need, with their texts."""
    found: dict[Path, str] = {}
    pending = [name for text in programs for name in _imported(text, "")]
    while pending:
        name = pending.pop()
        for path, around in _modules(name, package):
            if path not in found:
                found[path] = path.read_text(encoding="utf-8")
                pending += _imported(found[path], around)
    return dict(sorted(found.items()))


def _imported(text: str, around: str) -> Iterator[str]:
    """Yields the names in the runtime that a text imports, at any level; `around` is the package of the text."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == PACKAGE)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, around)
            if module.split(".")[0] == PACKAGE:
                yield from (f"{module}.{alias.name}" for alias in node.names)


def _absolute(node: ast.ImportFrom, around: str) -> str:
    if not node.level:
        return node.module or ""
    parts = around.split(".")
    return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])


def _modules(name: str, package: Path) -> Iterator[tuple[Path, str]]:
    """Yields the files that Python loads for a dotted name: its packages, and the module itself."""
    folder, around = package, PACKAGE
    yield folder / "__init__.py", around
    for part in name.split(".")[1:]:
        if (folder / part / "__init__.py").is_file():
            folder, around = folder / part, f"{around}.{part}"
            yield folder / "__init__.py", around
        else:
            if (folder / f"{part}.py").is_file():
                yield folder / f"{part}.py", around
            return
