"""What the emitter must know of the disk around a configuration."""

from fgc.cli.select import Selected
from fgc.pipeline.program import Surroundings
from fgc.text import Source
from fgc.workspace import component_folder, read_source


def surroundings_of(selected: Selected) -> Surroundings:
    """File names relative to the project, so that a build is the same wherever the project lies."""
    folder = selected.folder

    def read(path: str) -> Source | None:
        found = folder / path  # an absolute path stays as it is
        source, problem = read_source(found, path) if found.is_file() else (None, None)
        return None if problem else source

    components = component_folder()
    return Surroundings(selected.template, read, [str(components)] if components else [], selected.workspace_root)
