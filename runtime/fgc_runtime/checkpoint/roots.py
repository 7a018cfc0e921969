"""Finds the checkpoints of an output folder: each run has its own, in `runs/<run>/checkpoints`.

`checkpoints` beside `runs` is a link to those of the run that saved last. Older versions wrote into a folder of that
name: it counts as a separate run, is read, and never written again.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from fgc_runtime.checkpoint.folders import latest_checkpoint
from fgc_runtime.checkpoint.manifest import DamagedCheckpoint, read_manifest

NAME = "checkpoints"


def root_of_run(folder: Path) -> Path:
    """Returns the folder of a run's checkpoints."""
    return folder / NAME


def roots_in(output_dir: Path) -> list[Path]:
    """Returns the folders of checkpoints below an output folder; the link's target may be elsewhere."""
    places = [output_dir / NAME, *(output_dir / "runs").glob(f"*/{NAME}")]  # a run's own name counts, not the link's
    found = {path.resolve(): path.resolve() if path.is_symlink() else path for path in places if path.is_dir()}
    return list(found.values())


def latest_in(output_dir: Path, configuration: str | None, more: Iterable[Path] = ()) -> tuple[Path | None, list[Path]]:
    """Returns the newest checkpoint of a configuration, and the newest ones of other configurations.

    Within a run, the highest step is the newest. Checkpoints without the name of a configuration match any. `more` are
    other folders of checkpoints.
    """
    own: list[tuple[float, Path]] = []
    others: list[tuple[float, Path]] = []
    for root in [*roots_in(output_dir), *more]:
        folder = latest_checkpoint(root)
        if folder is not None:
            saved_at_s, of = _about(folder)
            (own if of is None or configuration is None or of == configuration else others).append((saved_at_s, folder))
    return max(own)[1] if own else None, [folder for _, folder in sorted(others)]


def lead_to(output_dir: Path, root: Path) -> None:
    """Makes `output_dir/checkpoints` a link to `root`, unless there is a folder, or links are not supported."""
    link = output_dir / NAME
    if (link.exists() and not link.is_symlink()) or root.resolve() == link.resolve():
        return
    fresh = link.with_name(f".{NAME}-{os.getpid()}")
    with suppress(OSError):
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.path.relpath(root.resolve(), output_dir.resolve()), target_is_directory=True)
        fresh.replace(link)


def _about(folder: Path) -> tuple[float, str | None]:
    """Returns the time at which a checkpoint was saved, in Unix seconds, and its configuration."""
    try:
        manifest = read_manifest(folder)
        saved_at_s = datetime.fromisoformat(str(manifest.get("saved_at"))).timestamp()
    except (DamagedCheckpoint, OSError, ValueError):  # a resume says what is wrong with it
        return folder.stat().st_mtime, None
    of = manifest.get("configuration")
    return saved_at_s, of if isinstance(of, str) else None
