"""The table of contents of a checkpoint's tensors, as JSON: the file and offset of each part of each tensor.

Weights that lie in the checkpoint's own model files are named there and written nowhere else. torch writes a table as a
pickle, `.metadata`, for its own tools. A pickle can run code: nothing here reads that file.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    StorageMeta,
    TensorProperties,
    TensorStorageMetadata,
)

from fgc_runtime.checkpoint.manifest import DamagedCheckpoint
from fgc_runtime.checkpoint.parts import Box
from fgc_runtime.checkpoint.references import References
from fgc_runtime.models.stored import StoredTensor

CONTENTS = "tensors.json"
_FORMAT, _FORMATS = 2, (1, 2)  # the first had all tensors in files of its own
_LARGEST = 2**63 - 1  # what torch's sizes hold
_DATA_FILE = re.compile(r"__\d+_\d+\.distcp")
_MODEL_FILE = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")  # in the folder above
_Expected = TypeVar("_Expected")


def write_contents(folder: Path, metadata: Metadata, elsewhere: References) -> None:
    """Writes the table that `read_contents` reads, from the writer's own `storage_data` and from `elsewhere`."""
    places = {(index.fqn, tuple(index.offset or ())): info for index, info in metadata.storage_data.items()}
    tensors: dict[str, object] = {
        name: {
            "dtype": str(entry.properties.dtype).removeprefix("torch."),
            "shape": list(entry.size),
            "parts": [_part(chunk, places[name, tuple(chunk.offsets)]) for chunk in entry.chunks],
        }
        for name, entry in metadata.state_dict_metadata.items()
        if isinstance(entry, TensorStorageMetadata)
    }
    tensors |= {name: _referred(parts) for name, parts in elsewhere.items()}
    text = json.dumps({"format": _FORMAT if elsewhere else min(_FORMATS), "tensors": tensors}, indent=1)
    (folder / CONTENTS).write_text(text + "\n", encoding="utf-8")


def _part(chunk: ChunkStorageMetadata, info: _StorageInfo) -> dict[str, object]:
    return {
        "offsets": list(chunk.offsets),
        "shape": list(chunk.sizes),
        "file": info.relative_path,
        "start_bytes": info.offset,
        "size_bytes": info.length,
    }


def _referred(parts: Sequence[tuple[Box, StoredTensor]]) -> dict[str, object]:
    ends = zip(*(box.ends for box, _ in parts), strict=True)
    return {
        "dtype": str(parts[0][1].dtype).removeprefix("torch."),
        "shape": [max(of_dim) for of_dim in ends],
        "parts": [
            {
                "offsets": list(box.offsets),
                "shape": list(box.shape),
                "file": stored.path.name,
                "start_bytes": stored.start_bytes,
                "size_bytes": stored.size_bytes,
            }
            for box, stored in parts
        ],
    }


def is_in_model(path: str) -> bool:
    """Returns True for a file of the model, in the folder above."""
    return _MODEL_FILE.fullmatch(path) is not None


def read_contents(folder: Path) -> Metadata:
    """Returns torch's description of the tensors in `folder`. Raises DamagedCheckpoint if its table is not sound."""
    path = folder / CONTENTS
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(table, dict) or table.get("format") not in _FORMATS:
            raise DamagedCheckpoint(f"{path} is not of this version: format {_FORMAT} is expected")
        return _metadata(_is_a(table["tensors"], dict))
    except FileNotFoundError:
        raise DamagedCheckpoint(f"{folder} is damaged: {CONTENTS} is missing") from None
    except (KeyError, ValueError, OverflowError, RecursionError) as error:
        raise DamagedCheckpoint(f"{path} is damaged: {type(error).__name__}: {error}") from error


def _metadata(tensors: Mapping[str, object]) -> Metadata:
    entries: dict[str, Any] = {}
    places: dict[MetadataIndex, _StorageInfo] = {}
    for name, written in tensors.items():
        tensor = _is_a(written, dict)
        parts = [_is_a(part, dict) for part in _is_a(tensor["parts"], list)]
        chunks = [ChunkStorageMetadata(_size(part["offsets"]), _size(part["shape"])) for part in parts]
        properties = TensorProperties(dtype=_dtype(tensor["dtype"]))
        entries[name] = TensorStorageMetadata(properties, _size(tensor["shape"]), chunks)
        places |= {MetadataIndex(name, chunk.offsets): _place(part) for chunk, part in zip(chunks, parts, strict=True)}
    return Metadata(entries, storage_data=places, storage_meta=StorageMeta())


def _place(part: Mapping[str, object]) -> _StorageInfo:
    """Returns the path of a part, which must be in this folder or the one above, whatever the table says."""
    file = _is_a(part["file"], str)
    if not _DATA_FILE.fullmatch(file) and not is_in_model(file):
        raise ValueError(f"{file!r} is not a file of tensors")
    return _StorageInfo(file, *_size([part["start_bytes"], part["size_bytes"]]))


def _dtype(name: object) -> torch.dtype:
    dtype = getattr(torch, _is_a(name, str), None)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"{name!r} is not a dtype")
    return dtype


def _size(numbers: object) -> torch.Size:
    """Returns lengths or positions, which must be integers of at least 0."""
    found = _is_a(numbers, list)
    if any(type(number) is not int or not 0 <= number <= _LARGEST for number in found):
        raise ValueError(f"{found} are not sizes")
    return torch.Size(found)


def _is_a(value: object, expected: type[_Expected]) -> _Expected:
    if not isinstance(value, expected):
        raise ValueError(f"{str(value)[:40]!r} is no {expected.__name__}")
    return value
