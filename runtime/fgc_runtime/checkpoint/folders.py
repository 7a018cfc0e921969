"""Checkpoint folders: `checkpoint-<step>` under one root, complete or absent, ordered by step.

A folder is written under another name, described by its manifest, flushed to the disk, and renamed. An interrupted
save leaves a folder ending in `.unfinished`, which nothing reads and the next save removes.
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
    """Returns the folder of the checkpoint of an optimizer step."""
    return root / f"checkpoint-{step}"


def find_checkpoints(root: Path) -> list[Path]:
    """Returns complete checkpoints, the lowest step first."""
    if not root.is_dir():
        return []
    return sorted((path for path in root.iterdir() if _NAME.fullmatch(path.name) and path.is_dir()), key=step_of)


def latest_checkpoint(root: Path) -> Path | None:
    """Returns the checkpoint with the highest step. File times are ignored, because copying changes them."""
    checkpoints = find_checkpoints(root)
    return checkpoints[-1] if checkpoints else None


@contextmanager
def written_whole(folder: Path, about: Mapping[str, object] | None = None) -> Iterator[Path]:
    """Yields an empty folder, which replaces `folder` if the body succeeds.

    `about` goes into the manifest.
    """
    unfinished = begin(folder)
    yield unfinished
    commit(folder, about or {})


def unfinished_folder(folder: Path) -> Path:
    """Returns the path at which `folder` is written before it is renamed."""
    return folder.with_name(folder.name + _UNFINISHED)


def begin(folder: Path) -> Path:
    """Returns an empty folder to write to, until `commit` or `discard`."""
    discard(folder)
    unfinished = unfinished_folder(folder)
    unfinished.mkdir(parents=True)
    return unfinished


def discard(folder: Path) -> None:
    """Removes the unfinished `folder`."""
    shutil.rmtree(unfinished_folder(folder), ignore_errors=True)


def commit(folder: Path, about: Mapping[str, object], hashes: Mapping[str, str] | None = None) -> None:
    """Renames the written folder, replacing an older one, which stays in place until the last line."""
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
    """Removes all but the last `limit` of these complete checkpoints, which are in order of steps.

    The `best` always stay. A checkpoint is renamed before its files go, so that it too is complete or absent.
    """
    kept = set(best)
    for folder in found[:-limit] if limit is not None else []:
        if folder not in kept:
            going = unfinished_folder(folder)
            folder.rename(going)
            shutil.rmtree(going)


def remove_leftovers(root: Path) -> None:
    """Removes folders left by an interrupted save or removal."""
    for leftover in root.glob(f"checkpoint-*{_UNFINISHED}"):
        shutil.rmtree(leftover)


def set_aside(root: Path, *, after_step: int) -> Path | None:
    """Moves checkpoints with steps above `after_step` out of `root`; returns their new folder, or None without any.

    They belong to another continuation of the run. If they stayed, they would be the latest.
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
    """Waits until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def step_of(folder: Path) -> int:
    """Returns the optimizer step of a checkpoint, from its name."""
    return int(folder.name.rpartition("-")[2])
