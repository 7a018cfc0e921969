"""Decides from its manifest, without compiling, whether a build is fresh, and if not, why."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from fgc import __version__
from fgc.builds.manifest import Manifest, content_hash
from fgc.builds.places import Places
from fgc.installed import installed_version
from fgc.reading import read_bytes


class Reason(Struct, frozen=True):
    """A reason why a build is stale: a word for machines, the file or value, and a sentence."""

    kind: str
    name: str
    message: str


def find_project_of(build: Path, manifest: Manifest, start: Path) -> Path | None:
    """Returns the folder that a build's inputs are relative to, above the build or around `start`; None if not found.

    A manifest has no absolute paths. The folder is the nearest one that has the configuration at the manifest's path;
    among several, one with an unchanged configuration.
    """
    around = [build, *build.parents, start, *start.parents]
    having = [folder for folder in around if (folder / manifest.configuration).is_file()]
    known = manifest.inputs.get(manifest.configuration)
    same = (folder for folder in having if _input_hash(folder / manifest.configuration) == known)
    return next(same, None) or next(iter(having), None)


def stale_reasons(
    build: Path, manifest: Manifest, places: Places, arguments: Mapping[str, Any] | None = None
) -> Iterator[Reason]:
    """Yields each reason why a build is stale: inputs first, then its own files.

    `arguments`, if given, are those that a build would be made with.
    """
    yield from _inputs(manifest, places)
    if manifest.fgc != __version__:
        yield Reason("version", "fgc", f"it was built by fgc {manifest.fgc}; this is fgc {__version__}")
    black = installed_version("black")
    if manifest.black is not None and manifest.black != black:
        yield Reason("version", "black", f"it was laid out by black {manifest.black}; here is black {black or 'none'}")
    if arguments is not None:
        yield from _arguments(manifest, arguments)
    for name, known in sorted(manifest.outputs.items()):
        path = build / name
        if not path.is_file():
            yield Reason("deleted", name, f"`{name}` was deleted from the build")
        elif path.is_symlink() or content_hash(read_bytes(path)) != known:
            yield Reason("edited", name, f"`{name}` was edited by hand")


def _inputs(manifest: Manifest, places: Places) -> Iterator[Reason]:
    for name, known in sorted(manifest.inputs.items()):
        path = places.path(name)
        if path is None or not path.is_file():
            yield Reason("vanished", name, f"`{name}` is gone")
        elif _input_hash(path) != known:
            yield Reason("changed", name, f"`{name}` changed")
    for name, winner in sorted(manifest.absent.items()):
        path = places.path(name)
        if path is not None and path.exists():
            instead = f" and is found before `{winner}`" if winner else ""
            yield Reason("appeared", name, f"`{name}` appeared{instead}")


def _arguments(manifest: Manifest, arguments: Mapping[str, Any]) -> Iterator[Reason]:
    for name in sorted({*manifest.arguments, *arguments}):
        built, wanted = _shown(manifest.arguments, name), _shown(arguments, name)
        if built != wanted:
            yield Reason("argument", name, f"`{name}` was {built} when it was built; now it is {wanted}")


def _shown(arguments: Mapping[str, Any], name: str) -> str:
    return repr(arguments[name]) if name in arguments else "not given"


def _input_hash(path: Path) -> str:
    """Returns the hash of a file as the compiler reads it, with line ends normalised."""
    raw = read_bytes(path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content_hash(raw)
    return content_hash(text.replace("\r\n", "\n").replace("\r", "\n"))
