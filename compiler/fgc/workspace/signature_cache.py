"""Answers about callables, kept on disk with the files that they were read from.

An answer holds as long as none of those files changes and none that was looked for in vain comes into being. Safe under
parallel use: entries are replaced as a whole, and an entry that does not fit counts for nothing.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fgc import __version__
from fgc.signatures import Answer, from_json, to_json

_MAX_ENTRIES = 2_000


class SignatureCache:
    """Kept answers by question."""

    def __init__(self) -> None:
        self._stats: dict[str, list[int] | None] = {}
        self._stamp: list[Any] | None = None

    def get(self, question: str) -> tuple[Answer, list[str], list[str]] | None:
        """An answer that still holds, the files it was read from, and the paths where no file was found."""
        try:
            entry = json.loads(self._file(question).read_text(encoding="utf-8"))
            is_same = all(self._state(path) == state for path, state in entry["files"].items())
            if is_same and not any(self._state(path) for path in entry["absent"]):
                return from_json(entry["answer"]), list(entry["files"]), entry["absent"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return None

    def put(self, question: str, answer: Answer, files: Iterable[str], absent: Iterable[str]) -> None:
        """Keep an answer; a cache that cannot be written is no reason to fail."""
        states = {path: self._state(path) for path in sorted(files)}
        entry = {"answer": to_json(answer), "files": states, "absent": sorted(absent)}
        target = self._file(question)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_suffix(f".{os.getpid()}.tmp")
            temporary.write_text(json.dumps(entry), encoding="utf-8")
            temporary.replace(target)
            _prune(target.parent)
        except OSError:
            return

    def _file(self, question: str) -> Path:
        key = json.dumps([question, self._made_by(), sys.version, sys.path[1:]])
        return _folder() / f"{hashlib.sha256(key.encode()).hexdigest()}.json"

    def _made_by(self) -> list[Any]:
        """What changes when the reader of signatures is edited or installed anew."""
        if self._stamp is None:
            package = Path(__file__).parents[1] / "signatures"
            self._stamp = [__version__, max(path.stat().st_mtime_ns for path in package.glob("*.py"))]
        return self._stamp

    def _state(self, path: str) -> list[int] | None:
        if path not in self._stats:
            try:
                stat = os.stat(path)  # noqa: PTH116 -- hundreds of these
                self._stats[path] = [stat.st_mtime_ns, stat.st_size]
            except OSError:
                self._stats[path] = None
        return self._stats[path]


def _folder() -> Path:
    """Beside the answers that fgc.cli.memo keeps, which must not load this package."""
    own = os.environ.get("FGC_CACHE_DIR")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (Path(own) if own else base / "fgc") / "signatures"


def _prune(folder: Path) -> None:
    entries = list(folder.glob("*.json"))
    if len(entries) > _MAX_ENTRIES:
        for entry in sorted(entries, key=lambda path: path.stat().st_mtime_ns)[: _MAX_ENTRIES // 4]:
            entry.unlink(missing_ok=True)
