"""Replaces one folder by another, atomically if the system can."""

import ctypes
import errno
import os
import sys
from pathlib import Path

_AT_FDCWD = -100
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS
_UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM})
OLD = "-old"


def take_place_of(fresh: Path, folder: Path) -> None:
    """Moves `fresh` to the path of `folder`; an old folder there ends up at the path of `fresh`."""
    if not folder.exists():
        fresh.rename(folder)
    elif not _exchange(fresh, folder):
        _move_aside(fresh, folder)


def _exchange(first: Path, second: Path) -> bool:
    """Swaps two folders atomically (Linux, macOS). Returns False if the system cannot do that."""
    one, other = os.fsencode(first), os.fsencode(second)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            failed = libc.renamex_np(one, other, _EXCHANGE)
        else:
            failed = libc.renameat2(_AT_FDCWD, one, _AT_FDCWD, other, _EXCHANGE)
    except (AttributeError, OSError, TypeError):
        return False
    if not failed:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(second))


def _move_aside(fresh: Path, folder: Path) -> None:
    aside = fresh.with_name(fresh.name + OLD)
    folder.rename(aside)
    try:
        fresh.rename(folder)
    except BaseException:
        aside.rename(folder)
        raise
    aside.rename(fresh)
