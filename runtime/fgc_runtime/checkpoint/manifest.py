"""The manifest of a checkpoint, `checkpoint.json`: every file with its size and hash, and facts about the run.

Written last, before the folder gets its name. A checkpoint whose files are not those of its manifest is damaged.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from fgc_runtime.releases import VERSION, other_format, refusal

MANIFEST = "checkpoint.json"
_FORMAT = 1
_FILES_AT_ONCE = 4
_WRITTEN_BY = re.compile(r"__(\d+)_\d+\.distcp$")  # the name that torch.distributed.checkpoint gives a process's file


class DamagedCheckpoint(Exception):
    """A checkpoint whose files are not the ones that were written."""


def write_manifest(folder: Path, about: Mapping[str, object], hashes: Mapping[str, str] | None = None) -> None:
    """Writes the manifest of the files in `folder`; `about` has other facts for a resume.

    `hashes` are those of all files, if they are known.
    """
    sizes = sizes_in(folder)
    hashes = hashes if hashes is not None else hashes_of(folder, sizes)
    files = {name: {"size_bytes": size_bytes, "sha256": hashes[name]} for name, size_bytes in sizes.items()}
    saved_at = datetime.now().astimezone().isoformat()
    manifest = {"format": _FORMAT, "fgc": VERSION, "saved_at": saved_at, **about, "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, object]:
    """Returns the manifest. Raises FileNotFoundError without one, DamagedCheckpoint if it is not valid JSON."""
    path = folder / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is no checkpoint to resume from: it has no {MANIFEST}")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedCheckpoint(f"{path} is damaged: {error}") from error
    if not isinstance(manifest, dict):
        raise DamagedCheckpoint(f"{path} is damaged: it holds no table")
    if manifest.get("format") != _FORMAT:
        raise DamagedCheckpoint(other_format(str(path), manifest.get("fgc"), _FORMAT))
    if (told := refusal(str(folder), manifest.get("fgc"))) is not None:
        raise DamagedCheckpoint(told)
    return manifest


def metrics_of(folder: Path) -> dict[str, float]:
    """Returns the metrics of the evaluation at a checkpoint's step; empty without one."""
    metrics = read_manifest(folder).get("metrics")
    return metrics if isinstance(metrics, dict) else {}


def sizes_in(folder: Path) -> dict[str, int]:
    """Returns the size in bytes of each file of a checkpoint, by name; empty for a missing folder."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MANIFEST]
    return {str(path.relative_to(folder)): path.stat().st_size for path in paths}


def hashes_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Returns the hash of each of these files, reading several at a time."""
    names = list(names)
    with ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
        return dict(zip(names, pool.map(_sha256, [folder / name for name in names]), strict=True))


def share_of(sizes: Mapping[str, int], rank: int, world_size: int) -> list[str]:
    """Returns the files that a process hashes: those that it wrote itself, and its part of the others, by size."""
    loads, shares = [0] * world_size, list[list[str]]([] for _ in range(world_size))
    others = []
    for name, size_bytes in sizes.items():
        written_by = _WRITTEN_BY.search(name)
        if written_by is None or int(written_by[1]) >= world_size:
            others.append((size_bytes, name))
            continue
        loads[int(written_by[1])] += size_bytes
        shares[int(written_by[1])].append(name)
    for size_bytes, name in sorted(others, reverse=True):
        least = loads.index(min(loads))
        loads[least] += size_bytes
        shares[least].append(name)
    return shares[rank]


def verify(folder: Path, *, rank: int = 0, world_size: int = 1) -> dict[str, object]:
    """Returns the manifest if every file is intact. Raises DamagedCheckpoint, naming the first that is not.

    With several processes, each reads its share of the files.
    """
    manifest = read_manifest(folder)
    files = manifest.get("files")
    if not isinstance(files, dict) or not all(isinstance(written, dict) for written in files.values()):
        raise DamagedCheckpoint(f"{folder} is damaged: {MANIFEST} lists no files")
    sizes = {name: int(written.get("size_bytes") or 0) for name, written in files.items()}
    own = set(share_of(sizes, rank, world_size))
    for name, written in files.items():
        if name not in own:
            continue
        path = folder / name
        if not path.is_file():
            raise DamagedCheckpoint(f"{folder} is damaged: {name} is missing")
        size_bytes = path.stat().st_size
        if size_bytes != written.get("size_bytes"):
            raise DamagedCheckpoint(
                f"{folder} is damaged: {name} has {size_bytes} bytes and had {written.get('size_bytes')}"
            )
        if _sha256(path) != written.get("sha256"):
            raise DamagedCheckpoint(f"{folder} is damaged: the content of {name} is not what was written")
    return manifest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
