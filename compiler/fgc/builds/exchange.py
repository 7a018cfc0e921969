"""One folder in the place of another, in a single step where the system has one."""

import ctypes
import errno
import os
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM})


def take_place_of(fresh: Path, folder: Path) -> None:
    """Put `fresh` where `folder` is; afterwards the old folder, if there was one, is at the path of `fresh`."""
    if not folder.exists():
        fresh.rename(folder)
    elif not _exchange(fresh, folder):
        _move_aside(fresh, folder)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two folders atomically (Linux); False where that cannot be done."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    if renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(second))


def _move_aside(fresh: Path, folder: Path) -> None:
    aside = fresh.with_name(fresh.name + "-old")
    folder.rename(aside)
    try:
        fresh.rename(folder)
    except BaseException:
        aside.rename(folder)
        raise
    aside.rename(fresh)
