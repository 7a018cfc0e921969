"""A module of the runtime in a process of its own: the compiler never loads torch."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fgc.cli.arguments import CannotRun
from fgc.installed import package_folder

_NEEDED = ("fgc_runtime", "torch", "transformers")


def require_runtime() -> None:
    """Raises CannotRun if something that a runtime module needs is not installed."""
    missing = [package for package in _NEEDED if package_folder(package) is None]
    if missing:
        raise CannotRun(f"this needs {', '.join(missing)}: pip install 'fgc[train]'")


def run_module(module: str, words: Sequence[str], *, folder: Path | None = None, system_path: str | None = None) -> int:
    """Run it to its end, on this terminal, in `folder`; its exit code. Ctrl-C reaches it too, and it ends first.

    Python looks for modules in `system_path` too.
    """
    require_runtime()
    environment = dict(os.environ)
    if system_path is not None:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (system_path, environment.get("PYTHONPATH"))))
    command = [sys.executable, "-P", "-m", "fgc_runtime.start", module, *words]
    return wait_for(subprocess.Popen(command, cwd=folder, env=environment))


def wait_for(process: "subprocess.Popen[Any]") -> int:
    """Its exit code; interrupted, it ends first: Ctrl-C has reached it too."""
    try:
        code = process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise
    return code if code >= 0 else 128 - code
