"""Files that others wrote, to bytes, text or JSON: regular files of a bounded size, else an OSError that says why.

A pipe would wait for ever, a link to `/dev/zero` would never end. So a file is opened without waiting, its kind is
that of what was opened, and no more than the bound is read.
"""

import errno
import json
import os
import stat
from pathlib import Path
from typing import IO, Any

_MAX_SIZE_BYTES = 256_000_000  # a graph of a large configuration has 1 MB, a table of weights' names 10 MB
_WITHOUT_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def is_regular_file(path: Path) -> bool:
    """Returns True for a regular file; False for names that no file can have, and for what cannot be asked."""
    return os.path.isfile(path)  # noqa: PTH113 -- pathlib raises for names that are too long


def open_regular(path: Path) -> IO[bytes]:
    """Opens a regular file to be read. Raises OSError, with the file's name and a reason."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _WITHOUT_WAITING)
    except ValueError:  # a name with a NUL
        raise OSError(errno.EINVAL, "is not the name of a file", str(path)) from None
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder, not a file", str(path))
    raise OSError(errno.EINVAL, "is not a regular file", str(path))


def read_bytes(path: Path, *, max_bytes: int = _MAX_SIZE_BYTES) -> bytes:
    """Returns the content of a regular file. Raises OSError, with the file's name and a reason."""
    with open_regular(path) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"has more than {max_bytes:,} bytes", str(path))
    return content


def read_text(path: Path, *, max_bytes: int = _MAX_SIZE_BYTES) -> str:
    """Returns the text of a regular file, with its line ends. Raises OSError, and ValueError if it is not UTF-8."""
    return read_bytes(path, max_bytes=max_bytes).decode("utf-8")


def read_json(path: Path) -> Any:
    """Returns the value of a JSON file. Raises OSError, and ValueError if it is no JSON or nested too deeply."""
    try:
        return json.loads(read_text(path))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
