"""Where the parts of the distribution lie that the compiler reads as files and never imports."""

import os
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_ROOTS = {"library": "fgc_stdlib", "models": "fgc_models", "runtime": "fgc_runtime"}


@cache
def package_folder(package: str) -> Path | None:
    """The folder of a top-level package, found without importing it; None if it is not installed."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def template_library() -> Path | None:
    """The folder of the template library, last on every search path."""
    return package_folder("fgc_stdlib")


def component_folder() -> Path | None:
    """The folder of the model components."""
    return package_folder("fgc_models")


def base_folder(kind: str, default: str) -> Path:
    """The user's folder for data, configuration or caches (XDG Base Directory Specification)."""
    if sys.platform == "darwin" and kind != "CACHE":
        default = "Library/Application Support"
    return Path(os.environ.get(f"XDG_{kind}_HOME") or Path.home() / default)


def user_templates() -> Path:
    """The folder of the user's own templates, whether or not there is one."""
    return base_folder("CONFIG", ".config") / "forgather" / "templates"


def root_folders() -> dict[str, Path]:
    """What a manifest calls `@library`, `@models`, `@runtime` and `@user`, as far as it is here."""
    found = {name: folder for name, package in _ROOTS.items() if (folder := package_folder(package)) is not None}
    return {**found, "user": user_templates()}
