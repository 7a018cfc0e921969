"""Errors of libraries that come of a disk without room, raised as what they are.

torch's writer of archives speaks of positions and numbers of a file, libraries written in Rust of an `os error 28` or
an `Os { code: 28, ... }`.
"""

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
_NO_ROOM = (*FULL_DISK, errno.EFBIG)
_OF_RUST = re.compile(r"\bos error (\d+)\b|\bOs \{ code: (\d+)\b")


@contextmanager
def room_errors(folder: Path) -> Iterator[None]:
    """In the body, an error that comes of a lack of room is an OSError with its number and `folder`."""
    outside = sys.exception()  # being handled around the body: none of its errors come of that one
    try:
        yield
    except Exception as error:
        number = _number_of(error, outside)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(folder)) from error


def reason_of(error: BaseException) -> str:
    """Returns one line on an error: a full disk is called that, all else by its class."""
    if not isinstance(error, OSError) or error.errno not in FULL_DISK:
        return f"{type(error).__name__}: {error}"
    cause = "the disk is full" if error.errno == errno.ENOSPC else "the quota of the disk is used up"
    return f"{cause} ({error.strerror})"


def file_error(error: OSError) -> str:
    """Returns one line on a file that could not be read or written: its name, where it is known, and why."""
    reason = reason_of(error) if error.errno in FULL_DISK else error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason


def _number_of(error: BaseException | None, outside: BaseException | None) -> int | None:
    """Returns the number of the lack of room that an error, or one that it comes of, tells of."""
    seen = {id(outside)}
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        number = error.errno if isinstance(error, OSError) and error.errno is not None else _of_rust(str(error))
        if number in _NO_ROOM:
            return number
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


def _of_rust(text: str) -> int | None:
    told = _OF_RUST.search(text)
    return int(told[1] or told[2]) if told else None
