"""Lets builds into one folder run one after another; each removes what a killed build left behind."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fgc.builds.exchange import OLD

try:
    import fcntl
except ImportError:  # a system without locks of this kind
    fcntl = None  # type: ignore[assignment]


def unfinished_prefix(folder: Path) -> str:
    """Returns the prefix of the temporary folders in which builds of `folder` are written."""
    return f".{folder.name}.fgc-build-"


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Waits until no other build writes `folder`, then removes what a killed build left behind.

    Locks the parent folder for the milliseconds in which files are written, so no lock file remains. Without support
    for locks in the file system, it does not wait. Raises OSError.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder.parent, os.O_RDONLY)
    try:
        if fcntl is not None:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        _tidy(folder)
        yield
    finally:
        os.close(descriptor)


def _tidy(folder: Path) -> None:
    prefix = unfinished_prefix(folder)
    for home in (folder.parent, folder):
        for leftover in sorted(home.iterdir()) if home.is_dir() else ():
            if leftover.name.startswith(prefix) and leftover.is_dir() and not leftover.is_symlink():
                if leftover.name.endswith(OLD) and home == folder.parent and not folder.exists():
                    leftover.rename(folder)  # killed between two renames
                else:
                    shutil.rmtree(leftover, ignore_errors=True)
