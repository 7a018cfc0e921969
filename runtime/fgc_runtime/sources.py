"""A running program's own files, as they were when it started.

A training takes hours, in which its build may be replaced, edited or removed. What a run writes about itself and beside
its weights must be what it runs. So the files that the build lists are read once, when the program first imports this
package; its modules are imported from what was read, however late. Needs nothing but Python.
"""

import atexit
import functools
import importlib.abc
import importlib.machinery
import json
import linecache
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import spec_from_file_location
from multiprocessing import spawn
from pathlib import Path, PurePosixPath
from types import ModuleType

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class ProgramFiles:
    """The program and all that its build wrote, by names relative to its folder."""

    folder: Path
    main: str
    contents: Mapping[str, bytes]
    outputs: Mapping[str, str]  # the hashes that the build's manifest lists; empty for a program that was not built


def program_files() -> ProgramFiles | None:
    """Returns the files of the program that this process runs, None where it runs no file."""
    main = getattr(sys.modules["__main__"], "__file__", None)
    return None if main is None else _read(Path(main).absolute())


def read_source(path: Path) -> bytes | None:
    """Returns a file of the program as it was at the start, another one as it is now; None if there is none."""
    own = program_files()
    place = path.absolute()
    if own is not None and place.is_relative_to(own.folder):
        content = own.contents.get(place.relative_to(own.folder).as_posix())
        if content is not None:
            return content
    return path.read_bytes() if path.is_file() else None


def freeze_program() -> None:
    """Read the program's files now, and import its modules from them. Does nothing for a program that was not built."""
    own = program_files()
    if own is None or own.main not in own.outputs:
        return
    for name, content in own.contents.items():
        if name.endswith(".py"):
            file = str(own.folder / name)
            lines = content.decode(errors="replace").splitlines(keepends=True)
            linecache.cache[file] = (len(content), None, lines, file)  # without a time: it is never read again
    sys.meta_path.insert(0, _Finder(own))
    _give_to_spawned(own)


def _give_to_spawned(own: ProgramFiles) -> None:
    """Let processes that begin with the program's file, as data loaders may, begin with what was read."""
    prepare = spawn.get_preparation_data

    def prepared(name: str) -> dict[str, object]:
        data = prepare(name)
        copy = _written(own)
        if data.get("init_main_from_path") == str(own.folder / own.main):
            data["init_main_from_path"] = str(copy / own.main)
        others = [path for path in sys.path if Path(path or ".").absolute() != own.folder]
        return {**data, "sys_path": [str(copy), *others]}

    spawn.get_preparation_data = prepared  # what `spawn` and `forkserver` ask for each process


def _written(own: ProgramFiles) -> Path:
    """A folder of this process with the files as they were read; systems may clean it after days."""
    copy = _copy_folder()
    for name, content in own.contents.items():
        path = copy / name
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return copy


@functools.cache
def _copy_folder() -> Path:
    copy, owner = Path(tempfile.mkdtemp(prefix="fgc-program-")), os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            shutil.rmtree(copy, ignore_errors=True)

    atexit.register(remove)
    return copy


@functools.lru_cache(maxsize=8)
def _read(main: Path) -> ProgramFiles | None:
    if not main.is_file():
        return None
    outputs = _outputs(main.with_name(MANIFEST))
    names = {main.name, *outputs, *([MANIFEST] if outputs else [])}
    inside = [name for name in sorted(names) if _is_inside(name) and (main.parent / name).is_file()]
    contents = {name: (main.parent / name).read_bytes() for name in inside}
    return ProgramFiles(main.parent, main.name, contents, outputs)


def _outputs(manifest: Path) -> Mapping[str, str]:
    try:
        outputs = json.loads(manifest.read_text(encoding="utf-8"))["outputs"]
        return {name: str(value) for name, value in outputs.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules that the build wrote, before Python looks into the folder where they were."""

    def __init__(self, own: ProgramFiles) -> None:
        self._own = own

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        stem = fullname.replace(".", "/")
        for name, places in ((f"{stem}/__init__.py", [str(self._own.folder / stem)]), (f"{stem}.py", None)):
            if name in self._own.contents:
                file = str(self._own.folder / name)
                loader = _Loader(file, self._own.contents[name])
                return spec_from_file_location(fullname, file, loader=loader, submodule_search_locations=places)
        return None


class _Loader(importlib.abc.SourceLoader):
    """Loads a module from what was read; no cache of compiled code is asked."""

    def __init__(self, file: str, content: bytes) -> None:
        self._file = file
        self._content = content

    def get_filename(self, fullname: str) -> str:
        return self._file

    def get_data(self, path: str | bytes) -> bytes:
        if path != self._file:
            raise OSError(f"{path!r} was not read when the program started")
        return self._content
