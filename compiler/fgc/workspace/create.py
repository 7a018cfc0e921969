"""New folders on disk: whole or not at all, and never over one that is there."""

import re
import shutil
import tempfile
import unicodedata
from collections.abc import Mapping
from keyword import iskeyword
from pathlib import Path

from fgc.installed import package_folder

_TAKEN = frozenset({"train", "sources", "config", "main", "construct"})  # names that a build gives to its own files


class CreateError(Exception):
    """A folder that cannot be made; the text says why."""


def create_folder(folder: Path, files: Mapping[str, str]) -> None:
    """Make a folder with its files in one step. Raises CreateError if there is one, or if it cannot be written."""
    folder = folder.absolute()
    if folder.exists() or folder.is_symlink():
        raise CreateError(f"`{folder.name}` already exists in `{folder.parent}`; nothing was changed")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".fgc-new-", dir=folder.parent))
    except OSError as error:
        raise CreateError(f"`{folder}` cannot be created: {error.strerror or error}") from None
    try:
        for name, text in files.items():
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        fresh.chmod(0o755)
        fresh.rename(folder)  # fails if another process was faster: its folder is not empty
    except OSError as error:
        raise CreateError(f"`{folder}` cannot be created: {error.strerror or error}") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def folder_name(name: str) -> str:
    """Returns what a project's folder is called: `My Project` becomes `my_project`; letters of any script stay."""
    words = re.findall(r"\w+", unicodedata.normalize("NFC", name).lower())
    return "_".join(words)[:80] or "project"


def package_name(name: str) -> str:
    """Returns what the package of a project's model is called: a Python name that no other package has."""
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    found = folder_name(ascii_only)
    if found[0].isdigit() or found.startswith("_"):
        found = f"model_{found.lstrip('_')}"
    return f"{found}_model" if found in _TAKEN or iskeyword(found) or _is_a_module(found) else found


def _is_a_module(name: str) -> bool:
    import sys

    return name in sys.stdlib_module_names or package_folder(name) is not None
