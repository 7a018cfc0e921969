"""A project's folder as an object: its configurations, each with what it is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fgc.api.listing import ListedConfiguration, list_project
from fgc.api.notebook import caption, table
from fgc.api.project import ConfigurationError, Project
from fgc.diagnostics import render_text
from fgc.workspace import FileStore, ProjectError, find_project, open_project


class ProjectIndex:
    """The configurations of the project in or around a folder, as `fgc ls` lists them; a broken one stops no other.

        index = ProjectIndex("experiments/first")
        [item.config_name for item in index]
        index["small.yaml"]("model")  # a `fgc.Project`, constructed

    Raises ConfigurationError if there is no project, or if it cannot be read.
    """

    def __init__(self, folder: str | Path = ".") -> None:
        found = find_project(Path(folder).resolve())
        if found is None:
            raise ConfigurationError(f"`{Path(folder).resolve()}` is not in a project")
        try:
            project = open_project(found, FileStore(checks_calls=False))
        except ProjectError as error:
            raise ConfigurationError(render_text(error.diagnostics).rstrip(), error.diagnostics) from None
        self.folder = project.folder
        self.name = project.name
        self.description = project.description
        self.searchpath = project.searchpath
        self._listed = list_project(project)

    def __iter__(self) -> Iterator[ListedConfiguration]:
        return iter(self._listed.configurations)

    def __len__(self) -> int:
        return len(self._listed.configurations)

    def __getitem__(self, config: str) -> Project:
        """A configuration, compiled. Raises ConfigurationError."""
        return self.project(config)

    def project(self, config: str, **variables: Any) -> Project:
        """A configuration, compiled with template variables. Raises ConfigurationError."""
        return Project(config, project_dir=self.folder, **variables)

    def __repr__(self) -> str:
        return f"<ProjectIndex {self.name!r}: {len(self)} configurations in {self.folder}>"

    def _repr_html_(self) -> str:
        rows = [(item.file + (" *" if item.is_default else ""), item.config_name or "", _about(item)) for item in self]
        return caption(self.name, self.description, str(self.folder)) + table(("file", "name", "description"), rows)


def _about(item: ListedConfiguration) -> str:
    if item.error is not None:
        return f"PARSE ERROR {item.error.message} ({item.error.span})"
    return item.description or ""
