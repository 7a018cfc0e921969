"""Prove on your build that a training that is killed and resumed gives the same numbers, bit for bit.

All arguments are passed to `python -m fgc_runtime.verify`.
"""

import os
import sys
from collections.abc import Sequence

from fgc.installed import package_folder


def run_words(words: Sequence[str]) -> int:
    """Become the verification; 2 if something that it needs is not installed."""
    missing = [package for package in ("fgc_runtime", "torch", "transformers") if package_folder(package) is None]
    if missing:
        print(f"fgc: this needs {', '.join(missing)}: pip install 'fgc[train]'", file=sys.stderr)
        return 2
    return os.execv(sys.executable, [sys.executable, "-P", "-m", "fgc_runtime.start", "fgc_runtime.verify", *words])


def completion_words() -> list[str]:
    """Returns what a shell may complete behind `fgc verify-resume`."""
    from fgc.cli.runtime_words import option_words

    return option_words("fgc_runtime", "verify/__main__.py")
