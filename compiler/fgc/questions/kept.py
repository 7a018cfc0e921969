"""Answers on disk, in a folder of the user's own, each in a file with what it rests on.

Nothing in the folder is trusted further than its owner: files and the folder belong to the user and nobody else may
write or read them, and what does not decode to what is expected counts for nothing. Entries are JSON of plain data, so
reading one runs nothing. Safe under parallel use: entries are replaced as a whole.
"""

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from fgc import __version__
from fgc.questions.outside import Dependencies, content_digest

T = TypeVar("T")
_FORMAT = 1
_MAX_ENTRIES = 5_000
_MAX_ENTRY_BYTES = 16_000_000
_STALE_S = 3_600  # a temporary file that is older was left by a process that was killed
_DAMAGED = (OSError, ValueError, RecursionError)


class _Entry(msgspec.Struct):
    """A kept answer, not yet decoded, and what it rests on."""

    seen: Dependencies
    answer: msgspec.Raw


def open_kept() -> "Kept | None":
    """The answers of this user; None where no folder of their own can be had."""
    own = os.environ.get("FGC_CACHE_DIR")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")  # noqa: PTH111, PTH118
    folder = Path(own) if own else Path(base) / "fgc"
    try:
        return Kept(folder / "answers")
    except OSError:
        return None


class Kept:
    """Answers by question. A folder that cannot be written is no reason to fail."""

    def __init__(self, folder: Path) -> None:
        """Make the folder. Raises OSError where it is not the user's own."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        found = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(f"{folder} belongs to another user")
        if found.st_mode & 0o077:
            folder.chmod(0o700)
        self._folder = folder
        self._made_by = _made_by()
        self._is_pruned = False

    def get(self, key: str, kind: type[T]) -> tuple[T, str] | None:
        """The answer that was kept, and the digest of its entry; whether it still holds is for the caller to see."""
        try:
            raw = _read_own(self._file(key))
            return msgspec.json.decode(msgspec.json.decode(raw, type=_Entry).answer, type=kind), content_digest(raw)
        except _DAMAGED:
            return None

    def seen(self, key: str, digest: str) -> Dependencies | None:
        """Returns the dependencies of the answer in an entry with this digest."""
        try:
            raw = _read_own(self._file(key))
            return msgspec.json.decode(raw, type=_Entry).seen if content_digest(raw) == digest else None
        except _DAMAGED:
            return None

    def put(self, key: str, answer: object, seen: Dependencies) -> str | None:
        """Keep an answer; the digest of its entry."""
        try:
            raw = msgspec.json.encode({"seen": seen, "answer": answer})
            handle, temporary = tempfile.mkstemp(dir=self._folder, suffix=".tmp")
            with os.fdopen(handle, "wb") as file:
                file.write(raw)
            Path(temporary).replace(self._file(key))
            with contextlib.suppress(OSError):
                self._prune()
            return content_digest(raw)
        except _DAMAGED:
            return None

    def key(self, question: Sequence[object]) -> str:
        """The key of a question: other compilers have other ones."""
        return content_digest(repr((_FORMAT, self._made_by, question)).encode("utf-8", "surrogatepass"))

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.json"

    def _prune(self) -> None:
        """Once in a run: remove the oldest entries, if there are too many, and what killed processes left."""
        if self._is_pruned:
            return
        self._is_pruned = True
        entries = sorted(_entries(self._folder))
        newest = entries[-1][0] if entries else 0
        kept = [path for _, path in entries if path.endswith(".json")]
        surplus = kept[: len(kept) - _MAX_ENTRIES * 3 // 4] if len(kept) > _MAX_ENTRIES else []
        left = [path for at, path in entries if path.endswith(".tmp") and newest - at > _STALE_S]
        for path in (*surplus, *left):
            Path(path).unlink(missing_ok=True)


def _entries(folder: Path) -> Iterator[tuple[float, str]]:
    """Yields when each file of a folder was written, and its path, without those that another process removes."""
    with os.scandir(folder) as found:
        for entry in found:
            with contextlib.suppress(FileNotFoundError):
                yield entry.stat(follow_symlinks=False).st_mtime, entry.path


def _read_own(path: Path) -> bytes:
    """The content of a regular file that nobody but the user can write. Raises OSError for any other."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        is_own = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
        if not is_own or found.st_size > _MAX_ENTRY_BYTES:
            raise PermissionError(f"{path} does not belong to the user")
        return file.read()


def _made_by() -> tuple[object, ...]:
    """Returns a value that changes when the compiler, its template library or Python is edited or installed anew."""
    files = sorted(_states_below(str(Path(__file__).parents[1])))
    return __version__, sys.version, content_digest(repr(files).encode())


def _states_below(folder: str) -> Iterator[tuple[str, int, int]]:
    """Yields name, time and size of all files in a folder and below it: hundreds, at each start."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir():
                found = entry.stat()
                yield entry.name, found.st_mtime_ns, found.st_size
            elif entry.name != "__pycache__":
                yield from _states_below(entry.path)
