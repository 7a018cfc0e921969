"""What the emitter must know of the disk around a configuration, and which files it read there."""

from fgc.cli.select import Selected
from fgc.pipeline.program import Surroundings
from fgc.text import Source
from fgc.workspace import component_folder, read_source


class Reading:
    """Reads files for the emitter. Names are relative to the project: a build is the same wherever that lies."""

    def __init__(self, selected: Selected) -> None:
        self._folder = selected.folder
        self.sources: list[Source] = []
        components = component_folder()
        folders = [str(components)] if components else []
        self.surroundings = Surroundings(selected.template, self._read, folders, selected.workspace_root)

    def _read(self, path: str) -> Source | None:
        found = self._folder / path  # an absolute path stays as it is
        if not found.is_file():
            return None
        source, problem = read_source(found, path)
        if problem is not None:
            return None
        self.sources.append(source)
        return source
