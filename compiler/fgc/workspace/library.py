"""Where the parts of the distribution lie that the compiler reads as files and never imports."""

import os
from collections.abc import Iterable
from pathlib import Path

from fgc.installed import home_folder, package_folder

_ROOTS = {"library": "fgc_stdlib", "models": "fgc_models", "runtime": "fgc_runtime"}


def template_library() -> Path | None:
    """The folder of the template library, last on every search path."""
    return package_folder("fgc_stdlib")


def roots_of_libraries(folders: Iterable[Path]) -> list[Path]:
    """Returns the files of which one makes a folder a template library: the root of all its configurations."""
    return [folder / name for folder in folders for name in ("config_type.yaml", "types/config_type.yaml")]


def component_folder() -> Path | None:
    """The folder of the model components."""
    return package_folder("fgc_models")


def base_folder(kind: str, default: str) -> Path:
    """The user's folder for data, configuration or caches (XDG Base Directory Specification)."""
    return Path(os.environ.get(f"XDG_{kind}_HOME") or home_folder() / default)


def user_templates() -> Path:
    """The folder of the user's own templates, whether or not there is one."""
    return base_folder("CONFIG", ".config") / "forgather" / "templates"


def root_folders() -> dict[str, Path]:
    """Returns what a manifest calls `@library`, `@models`, `@runtime` and `@user`, as far as it is here."""
    found = {name: folder for name, package in _ROOTS.items() if (folder := package_folder(package)) is not None}
    return {**found, "user": user_templates()}
