"""Records digests of generated model code in the user's state folder; recorded code may run from a model's folder.

The runtime's `fgc_runtime.trust` reads the digests and decides; this module only adds to them.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from fgc.installed import home_folder


def record_packages(files: Mapping[str, str]) -> None:
    """Records the model packages among generated files. A state folder that cannot be written is ignored."""
    packages = {PurePosixPath(name).parent for name in files if PurePosixPath(name).match("configuration_*.py")}
    texts = [text for name, text in files.items() if name.endswith(".py") and PurePosixPath(name).parent in packages]
    try:
        record_code(text.encode() for text in texts)
    except OSError:
        return


def record_code(contents: Iterable[bytes]) -> None:
    """Records code. Raises OSError if the state folder cannot be written."""
    folder = record_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for content in contents:
        (folder / hashlib.sha256(content).hexdigest()).touch()


def record_folder() -> Path:
    """Returns `$XDG_STATE_HOME/fgc/generated`."""
    return Path(os.environ.get("XDG_STATE_HOME") or home_folder() / ".local/state") / "fgc/generated"
