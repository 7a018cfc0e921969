"""Compiles the modules of an editable install to bytecode, as pip does with all others.

Where Python may write no bytecode (`PYTHONDONTWRITEBYTECODE`, as in many containers), each command would compile them
anew: a third to a half of its time.
"""

import compileall
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BytecodeHook(BuildHookInterface[Any]):
    """Runs when a wheel is built; the wheel of an editable install has the version `editable`."""

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if version == "editable":
            for folder in self.build_config.dev_mode_dirs:
                compileall.compile_dir(Path(self.root) / folder, quiet=2)
