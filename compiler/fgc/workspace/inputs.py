"""Finds what went into a build, by the names of its manifest, as texts on this machine."""

from pathlib import Path

from msgspec import Struct

from fgc.builds.freshness import find_project_of
from fgc.builds.manifest import content_hash, read_manifest
from fgc.builds.places import Places
from fgc.text import Source
from fgc.workspace.files import read_source
from fgc.workspace.library import root_folders


class Input(Struct, frozen=True):
    """A file behind an input's name; `is_current` if its content is what was built."""

    source: Source
    is_current: bool


class Inputs:
    """Finds the inputs of one build, in a project's folder or in the one that the build seems to come from."""

    def __init__(self, build: Path, project: Path | None = None) -> None:
        self._manifest = read_manifest(build)
        if project is None and self._manifest is not None:
            project = find_project_of(build.resolve(), self._manifest, Path.cwd())
        self._places = Places((project or Path.cwd()).resolve(), root_folders())
        self._found: dict[str, Input | None] = {}

    @property
    def names(self) -> list[str]:
        """The inputs, as the manifest lists them."""
        return [] if self._manifest is None else list(self._manifest.inputs)

    def name(self, file: Path) -> str:
        """The name that a manifest would have for a file."""
        return self._places.name(file.resolve())

    def find(self, name: str) -> Input | None:
        """The file of an input; None if it is not where it should be."""
        if name not in self._found:
            self._found[name] = self._read(name)
        return self._found[name]

    def is_output_edited(self, file: str, content: bytes) -> bool:
        """Returns True if a generated file is not what was written."""
        known = None if self._manifest is None else self._manifest.outputs.get(file)
        return known is not None and content_hash(content) != known

    def _read(self, name: str) -> Input | None:
        path = self._places.path(name)
        if path is None or not path.is_file():
            return None
        source, problem = read_source(path, name)
        known = None if self._manifest is None else self._manifest.inputs.get(name)
        return None if problem is not None else Input(source, content_hash(source.text) == known)
