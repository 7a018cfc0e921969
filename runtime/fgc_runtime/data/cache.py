"""Results that are dear to compute, kept in the user's cache folder under a hash of all that they depend on."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from filelock import FileLock


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/fgc`, or `~/.cache/fgc`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "fgc"


def content_key(parts: Iterable[str]) -> str:
    """A name for these texts in this order; no two sequences share one by running their parts together."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", errors="surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.hexdigest()[:32]


def cached_file(path: Path, build: Callable[[Path], None]) -> Path:
    """`path`, built by `build(temporary path)` if it is not there yet.

    Of several processes one builds and the others wait for it. The file appears whole or not at all.
    """
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=path.parent) as folder:
                unfinished = Path(folder) / path.name
                build(unfinished)
                unfinished.replace(path)
    return path
