"""The compiler from Python: `from fgc import Project, ProjectIndex, from_project`.

Loaded piece by piece: what lists projects must not load what constructs objects.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fgc.api.execution import ConstructionError, construct
    from fgc.api.index import ProjectIndex
    from fgc.api.project import ConfigurationError, Project, from_project

__all__ = ["ConfigurationError", "ConstructionError", "Project", "ProjectIndex", "construct", "from_project"]
_MODULES = {
    "execution": ("ConstructionError", "construct"),
    "index": ("ProjectIndex",),
    "project": ("ConfigurationError", "Project", "from_project"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
