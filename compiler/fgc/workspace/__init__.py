"""Disk: search paths, projects, facts about the machine, and writing builds."""

from fgc.workspace.facts import collect_facts
from fgc.workspace.files import display_path, read_source
from fgc.workspace.library import component_folder, template_library
from fgc.workspace.project import Project, ProjectError, find_project, open_project
from fgc.workspace.python_files import PythonFiles
from fgc.workspace.session import Session
from fgc.workspace.store import FileStore

__all__ = [
    "FileStore",
    "Project",
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
