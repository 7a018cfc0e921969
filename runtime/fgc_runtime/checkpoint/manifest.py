"""What a checkpoint consists of, in `checkpoint.json`: every file with its size and hash, and what the run was.

Written last, before the folder gets its name. A checkpoint whose files are not those of its manifest is damaged.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

MANIFEST = "checkpoint.json"
_FORMAT = 1


class DamagedCheckpoint(Exception):
    """A checkpoint whose files are not the ones that were written."""


def write_manifest(folder: Path, about: Mapping[str, object]) -> None:
    """Describe the files that lie in `folder` now; `about` says what else a resume wants to know."""
    files = {
        str(path.relative_to(folder)): {"size_bytes": path.stat().st_size, "sha256": _sha256(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    saved_at = datetime.now().astimezone().isoformat()
    manifest = {"format": _FORMAT, "saved_at": saved_at, **about, "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, object]:
    """What `write_manifest` wrote. Raises FileNotFoundError where there is none, DamagedCheckpoint if it is no JSON."""
    path = folder / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is no checkpoint to resume from: it has no {MANIFEST}")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedCheckpoint(f"{path} is damaged: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        raise DamagedCheckpoint(f"{path} is none of this version: format {_FORMAT} is wanted")
    return manifest


def metrics_of(folder: Path) -> dict[str, float]:
    """Returns the metrics of the evaluation at a checkpoint's step; empty without one."""
    metrics = read_manifest(folder).get("metrics")
    return metrics if isinstance(metrics, dict) else {}


def verify(folder: Path) -> dict[str, object]:
    """The manifest, if every file is as it was written. Raises DamagedCheckpoint, naming the first that is not."""
    manifest = read_manifest(folder)
    files = manifest.get("files")
    if not isinstance(files, dict) or not all(isinstance(written, dict) for written in files.values()):
        raise DamagedCheckpoint(f"{folder} is damaged: {MANIFEST} lists no files")
    for name, written in files.items():
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
