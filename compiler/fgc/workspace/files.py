"""Files to sources: the only place where templates are read from disk."""

import errno
import os
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
    here = Path.cwd()
    for shown in (Path(os.path.abspath(path)), real_path(path)):  # noqa: PTH100 -- as it is called, then as it is
        if shown.is_relative_to(here):
            return str(shown.relative_to(here))
    return os.path.normpath(path)


def _unreadable(name: str, shown: str, code: str, message: str, raw: bytes | None = None) -> tuple[Source, Diagnostic]:
    source = Source(name, "", shown, None if raw is None else content_digest(raw))
    return source, Diagnostic(code, message, Span(source, 0, 0))
