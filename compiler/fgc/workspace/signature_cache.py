"""Answers about callables, kept on disk with the files that they were read from.

An answer holds as long as none of those files changes and none that was looked for in vain comes into being.
"""

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fgc import __version__
from fgc.signatures import Answer, from_json, to_json
from fgc.workspace.kept import KeptTexts


class SignatureCache:
    """Kept answers by question."""

    def __init__(self) -> None:
        self._stats: dict[str, list[int] | None] = {}
        self._kept = KeptTexts("signatures")
        self._stamp: list[Any] | None = None

    def get(self, question: str) -> tuple[Answer, list[str], list[str]] | None:
        """An answer that still holds, the files it was read from, and the paths where no file was found."""
        try:
            entry = json.loads(self._kept.get(self._key(question)) or "")
            is_same = all(self._state(path) == state for path, state in entry["files"].items())
            if is_same and not any(self._state(path) for path in entry["absent"]):
                return from_json(entry["answer"]), list(entry["files"]), entry["absent"]
        except (ValueError, KeyError, TypeError):
            return None
        return None

    def put(self, question: str, answer: Answer, files: Iterable[str], absent: Iterable[str]) -> None:
        """Keep an answer."""
        states = {path: self._state(path) for path in sorted(files)}
        entry = {"answer": to_json(answer), "files": states, "absent": sorted(absent)}
        self._kept.put(self._key(question), json.dumps(entry))

    def _key(self, question: str) -> str:
        return json.dumps([question, self._made_by(), sys.version, sys.path[1:]])

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
