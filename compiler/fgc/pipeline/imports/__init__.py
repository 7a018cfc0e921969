"""`!meta:fgc:from_project`: targets of another project's configuration become a part of this one's graph.

The other configuration is compiled for itself: with its own search path, variables and objects. What it constructs is
then constructed by this program, which stays complete in itself. Two mentions of one configuration with the same
variables share its objects.
"""

from fgc.pipeline.imports.graft import graft
from fgc.pipeline.imports.request import Imported, ProjectRequest, Projects

__all__ = ["Imported", "ProjectRequest", "Projects", "graft"]
