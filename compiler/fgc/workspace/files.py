"""Files to sources: the only place where templates are read from disk."""

import errno
import os
from functools import lru_cache
from pathlib import Path

from fgc.diagnostics import Diagnostic
from fgc.questions import content_digest
from fgc.reading import read_bytes
from fgc.text import Source, Span

_MAX_SIZE_BYTES = 4_000_000  # the longest real template has 60 kB; a data file named by mistake has more


def read_source(path: Path, name: str) -> tuple[Source, Diagnostic | None]:
    """The text of a file with its line ends normalised, and what is wrong with it; then the text is empty."""
    shown = display_path(path)
    try:
        raw = read_bytes(path, max_bytes=_MAX_SIZE_BYTES)
    except IsADirectoryError:
        return _unreadable(name, shown, "FGC001", f"`{shown}` is a folder, not a file")
    except OSError as error:
        if error.errno == errno.EFBIG:
            message = f"`{shown}` has {path.stat().st_size:,} bytes; a template has at most {_MAX_SIZE_BYTES:,}"
            return _unreadable(name, shown, "FGC001", message)
        return _unreadable(name, shown, "FGC001", f"`{shown}` cannot be read: {error.strerror or error}")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        message = f"`{shown}` is not UTF-8 text: byte 0x{raw[error.start]:02x} in line {line}"
        return _unreadable(name, shown, "FGC003", message, raw)
    if "\0" in text:
        return _unreadable(name, shown, "FGC003", f"`{shown}` is a binary file", raw)
    return Source(name, text.replace("\r\n", "\n").replace("\r", "\n"), shown, content_digest(raw)), None


def real_path(path: Path) -> Path:
    """The file that a path leads to; where a loop of links leads nowhere, the path itself."""
    return Path(os.path.realpath(path))


def display_path(path: Path) -> str:
    """A path as the user would type it here: relative if it lies below the current folder."""
    here = os.getcwd()  # noqa: PTH109 -- thousands of files of packages are read: texts are 3x faster
    folder = here if here.endswith("/") else f"{here}/"
    called = os.path.abspath(path)  # noqa: PTH100
    if called == here or called.startswith(folder):
        return called.removeprefix(folder) if called != here else "."
    parent, name = os.path.split(called)
    real = os.path.realpath(called) if os.path.islink(called) else os.path.join(_real_folder(parent), name)  # noqa: PTH114, PTH118
    return real.removeprefix(folder) if real.startswith(folder) else os.path.normpath(path)


@lru_cache(maxsize=10_000)
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


def _unreadable(name: str, shown: str, code: str, message: str, raw: bytes | None = None) -> tuple[Source, Diagnostic]:
    source = Source(name, "", shown, None if raw is None else content_digest(raw))
    return source, Diagnostic(code, message, Span(source, 0, 0))
