"""Looks names up in real files, as the compiler does."""

from importlib.util import find_spec
from pathlib import Path

from fgc.installed import typeshed_module
from fgc.signatures import Lookup, ModuleFinder
from fgc.text import Source


def read(path: str) -> Source | None:
    """A file's text."""
    file = Path(path)
    return Source(path, file.read_text(encoding="utf-8"), path) if file.is_file() else None


def installed(name: str) -> str | None:
    """Where a top package lies: its folder with a slash behind it, or its file."""
    spec = find_spec(name)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return f"{next(iter(spec.submodule_search_locations))}/"
    return spec.origin


def lookup(folder: Path | None = None) -> Lookup:
    """A look-up in the installed packages, or in those that lie in a folder."""

    def top(name: str) -> str | None:
        assert folder is not None, "only asked for a folder"
        if (folder / name).is_dir():
            return f"{folder / name}/"
        return str(folder / f"{name}.py") if (folder / f"{name}.py").is_file() else installed(name)

    stubs = ModuleFinder(read, _exists, typeshed_module, has_natives=False)
    return Lookup(ModuleFinder(read, _exists, installed if folder is None else top), stubs)


def _exists(path: str) -> bool:
    return Path(path).exists()
