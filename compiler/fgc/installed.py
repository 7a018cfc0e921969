"""Where installed packages lie: found without importing them, nor any stage of the compiler."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path


@cache
def package_folder(package: str) -> Path | None:
    """The folder of a top-level package; None if it is not installed."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def typeshed_module(name: str) -> str | None:
    """Where typeshed describes a top module of the standard library: a folder with a slash behind it, or a file."""
    package = package_folder("typeshed_client")
    if package is None:
        return None
    stub = package / "typeshed" / name
    if stub.is_dir():
        return f"{stub}/"
    return f"{stub}.pyi" if stub.with_suffix(".pyi").is_file() else None
