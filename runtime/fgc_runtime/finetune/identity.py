"""A base model to a short description of its weights, by which an adapter knows its own base again.

The description is a hash of the names, shapes and first bytes of all stored tensors: another model has another, and so
has the same model after any training. It takes milliseconds; the dtype that a program loads it in plays no part.
"""

import hashlib
import json
import struct
from pathlib import Path

_SAMPLED_BYTES = 1024  # of each tensor: enough that a trained tensor differs, little enough to read thousands of them
_MAX_HEADER_BYTES = 100_000_000  # the bound of safetensors itself


def base_folder(name_or_path: str, revision: str | None = None) -> Path | None:
    """Returns the folder that holds a model: itself, or where the hub's copy lies on this machine; None if nowhere."""
    if Path(name_or_path).expanduser().is_dir():
        return Path(name_or_path).expanduser()
    from transformers.utils.hub import cached_file  # torch: seconds, and already there when weights are

    try:
        found = cached_file(name_or_path, "config.json", revision=revision, local_files_only=True)
    except (OSError, ValueError):
        return None
    return Path(found).parent if found is not None else None


def weights_hash(folder: Path) -> str | None:
    """Returns the hash of the tensors in a folder's safetensors files; None where it has none.

    Raises OSError or ValueError for files that cannot be read as such.
    """
    paths = sorted(folder.glob("*.safetensors"))
    paths = [path for path in paths if not path.name.startswith("adapter_")]
    tensors = sorted(entry for path in paths for entry in _tensors(path))
    return hashlib.sha256(json.dumps(tensors).encode()).hexdigest() if tensors else None


def _tensors(path: Path) -> list[tuple[str, list[int], str]]:
    with path.open("rb") as file:
        beginning = file.read(8)
        if len(beginning) < 8 or (size := struct.unpack("<Q", beginning)[0]) > _MAX_HEADER_BYTES:
            raise ValueError(f"{path} is no safetensors file")
        header = json.loads(file.read(size))
        found = []
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            first, last = entry["data_offsets"]
            file.seek(8 + size + first)
            sample = hashlib.sha256(file.read(min(last - first, _SAMPLED_BYTES))).hexdigest()
            found.append((name, list(entry["shape"]), sample))
    return found
