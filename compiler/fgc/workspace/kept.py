"""Texts kept on disk between runs.

Safe under parallel use: entries are replaced as a whole, and an entry that is not whole counts for nothing.
"""

import hashlib
import os
from pathlib import Path

_MAX_ENTRIES = 2_000


class KeptTexts:
    """Texts by question, in a folder of the cache. A cache that cannot be written is no reason to fail."""

    def __init__(self, name: str) -> None:
        own = os.environ.get("FGC_CACHE_DIR")
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self._folder = (Path(own) if own else base / "fgc") / name

    def get(self, question: str) -> str | None:
        """The text that was kept, whole."""
        try:
            digest, _, text = self._file(question).read_text(encoding="utf-8").partition("\n")
        except (OSError, ValueError):
            return None
        return text if digest == _digest(text) else None

    def put(self, question: str, text: str) -> None:
        """Keep a text."""
        target = self._file(question)
        temporary = target.with_suffix(f".{os.getpid()}.tmp")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(f"{_digest(text)}\n{text}", encoding="utf-8")
            temporary.replace(target)
            self._prune()
        except OSError:
            return

    def _file(self, question: str) -> Path:
        return self._folder / _digest(question)

    def _prune(self) -> None:
        entries = list(self._folder.iterdir())
        if len(entries) > _MAX_ENTRIES:
            for entry in sorted(entries, key=lambda path: path.stat().st_mtime_ns)[: _MAX_ENTRIES // 4]:
                entry.unlink(missing_ok=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
