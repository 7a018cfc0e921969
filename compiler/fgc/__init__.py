"""Compiles machine-learning experiment configurations into standalone, readable Python programs."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fgc.api import Project

__version__ = "0.1.0"
__all__ = ["Project", "__version__"]


def __getattr__(name: str) -> Any:
    if name != "Project":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fgc.api import Project  # the compiler's stages: 0.15 s

    return Project
