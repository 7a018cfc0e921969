"""The weights in a model's folder: every tensor's name, shape, dtype and file, and the tensors one at a time.

Reads `model.safetensors` and `pytorch_model.bin`, whole or in shards. Only one file is open at a time, and it is
opened anew after every 64 MiB, so that what was read does not stay mapped.
"""

import json
import pickle
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from fgc_runtime.convert.faults import ConvertError
from fgc_runtime.models.shards import DTYPES

_REOPENED_AFTER_BYTES = 64 * 2**20
_NUM_NAMED = 8


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor that is not read yet."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    file: Path

    @property
    def num_bytes(self) -> int:
        return torch.Size(self.shape).numel() * self.dtype.itemsize


class Weights:
    """The tensors of a folder. Raises ConvertError for weights that are missing, incomplete or damaged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tensors: dict[str, TensorInfo] = {}
        self._open: tuple[Path, Any] | None = None
        self._read_bytes = 0
        files, listed = _files(folder)
        for file in files:
            for info in _infos(file):
                if info.name in self.tensors:
                    raise ConvertError(f"`{info.name}` is in both {self.tensors[info.name].file.name} and {file.name}")
                self.tensors[info.name] = info
        absent = sorted(set(listed) - set(self.tensors))
        if absent:
            index = next(folder.glob("*.index.json")).name
            raise ConvertError(f"{index} lists tensors that its files do not hold: {named(absent)}")

    def read(self, name: str) -> Tensor:
        """One tensor, on the CPU."""
        info = self.tensors[name]
        if self._open is None or self._open[0] != info.file or self._read_bytes > _REOPENED_AFTER_BYTES:
            self._open = None  # the old file first
            self._open, self._read_bytes = (info.file, _opened(info.file)), 0
        self._read_bytes += info.num_bytes
        file = self._open[1]
        tensor: Tensor = file[info.name] if isinstance(file, dict) else file.get_tensor(info.name)
        return tensor

    def renamed(self, prefix: str) -> None:
        """Put a prefix before the names that lack it: folders that hold a model without its head."""
        self.tensors = {prefix + name: info for name, info in self.tensors.items()}


def named(names: list[str]) -> str:
    """The first names and how many more there are."""
    shown = ", ".join(names[:_NUM_NAMED])
    return shown if len(names) <= _NUM_NAMED else f"{shown} and {len(names) - _NUM_NAMED} more"


def _files(folder: Path) -> tuple[list[Path], list[str]]:
    """The files with weights, and the tensors that an index lists."""
    for stem, suffix in (("model", "safetensors"), ("pytorch_model", "bin")):
        index = folder / f"{stem}.{suffix}.index.json"
        if index.is_file():
            return _shards(folder, index)
        if (folder / f"{stem}.{suffix}").is_file():
            return [folder / f"{stem}.{suffix}"], []
    raise ConvertError(
        f"{folder} has no weights: no model.safetensors and no pytorch_model.bin, whole or with an index of shards"
    )


def _shards(folder: Path, index: Path) -> tuple[list[Path], list[str]]:
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = sorted(set(weight_map.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConvertError(f"{index} is not an index of shards: {type(error).__name__}: {error}") from error
    outside = [name for name in names if Path(name).name != name]
    if outside:
        raise ConvertError(f"{index.name} names files outside of its folder: {named(outside)}")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ConvertError(
            f"{folder} lacks {len(missing)} of the {len(names)} shards that {index.name} lists: {named(missing)}"
        )
    return [folder / name for name in names], list(weight_map)


def _infos(file: Path) -> Iterator[TensorInfo]:
    opened = _opened(file)
    if isinstance(opened, dict):
        for name, tensor in opened.items():
            if not isinstance(tensor, Tensor):
                raise ConvertError(f"{file} holds `{name}`, a {type(tensor).__name__}: it is no plain set of tensors")
            yield TensorInfo(name, tuple(tensor.shape), tensor.dtype, file)
        return
    for name in opened.keys():  # noqa: SIM118  # safe_open is no mapping
        part = opened.get_slice(name)
        dtype = DTYPES.get(part.get_dtype())
        if dtype is None:
            raise ConvertError(f"`{name}` in {file} has the dtype {part.get_dtype()}, which torch does not have")
        yield TensorInfo(name, tuple(part.get_shape()), dtype, file)


def _opened(file: Path) -> Any:
    """A safetensors file, or the tensors of a pickled one; neither runs code nor reads the weights yet."""
    try:
        if file.suffix == ".safetensors":
            return safe_open(file, framework="pt")
        return torch.load(file, map_location="cpu", mmap=zipfile.is_zipfile(file), weights_only=True)
    except SafetensorError as error:
        raise ConvertError(f"{file} is damaged: {error}") from error
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0]
        raise ConvertError(f"{file} is damaged, or holds more than tensors and is not run: {reason}") from error
    except (OSError, RuntimeError, EOFError) as error:
        raise ConvertError(f"{file} cannot be read: {error}") from error
