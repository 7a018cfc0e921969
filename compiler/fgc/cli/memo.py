"""Keeps what commands print, as the last questions of the chain: unchanged files give the same answer.

Loads no stage of the compiler.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from fgc.questions import Questions, here, open_kept

__all__ = ["PrintedAnswer", "Questions", "answer"]


class PrintedAnswer(Struct, frozen=True):
    """Holds what a command prints, and its exit code."""

    out: str
    err: str
    code: int

    def give(self) -> int:
        """Print it."""
        sys.stdout.write(self.out)
        sys.stdout.flush()
        sys.stderr.write(self.err)
        return self.code


def answer(question: Iterable[Any], is_cached: bool, compute: Callable[[Questions], PrintedAnswer]) -> PrintedAnswer:
    """The answer to a question: one that was kept if it still holds, else a new one."""
    questions = Questions(open_kept() if is_cached else None)

    def computed() -> PrintedAnswer:
        fresh = compute(questions)
        if fresh.code not in (0, 1):
            questions.changes_by_itself()
        return fresh

    return questions.keep(["printed", *here(), *question], PrintedAnswer, computed)
