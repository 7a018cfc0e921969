"""Where a shell stands: the folder with the project around it, and the chosen configuration."""

import os
from pathlib import Path

from msgspec import Struct, field

from fgc.diagnostics import did_you_mean
from fgc.ir import Graph
from fgc.workspace import FileStore, ProjectDescription, ProjectError, find_project, open_project


class StateError(Exception):
    """A folder or a configuration that is not there; the text says which may have been meant."""


class ShellState(Struct):
    """`config` is the name of a configuration of `project`; without it, commands take the default one."""

    config: str | None = None
    start: Path = field(default_factory=Path.cwd)
    _compiled: list[Graph | None] = field(default_factory=list)

    @property
    def project(self) -> ProjectDescription | None:
        """The project around the current folder, read anew: templates change while a shell runs."""
        folder = find_project(Path.cwd())
        try:
            return open_project(folder, FileStore(checks_calls=False)) if folder is not None else None
        except (ProjectError, OSError):
            return None

    @property
    def configurations(self) -> list[str]:
        project = self.project
        return list(project.configurations) if project is not None else []

    @property
    def place(self) -> str:
        """The project and the configuration, as the prompt shows them."""
        folder = find_project(Path.cwd())
        name = folder.name if folder is not None else Path.cwd().name
        return f"{name}:{self.config}" if self.config is not None else name

    @property
    def graph(self) -> Graph | None:
        """Returns what the chosen configuration constructs, as far as it compiles; kept until `forget`."""
        if not self._compiled:
            project = self.project
            try:
                self._compiled.append(project.compile(self.config, {}).graph if project is not None else None)
            except ProjectError:
                self._compiled.append(None)
        return self._compiled[0]

    def forget(self) -> None:
        """Compile anew when next asked: something may have changed."""
        self._compiled.clear()

    def use(self, config: str) -> None:
        """Choose a configuration; `-` is the default one again. Raises StateError."""
        if config == "-":
            self.config = None
            return
        known = self.configurations
        name = next((name for name in (config, f"{config}.yaml") if name in known), None)
        if name is None:
            if not known:
                raise StateError("there is no project here: go to one with `cd PROJECT`")
            help = did_you_mean(config, known) or f"it has: {', '.join(known)}"
            raise StateError(f"the project has no configuration `{config}`; {help}")
        self.config = name

    def go(self, folder: str) -> str | None:
        """Change the folder; what to say about the configuration if it is not known there. Raises StateError."""
        try:
            os.chdir(Path(folder).expanduser() if folder else self.start)
        except OSError as error:
            raise StateError(f"`{folder}`: {error.strerror}") from None
        if self.config is not None and self.config not in self.configurations:
            dropped, self.config = self.config, None
            return f"`{dropped}` is not a configuration here: commands use the default one"
        return None
