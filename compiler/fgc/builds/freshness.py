"""A build to whether it is what a build would give now, and if not, why: read from its manifest, compiling nothing."""

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
    """Returns why a build is stale: a word for machines, the file or value that it is about, and a sentence."""

    kind: str
    name: str
    message: str


def find_project_of(build: Path, manifest: Manifest, start: Path) -> Path | None:
    """The folder from which a build's inputs are named: above the build, or around `start`; None if there is none.

    A manifest holds no absolute paths. The folder is the nearest one that has the configuration where the manifest
    says; if there are several, one in which it has not changed.
    """
    around = [build, *build.parents, start, *start.parents]
    having = [folder for folder in around if (folder / manifest.configuration).is_file()]
    known = manifest.inputs.get(manifest.configuration)
    same = (folder for folder in having if _input_hash(folder / manifest.configuration) == known)
    return next(same, None) or next(iter(having), None)


def stale_reasons(
    build: Path, manifest: Manifest, places: Places, arguments: Mapping[str, Any] | None = None
) -> Iterator[Reason]:
    """Everything that makes a build stale: inputs first, then its own files.

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
    """The hash of a file as the compiler reads it: line ends are no change."""
    raw = read_bytes(path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content_hash(raw)
    return content_hash(text.replace("\r\n", "\n").replace("\r", "\n"))
