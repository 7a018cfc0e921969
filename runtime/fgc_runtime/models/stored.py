"""Tensors in safetensors files to their bytes, which are read when they are looked at.

The format: https://github.com/huggingface/safetensors#format.
"""

import json
import mmap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fgc_runtime.models.shards import DTYPES

_MAX_HEADER_BYTES = 100 << 20  # what safetensors itself allows


class NotStored(Exception):
    """A file that does not hold what it says that it holds."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """The location of a tensor's numbers in a file, in row-major order."""

    path: Path
    start_bytes: int
    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        """Returns how many bytes there are of it."""
        return torch.Size(self.shape).numel() * self.dtype.itemsize

    def mapped(self) -> torch.UntypedStorage:
        """Returns its bytes, which come into memory where they are looked at; what is written to them stays there.

        Raises NotStored for a file that is shorter.
        """
        if not self.size_bytes:
            return torch.empty(0, dtype=torch.uint8).untyped_storage()
        first = self.start_bytes % mmap.ALLOCATIONGRANULARITY
        with self.path.open("rb") as file:
            try:
                memory = mmap.mmap(
                    file.fileno(), first + self.size_bytes, access=mmap.ACCESS_COPY, offset=self.start_bytes - first
                )
            except ValueError as error:
                raise NotStored(f"{self.path} is cut off: {error}") from error
        return torch.frombuffer(memory, dtype=torch.uint8, offset=first, count=self.size_bytes).untyped_storage()

    def tensor(self) -> Tensor:
        """Returns it with its shape, in such memory."""
        return torch.empty(0, dtype=self.dtype).set_(self.mapped()).view(self.shape)


def stored_tensors(paths: Iterable[Path]) -> dict[str, StoredTensor]:
    """Returns what lies in files, by name. Raises NotStored for a file that is none, and for types that torch lacks."""
    return {name: tensor for path in paths for name, tensor in _in_file(path).items()}


def _in_file(path: Path) -> dict[str, StoredTensor]:
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > _MAX_HEADER_BYTES:
                raise ValueError("its header is too long")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        return {
            name: StoredTensor(
                path, 8 + length + int(entry["data_offsets"][0]), DTYPES[entry["dtype"]], tuple(entry["shape"])
            )
            for name, entry in header.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise NotStored(f"{path} is no safetensors file of known types: {type(error).__name__}: {error}") from error
