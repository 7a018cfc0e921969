"""A folder that appears complete, or not at all, whatever interrupts its writing."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fgc_runtime.checkpoint.folders import written_whole
from fgc_runtime.full_disk import room_errors


@contextmanager
def complete_or_absent(folder: Path) -> Iterator[Path]:
    """`written_whole`, without what an error or an interrupt leaves. Raises OSError, with `folder`, for a full disk."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder
    try:
        with room_errors(folder), written_whole(folder) as unfinished:
            yield unfinished
    except BaseException:
        if unfinished != folder:
            shutil.rmtree(unfinished, ignore_errors=True)
        raise
