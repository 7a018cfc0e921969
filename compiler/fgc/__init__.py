"""Compiles machine-learning experiment configurations into standalone, readable Python programs."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fgc.api import ConfigurationError, ConstructionError, Project, ProjectIndex, from_project

__version__ = "0.2.0"
__all__ = ["ConfigurationError", "ConstructionError", "Project", "ProjectIndex", "__version__", "from_project"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import fgc.api  # the compiler's stages: 0.15 s

    return getattr(fgc.api, name)
