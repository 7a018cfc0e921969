"""Disk: search paths, projects, and facts about the machine.

Loaded piece by piece: a command that only asks where the template library lies must not load the compiler's stages.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fgc.workspace.facts import collect_facts
    from fgc.workspace.files import display_path, read_source
    from fgc.workspace.library import component_folder, template_library
    from fgc.workspace.project import ProjectDescription, ProjectError, find_project, open_project
    from fgc.workspace.python_files import PythonFiles
    from fgc.workspace.session import Session
    from fgc.workspace.store import FileStore

__all__ = [
    "FileStore",
    "ProjectDescription",
    "ProjectError",
    "PythonFiles",
    "Session",
    "collect_facts",
    "component_folder",
    "display_path",
    "find_project",
    "open_project",
    "read_source",
    "template_library",
]
_MODULES = {
    "facts": ("collect_facts",),
    "files": ("display_path", "read_source"),
    "library": ("component_folder", "template_library"),
    "project": ("ProjectDescription", "ProjectError", "find_project", "open_project"),
    "python_files": ("PythonFiles",),
    "session": ("Session",),
    "store": ("FileStore",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
