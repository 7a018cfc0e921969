"""Jinja files to whether a template draws on them: what is no template of the language stays as it is.

The chat template of a tokenizer is Jinja's language, in which a line `## Answer` is text.
"""

import os
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from fgc.patterns import regex
from fgc.reading import read_bytes
from fgc.text import JINJA_SUFFIXES, TEMPLATE_SUFFIXES
from fgc.workspace import find_project

_STATEMENT = regex(r"(?:^[ \t]*(?:--|<<|>>)[ \t]|\{%[-+]?)\s*(?:extends|include|import|from)\b([^\n]*)", re.MULTILINE)
_NAME = regex(r"([\"'])((?:(?!\1).)+)\1")


def is_drawn_on(path: Path, named: Iterable[Path]) -> bool:
    """Returns True if a template extends, includes or imports a file: one of its project, or of a folder in `named`.

    A file that is in neither is looked up in the templates of its own folder.
    """
    path = path.resolve()
    around = [folder.resolve() for folder in named if folder.is_dir() and path.is_relative_to(folder.resolve())]
    project = find_project(path.parent)
    folders = [*around, *([project.resolve()] if project else [])] or [path.parent]
    return any(path in _drawn_below(folder) for folder in folders)


@cache
def _drawn_below(folder: Path) -> frozenset[Path]:
    """The Jinja files that templates below a folder draw on, also through each other."""
    files = list(_templates(folder))
    jinja = [file for file in files if file.suffix in JINJA_SUFFIXES]
    drawn: set[Path] = set()
    waiting = [file for file in files if file.suffix not in JINJA_SUFFIXES]
    while waiting:
        names = _named(waiting.pop())
        found = [file for file in jinja if file not in drawn and any(_is(file, name) for name in names)]
        drawn.update(found)
        waiting += found
    return frozenset(drawn)


def _templates(folder: Path) -> Iterable[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(root) / name for name in files if name.endswith(TEMPLATE_SUFFIXES))


def _named(file: Path) -> set[str]:
    """The names of templates that a file's statements hold."""
    try:
        text = read_bytes(file).decode("utf-8", errors="replace")
    except OSError:
        return set()
    return {name for statement in _STATEMENT.finditer(text) for _, name in _NAME.findall(statement[1])}


def _is(file: Path, name: str) -> bool:
    return f"/{file.as_posix()}".endswith(f"/{name}")
