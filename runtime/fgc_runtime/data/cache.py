"""Caches expensive results in the user's cache folder, under a hash of everything they depend on."""

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from fgc_runtime.full_disk import room_errors

_KEPT_S = 30 * 86_400


def cache_folder() -> Path:
    """Returns `$XDG_CACHE_HOME/fgc`, or `~/.cache/fgc`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "fgc"


def content_key(parts: Iterable[str]) -> str:
    """Returns a hash of the texts in order; the hash also covers their boundaries."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", errors="surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.hexdigest()[:32]


def cached_file(path: Path, build: Callable[[Path], None]) -> Path:
    """Returns `path`, after building it with `build(temporary path)` if it does not exist.

    One of several processes builds and the others wait for it. The file is complete or absent.
    """
    if path.exists():
        note_use(path)
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=path.parent) as folder:
                unfinished = Path(folder) / path.name
                with room_errors(path.parent):
                    build(unfinished)
                unfinished.replace(path)
    note_use(path)
    return path


def note_use(path: Path) -> None:
    """Keeps a file of `cache_folder()`, and those whose names begin with its stem, for another 30 days.

    Removes files beside it that have not been used for that long. Files in a folder of the user's choice are never
    touched.
    """
    if not path.is_relative_to(cache_folder()) or not path.parent.is_dir():
        return
    for own in path.parent.glob(f"{path.stem}*"):
        with suppress(OSError):  # a read-only cache
            os.utime(own)
    for other in sorted(path.parent.iterdir(), key=lambda item: item.suffix == ".lock"):  # locks last
        with suppress(OSError):  # removed meanwhile
            is_lock = other.suffix == ".lock" and other.with_suffix("").exists()
            if other.is_file() and not is_lock and time.time() - other.stat().st_mtime > _KEPT_S:
                other.unlink()
