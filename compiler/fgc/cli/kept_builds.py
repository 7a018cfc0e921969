"""A compiled configuration to a folder of the cache, named by its content: a dry run and the run find the same one."""

import hashlib
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from fgc.cli.arguments import CannotRun
from fgc.cli.building import write_folder
from fgc.cli.select import Selected
from fgc.workspace.library import base_folder

_KEPT_S = 30 * 86_400


def keep_build(selected: Selected, *, is_bundle: bool = False) -> Path | None:
    """Returns the folder of the build; None if there are errors, which have been reported. Raises CannotRun.

    A bundle holds what the program uses of the runtime.
    """
    own = os.environ.get("FGC_CACHE_DIR")
    base = (Path(own) if own else base_folder("CACHE", ".cache") / "fgc") / "builds"
    try:
        base.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=base))
    except OSError as error:
        problem = f"`{base}` cannot be written: {error.strerror or error}; `-o FOLDER` builds elsewhere"
        raise CannotRun(problem) from None
    try:
        if write_folder(selected, fresh / "out", target="main", force=False, is_bundle=is_bundle) is None:
            return None
        digest = _digest(fresh / "out")
        kept = base / f"{Path(selected.name).stem}-{digest[:12]}"
        if not kept.is_dir() or _digest(kept) != digest:  # edited, or half gone
            shutil.rmtree(kept, ignore_errors=True)
            with suppress(OSError):  # another process was faster, with the same files
                (fresh / "out").rename(kept)
        os.utime(kept)
        _forget_old(base)
        return kept
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _digest(folder: Path) -> str:
    """Returns the digest of all files but Python's caches."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"):
        found.update(f"{path.relative_to(folder)}\0".encode())
        found.update(path.read_bytes() + b"\0")
    return found.hexdigest()


def _forget_old(base: Path) -> None:
    """Removes builds that nobody started for a month."""
    for folder in base.iterdir():
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _KEPT_S:
                shutil.rmtree(folder, ignore_errors=True)
