"""Writes generated files to a folder: all of them or none, and never over files that a person wrote or edited.

The new folder is written beside the old one and replaces it in one step. A failure or interruption before that step
leaves the old folder unchanged. The next build removes what a killed one left behind.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from fgc.builds.exchange import take_place_of
from fgc.builds.manifest import MANIFEST, BuildRecord, content_hash, manifest_text, read_manifest
from fgc.builds.turns import turn, unfinished_prefix
from fgc.diagnostics import Diagnostic, Outcome
from fgc.reading import read_bytes
from fgc.text import Source, Span

_NUM_NAMED = 8  # files that a message names; the others are only counted
_CACHES = frozenset({"__pycache__", "lost+found"})  # made by Python and by the file system


def write_build(
    folder: Path, files: Mapping[str, str | bytes], record: BuildRecord, *, force: bool = False
) -> Outcome[Path | None]:
    """Replaces a folder with a build; the manifest is added to `files`.

    Refuses if the folder has files that no build wrote, or files that were edited since (unless `force`).
    """
    for name in files:
        _require_relative(name)
    folder = folder.absolute()
    contents = {name: _bytes(content) for name, content in files.items()}
    contents[MANIFEST] = manifest_text(contents, record)
    try:
        with turn(folder.resolve()):
            findings = _obstacles(folder, force=force)
            if findings:
                return Outcome(None, tuple(findings))
            _put(folder.resolve(), contents)
    except OSError as error:
        return Outcome(None, (_finding(folder, "FGC602", f"cannot write `{folder.name}`: {_reason(error)}"),))
    return Outcome(folder)


def _obstacles(folder: Path, *, force: bool) -> list[Diagnostic]:
    if not folder.exists():
        return []
    if not folder.is_dir():
        return [_finding(folder, "FGC602", f"`{folder.name}` is a file, not a folder", help="choose another folder")]
    try:
        present = sorted(_files_in(folder))
        outputs = _outputs(folder)
        foreign = [name for name in present if name not in outputs and not (outputs and name == MANIFEST)]
        edited = [name for name in present if name in outputs and _hash_of(folder / name) != outputs[name]]
    except OSError as error:
        return [_finding(folder, "FGC602", f"cannot read `{folder.name}`: {_reason(error)}")]
    findings = []
    if foreign:
        message = f"`{folder.name}` contains files that no build wrote: {_listed(foreign)}"
        findings.append(_finding(folder, "FGC601", message, help="move them away, or choose another folder"))
    if edited and not force:
        message = f"files in `{folder.name}` were edited since they were generated: {_listed(edited)}"
        findings.append(
            _finding(folder, "FGC603", message, help="`--force` overwrites them; edit the template to keep a change")
        )
    return findings


def _outputs(folder: Path) -> Mapping[str, str]:
    manifest = read_manifest(folder)
    return {} if manifest is None else manifest.outputs


def _files_in(folder: Path) -> Iterator[str]:
    for root, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = sorted(set(folders) - _CACHES)
        here = Path(root)
        links = [name for name in folders if (here / name).is_symlink()]
        for name in (*names, *links):
            yield (here / name).relative_to(folder).as_posix()


def _raise(error: OSError) -> None:
    raise error


def _hash_of(path: Path) -> str:
    return "a link" if path.is_symlink() else content_hash(read_bytes(path))


def _put(folder: Path, contents: Mapping[str, bytes]) -> None:
    is_fixed = folder.is_dir() and (folder.is_mount() or not os.access(folder.parent, os.W_OK))
    (_fill if is_fixed else _replace)(folder, contents)


def _replace(folder: Path, contents: Mapping[str, bytes]) -> None:
    fresh = Path(tempfile.mkdtemp(prefix=unfinished_prefix(folder), dir=folder.parent))
    try:
        for name, content in contents.items():
            _write(fresh / name, content)
        fresh.chmod(0o777 & ~_umask())
        _sync(fresh)
        take_place_of(fresh, folder)
        _sync(folder.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)  # now the old folder, or an unfinished one


def _fill(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Replaces the contents of a folder that cannot be replaced itself, such as a mount: file by file, manifest last.

    For a moment, a reader may see files of both builds. If this is killed, the files look edited, which later builds
    report.
    """
    fresh = Path(tempfile.mkdtemp(prefix=unfinished_prefix(folder), dir=folder))
    stale = _outputs(folder).keys() - contents.keys()
    try:
        for name, content in contents.items():
            _write(fresh / name, content)
        for name in sorted(contents, key=lambda name: name == MANIFEST):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (fresh / name).replace(folder / name)
        for name in stale:
            (folder / name).unlink(missing_ok=True)
        _sync(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _bytes(content: str | bytes) -> bytes:
    return content.encode("utf-8") if isinstance(content, str) else content


def _require_relative(name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        raise ValueError(f"name of a file in a build ({name!r}) must be a relative path without `..`")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_NUM_NAMED])
    rest = len(names) - _NUM_NAMED
    return f"{shown} and {rest} more" if rest > 0 else shown


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _finding(folder: Path, code: str, message: str, *, help: str | None = None) -> Diagnostic:
    source = Source(folder.name, "", str(folder))
    return Diagnostic(code, message, Span(source, 0, 0), help=help)
