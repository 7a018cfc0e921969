"""List and control running trainings: status, save, stop, save-stop, abort.

All arguments are passed to `python -m fgc_runtime.control`.
"""

import os
import sys
from collections.abc import Sequence

from fgc.installed import package_folder


def run_words(words: Sequence[str]) -> int:
    """Become the client of running jobs; 2 if the runtime is not installed."""
    if package_folder("fgc_runtime") is None:
        print("fgc: control needs fgc_runtime: pip install 'fgc[train]'", file=sys.stderr)
        return 2
    return os.execv(sys.executable, [sys.executable, "-P", "-m", "fgc_runtime.control", *words])


def completion_words() -> list[str]:
    """Returns what a shell may complete behind `fgc control`."""
    return ["list", "status", "save", "stop", "save-stop", "abort", "set", "stacks", "cleanup", "--format", "--force"]
