"""Checkpoint folders: `checkpoint-<step>` under one root, complete or absent, found and ordered by their step.

A folder is written under another name, described by its manifest, flushed to the disk, and renamed. What is
interrupted leaves a folder ending in `.unfinished`, which nothing reads and the next save removes.
"""

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from fgc_runtime.checkpoint.manifest import write_manifest

_NAME = re.compile(r"checkpoint-\d+")
_UNFINISHED = ".unfinished"


def checkpoint_folder(root: Path, step: int) -> Path:
    """Returns where the checkpoint of an optimizer step lies."""
    return root / f"checkpoint-{step}"


def find_checkpoints(root: Path) -> list[Path]:
    """Complete checkpoints, the lowest step first."""
    if not root.is_dir():
        return []
    return sorted((path for path in root.iterdir() if _NAME.fullmatch(path.name) and path.is_dir()), key=step_of)


def latest_checkpoint(root: Path) -> Path | None:
    """The checkpoint with the highest step; times of files do not count, they change when a tree is copied."""
    checkpoints = find_checkpoints(root)
    return checkpoints[-1] if checkpoints else None


@contextmanager
def written_whole(folder: Path, about: Mapping[str, object] | None = None) -> Iterator[Path]:
    """An empty folder to write to, which becomes `folder` when the body has succeeded; it replaces an older one.

    `about` goes into the manifest.
    """
    unfinished = begin(folder)
    yield unfinished
    commit(folder, about or {})


def unfinished_folder(folder: Path) -> Path:
    """Returns where `folder` is written before it has its name."""
    return folder.with_name(folder.name + _UNFINISHED)


def begin(folder: Path) -> Path:
    """An empty folder to write to, until `commit` or `discard`."""
    discard(folder)
    unfinished = unfinished_folder(folder)
    unfinished.mkdir(parents=True)
    return unfinished


def discard(folder: Path) -> None:
    """Remove what has been written of `folder`."""
    shutil.rmtree(unfinished_folder(folder), ignore_errors=True)


def commit(folder: Path, about: Mapping[str, object], hashes: Mapping[str, str] | None = None) -> None:
    """Give what has been written its name; it replaces an older folder. Until the last line the older one is there."""
    unfinished = unfinished_folder(folder)
    write_manifest(unfinished, about, hashes)
    for path in [*unfinished.rglob("*"), unfinished]:
        flush(path)
    replaced = folder.with_name(folder.name + ".replaced" + _UNFINISHED)
    shutil.rmtree(replaced, ignore_errors=True)
    if folder.exists():
        folder.rename(replaced)
    unfinished.rename(folder)
    flush(folder.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def remove_old_checkpoints(found: Sequence[Path], *, limit: int | None, best: Iterable[Path] = ()) -> None:
    """Remove of these complete checkpoints, the lowest step first, all but the last `limit`.

    The `best` stay in any case. A checkpoint is renamed before its files go, so that it too is complete or absent.
    """
    kept = set(best)
    for folder in found[:-limit] if limit is not None else []:
        if folder not in kept:
            going = unfinished_folder(folder)
            folder.rename(going)
            shutil.rmtree(going)


def remove_leftovers(root: Path) -> None:
    """Remove what was interrupted while it was written or removed."""
    for leftover in root.glob(f"checkpoint-*{_UNFINISHED}"):
        shutil.rmtree(leftover)


def set_aside(root: Path, *, after_step: int) -> Path | None:
    """Move checkpoints with steps above `after_step` beside `root`; returns where they are now, None without any.

    They belong to a run that went on from there in another way: left in place, they would be the latest.
    """
    stale = [path for path in find_checkpoints(root) if step_of(path) > after_step]
    if not stale:
        return None
    number = 1
    while (aside := root.with_name(f"{root.name}-{number}")).exists():
        number += 1
    aside.mkdir()
    for path in stale:
        path.rename(aside / path.name)
    return aside


def flush(path: Path) -> None:
    """Wait until a file or a folder's list of names is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def step_of(folder: Path) -> int:
    """The optimizer step of a checkpoint, from its name."""
    return int(folder.name.rpartition("-")[2])
