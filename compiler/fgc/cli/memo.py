"""A cache of what commands print: the same question about unchanged files has the same answer.

An answer is kept with everything that it depends on: files by content, names looked for in vain, folders by what is in
them, the environment, and this compiler itself. Loads no stage of the compiler. Safe under parallel use: entries are
replaced as a whole, and an entry that does not fit counts for nothing.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict

from fgc import __version__

_MAX_ENTRIES = 2_000
_RACY_NS = 2_000_000_000  # a file changed so shortly before it was read may change again within the clock's grain
_ENVIRONMENT = (
    *("HOME", "TZ", "SOURCE_DATE_EPOCH", "FGC_HOSTNAME", "FGC_VERSIONS"),
    *("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"),
)


class Trace(Struct):
    """What an answer depends on. `is_timeless` falls where a template asks for the clock or for versions."""

    files: set[Path] = field(default_factory=set)
    absent: set[Path] = field(default_factory=set)
    folders: set[Path] = field(default_factory=set)
    is_timeless: bool = True


class Answer(Struct, frozen=True):
    """What a command prints, and its exit code."""

    out: str
    err: str
    code: int

    def give(self) -> int:
        """Print it."""
        sys.stdout.write(self.out)
        sys.stdout.flush()
        sys.stderr.write(self.err)
        return self.code


def answer(question: Iterable[Any], is_cached: bool, compute: Callable[[Trace], Answer]) -> Answer:
    """The answer to a question, from the cache if it still holds, else computed and kept."""
    if not is_cached:
        return compute(Trace())
    entry_file = _folder() / f"{_key(question)}.json"
    kept = _kept(entry_file)
    if kept is not None:
        return kept
    trace = Trace()
    fresh = compute(trace)
    if trace.is_timeless and fresh.code in (0, 1):
        _keep(entry_file, trace, fresh)
    return fresh


def _folder() -> Path:
    own = os.environ.get("FGC_CACHE_DIR")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (Path(own) if own else base / "fgc") / "answers"


def _key(question: Iterable[Any]) -> str:
    environment = [os.environ.get(name) for name in _ENVIRONMENT]
    parts = [*question, environment, str(Path.cwd()), os.uname().nodename, __version__, _compiler_stamp(), sys.version]
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


def _compiler_stamp() -> list[int]:
    """What changes when this compiler, its template library or its components are edited or installed anew."""
    package = Path(__file__).parents[1]
    newest = 0
    count = 0
    for root, folders, files in os.walk(package):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in files:
            count += 1
            newest = max(newest, os.stat(os.path.join(root, name)).st_mtime_ns)  # noqa: PTH116, PTH118 -- 3x faster
    return [newest, count]


def _kept(entry_file: Path) -> Answer | None:
    try:
        entry = json.loads(entry_file.read_text(encoding="utf-8"))
        if _holds(entry):
            return Answer(**entry["answer"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None


def _holds(entry: dict[str, Any]) -> bool:
    return (
        all(_is_unchanged(path, *state) for path, state in entry["files"].items())
        and all(_folder_state(Path(path)) == state for path, state in entry["folders"].items())
        and not any(os.path.exists(path) for path in entry["absent"])  # noqa: PTH110 -- hundreds of these
    )


def _is_unchanged(path: str, mtime_ns: int, size: int, digest: str, is_racy: bool) -> bool:
    stat = os.stat(path)  # noqa: PTH116
    if stat.st_size != size:
        return False
    if stat.st_mtime_ns == mtime_ns and not is_racy:
        return True
    return _digest(Path(path)) == digest


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _folder_state(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else None
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def _keep(entry_file: Path, trace: Trace, fresh: Answer) -> None:
    """Write an entry; a cache that cannot be written is no reason to fail."""
    try:
        entry = {
            "answer": asdict(fresh),
            "files": {str(path.absolute()): _file_state(path) for path in sorted(trace.files)},
            "absent": sorted(str(path.absolute()) for path in trace.absent),
            "folders": {str(path.absolute()): _folder_state(path) for path in sorted(trace.folders)},
        }
        entry_file.parent.mkdir(parents=True, exist_ok=True)
        temporary = entry_file.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(entry), encoding="utf-8")
        temporary.replace(entry_file)
        _prune(entry_file.parent)
    except OSError:
        return


def _file_state(path: Path) -> tuple[int, int, str, bool]:
    import time

    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size, _digest(path), time.time_ns() - stat.st_mtime_ns < _RACY_NS


def _prune(folder: Path) -> None:
    entries = list(folder.glob("*.json"))
    if len(entries) > _MAX_ENTRIES:
        for entry in sorted(entries, key=lambda path: path.stat().st_mtime_ns)[: _MAX_ENTRIES // 4]:
            entry.unlink(missing_ok=True)
