"""Where the parts of the distribution lie that the compiler reads as files and never imports."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path


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
