"""Evaluate a model: tasks of lm-evaluation-harness, the perplexity of a text, samples.

All arguments are passed to `python -m fgc_runtime.evaluate`.
"""

import sys
from collections.abc import Sequence

from fgc.cli.arguments import CannotRun


def run_words(words: Sequence[str]) -> int:
    """Evaluate; 2 if it cannot be done."""
    from fgc.cli.runtime_process import run_module

    try:
        return run_module("fgc_runtime.evaluate", list(words))
    except CannotRun as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2


def completion_words() -> list[str]:
    """Returns what a shell may complete behind `fgc eval`."""
    from fgc.cli.runtime_words import option_words

    return option_words("fgc_runtime", "evaluate/arguments.py")
