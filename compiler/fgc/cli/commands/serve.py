"""Serve a trained model over the OpenAI HTTP API.

All arguments are passed to `python -m fgc_runtime.serve`. `fgc inf server` is the same command.
"""

import os
import sys
from collections.abc import Sequence

from fgc.installed import package_folder

_NEEDED = ("fgc_runtime", "torch", "transformers", "starlette", "uvicorn")


def run_words(words: Sequence[str]) -> int:
    """Become the server; 2 if something that it needs is not installed."""
    missing = [package for package in _NEEDED if package_folder(package) is None]
    if missing:
        print(f"fgc: serving needs {', '.join(missing)}: pip install 'fgc[serve]'", file=sys.stderr)
        return 2
    return os.execv(sys.executable, [sys.executable, "-P", "-m", "fgc_runtime.serve", *words])


def completion_words() -> list[str]:
    """Returns what a shell may complete behind `fgc serve`."""
    from fgc.cli.runtime_words import option_words

    return option_words("fgc_runtime", "serve/arguments.py")
