"""Finds installed packages and their versions without importing them, or any stage."""

import os
import re
import sys
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


@cache
def installed_version(package: str) -> str | None:
    """Returns the version of an installed package, None if there is none.

    The name of the folder of its metadata says it: reading the metadata takes 6 ms, and importing what reads it 30.
    """
    wanted = _normal(package)
    found = (_versions_in(entry or ".").get(wanted) for entry in sys.path)
    return next((version for version in found if version is not None), None)


@cache
def _versions_in(folder: str) -> dict[str, str]:
    """Returns the versions of all packages that are installed in a folder."""
    versions: dict[str, str] = {}
    for name in _names_in(folder):
        stem, _, kind = name.rpartition(".")
        package, _, rest = stem.partition("-")
        if kind in ("dist-info", "egg-info") and rest:
            versions.setdefault(_normal(package), rest.partition("-")[0])
    return versions


def _normal(package: str) -> str:
    return re.sub(r"[-_.]+", "_", package).lower()


@cache
def _names_in(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 -- names are enough
    except OSError:
        return []


def typeshed_module(name: str) -> str | None:
    """Returns where typeshed describes a top module: a folder with a slash behind it, or a file."""
    package = package_folder("typeshed_client")
    if package is None:
        return None
    stub = package / "typeshed" / name
    if stub.is_dir():
        return f"{stub}/"
    return f"{stub}.pyi" if stub.with_suffix(".pyi").is_file() else None


def home_folder() -> Path:
    """Returns the user's home; for a user without one a folder that is not there: nothing is found in it or kept."""
    try:
        return Path.home()
    except RuntimeError:  # neither $HOME nor an entry among the users, as in many containers
        return Path("/nonexistent")
