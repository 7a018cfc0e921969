"""A module of the runtime in a process of its own: the compiler never loads torch."""

import subprocess
import sys
from collections.abc import Sequence

from fgc.cli.arguments import CannotRun
from fgc.installed import package_folder

_NEEDED = ("fgc_runtime", "torch", "transformers")


def require_runtime() -> None:
    """Raises CannotRun if something that a runtime module needs is not installed."""
    missing = [package for package in _NEEDED if package_folder(package) is None]
    if missing:
        raise CannotRun(f"this needs {', '.join(missing)}: pip install 'fgc[train]'")


def run_module(module: str, words: Sequence[str]) -> int:
    """Run it to its end, on this terminal; its exit code. Ctrl-C reaches it too, and it ends first."""
    require_runtime()
    process = subprocess.Popen([sys.executable, "-m", module, *words])
    try:
        code = process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise
    return code if code >= 0 else 128 - code
