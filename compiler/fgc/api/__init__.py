"""The compiler from Python: `from fgc import Project, ProjectIndex, from_project`."""

from fgc.api.execution import ConstructionError, construct
from fgc.api.index import ProjectIndex
from fgc.api.project import ConfigurationError, Project, from_project

__all__ = ["ConfigurationError", "ConstructionError", "Project", "ProjectIndex", "construct", "from_project"]
