"""The compiler from Python: `from fgc import Project`."""

from fgc.api.execution import ConstructionError, construct
from fgc.api.project import ConfigurationError, Project

__all__ = ["ConfigurationError", "ConstructionError", "Project", "construct"]
