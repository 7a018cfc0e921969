"""Inspects a checkpoint: whether its files are the ones that were written, and the size of each part."""

import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from fgc.cli.arguments import CannotRun
from fgc.reading import open_regular, read_bytes, read_json

_MANIFEST = "checkpoint.json"
_TENSORS = "state/tensors.json"
_BLOCK_BYTES = 2**22
_LONGEST_HEADER_BYTES = 100_000_000


class FileState(Struct, frozen=True):
    """A file of a checkpoint: `ok`, `missing`, of another `size`, of another `content`, or `not listed`."""

    name: str
    size_bytes: int
    state: str


class Component(Struct, frozen=True):
    """A part of a checkpoint: its numbers of tensors and elements, their types, and its size on disk."""

    name: str
    num_tensors: int
    num_elements: int
    dtypes: tuple[str, ...]
    size_bytes: int


def manifest_of(folder: Path) -> dict[str, Any]:
    """Returns the manifest of a checkpoint. Raises CannotRun if the folder is no checkpoint, or a damaged one."""
    try:
        manifest = read_json(folder / _MANIFEST)
    except FileNotFoundError:
        raise CannotRun(f"`{folder}` has no {_MANIFEST}: it is not a checkpoint to resume from") from None
    except (OSError, ValueError) as error:
        raise CannotRun(f"`{folder / _MANIFEST}` is damaged: {error}") from None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise CannotRun(f"`{folder / _MANIFEST}` is damaged: it lists no files")
    return manifest


def states_of(folder: Path, manifest: Mapping[str, Any]) -> Iterator[FileState]:
    """Reads every file; yields the state of each listed file, and of each additional one."""
    listed = manifest["files"]
    for name, written in sorted(listed.items()):
        yield _state(folder, name, written if isinstance(written, dict) else {})
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != _MANIFEST and name not in listed:
            yield FileState(name, path.stat().st_size, "not listed")


def components_of(folder: Path) -> list[Component]:
    """Returns the model's weights, each kind of optimizer state, and the other files. Raises CannotRun."""
    found = [*_weights(folder), *_states(folder)]
    rest = [path for path in folder.rglob("*") if path.is_file() and not _is_counted(folder, path)]
    groups = {"training state": "training_state.pt", "code and configuration": "*.py|*.json"}
    for name, patterns in groups.items():
        files = [path for path in rest if any(path.match(pattern) for pattern in patterns.split("|"))]
        rest = [path for path in rest if path not in files]
        found.append(Component(name, 0, 0, (), sum(path.stat().st_size for path in files)))
    if rest:
        found.append(Component("other files", 0, 0, (), sum(path.stat().st_size for path in rest)))
    return found


def _state(folder: Path, name: str, written: Mapping[str, Any]) -> FileState:
    path = folder / name
    if not path.is_file():
        return FileState(name, int(written.get("size_bytes") or 0), "missing")
    size_bytes = path.stat().st_size
    if size_bytes != written.get("size_bytes"):
        return FileState(name, size_bytes, "size")
    return FileState(name, size_bytes, "ok" if _sha256(path) == written.get("sha256") else "content")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _is_counted(folder: Path, path: Path) -> bool:
    return path.suffix == ".safetensors" or path.suffix == ".distcp" or path == folder / _TENSORS


def _weights(folder: Path) -> Iterator[Component]:
    entries = [(path, _header(path)) for path in sorted(folder.glob("*.safetensors"))]
    tensors = [entry for _, header in entries for name, entry in header.items() if name != "__metadata__"]
    if tensors:
        size_bytes = sum(path.stat().st_size for path, _ in entries)
        dtypes = tuple(sorted({str(entry.get("dtype")) for entry in tensors}))
        count = sum(_count(entry.get("shape")) for entry in tensors)
        yield Component("model files", len(tensors), count, dtypes, size_bytes)


def _header(path: Path) -> dict[str, Any]:
    """Returns the header of a safetensors file. Raises CannotRun if it is truncated."""
    try:
        with open_regular(path) as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _LONGEST_HEADER_BYTES:
                raise ValueError("its header is too long")
            header = json.loads(file.read(length))
    except (OSError, ValueError, RecursionError, struct.error) as error:
        raise CannotRun(f"`{path}` is damaged: {error}") from None
    return header if isinstance(header, dict) else {}


def _states(folder: Path) -> Iterator[Component]:
    """Yields the optimizer state, grouped by the last word of each name: `exp_avg`, `step`, ...

    Tensors that lie in the model's files are left out.
    """
    try:
        table = json.loads(read_bytes(folder / _TENSORS))["tensors"]
        entries = [(name, entry["dtype"], _count(entry["shape"]), entry["parts"]) for name, entry in table.items()]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CannotRun(f"`{folder / _TENSORS}` is damaged: {type(error).__name__}: {error}") from None
    kinds: dict[str, list[tuple[str, int, int]]] = {}
    for name, dtype, count, parts in entries:
        if parts and str(parts[0]["file"]).endswith(".safetensors"):
            continue
        size_bytes = sum(int(part["size_bytes"]) for part in parts)
        kinds.setdefault(_kind(name), []).append((str(dtype), count, size_bytes))
    for kind, rows in sorted(kinds.items()):
        dtypes = tuple(sorted({dtype for dtype, _, _ in rows}))
        yield Component(kind, len(rows), sum(row[1] for row in rows), dtypes, sum(row[2] for row in rows))


def _kind(name: str) -> str:
    first, _, rest = name.partition(".")
    return f"{first} {rest.rpartition('.')[2]}" if first == "optimizer" else f"{first} state"


def _count(shape: object) -> int:
    total = 1
    for length in shape if isinstance(shape, list) else ():
        total *= int(length)
    return total
