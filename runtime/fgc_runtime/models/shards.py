"""Tensors, one at a time, to safetensors files: what is written never waits in memory.

The sizes are known before the numbers are, so each file's header comes first and the tensors behind it, in order
(the format: https://github.com/huggingface/safetensors#format).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import torch
from torch import Tensor

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tensor to write."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def num_bytes(self) -> int:
        return torch.Size(self.shape).numel() * self.dtype.itemsize


class ShardWriter:
    """Writes the wanted tensors in their order; more than one file if they are larger than `max_shard_bytes`."""

    def __init__(self, folder: Path, wanted: Sequence[Wanted], max_shard_bytes: int) -> None:
        self._folder = folder
        self._shards = _divided(wanted, max_shard_bytes)
        self._names = _file_names(len(self._shards))
        self._place = [(shard, item) for shard, items in enumerate(self._shards) for item in items]
        self._next = 0
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
        if kind is None:
            assert self._next == len(self._place), f"{len(self._place) - self._next} tensors were not written"
            self._write_index()

    def write(self, name: str, tensor: Tensor) -> None:
        """The next tensor of those wanted."""
        shard, item = self._place[self._next]
        assert (item.name, item.shape, item.dtype) == (name, tuple(tensor.shape), tensor.dtype), f"{name} is not {item}"
        if self._next == 0 or self._place[self._next - 1][0] != shard:
            self._begin(shard)
        assert self._file is not None, "a shard is open"
        self._file.write(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
        self._next += 1

    def _begin(self, shard: int) -> None:
        if self._file is not None:
            self._file.close()
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}
        end = 0
        for item in self._shards[shard]:
            start, end = end, end + item.num_bytes
            dtype = _NAMES[item.dtype]
            header[item.name] = {"dtype": dtype, "shape": list(item.shape), "data_offsets": [start, end]}
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        self._file = (self._folder / self._names[shard]).open("wb")
        self._file.write(len(text).to_bytes(8, "little") + text)

    def _write_index(self) -> None:
        if len(self._shards) == 1:
            return
        index = {
            "metadata": {"total_size": sum(item.num_bytes for _, item in self._place)},
            "weight_map": {item.name: self._names[shard] for shard, item in self._place},
        }
        text = json.dumps(index, indent=2, sort_keys=True) + "\n"
        (self._folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")


def _divided(wanted: Sequence[Wanted], max_shard_bytes: int) -> list[list[Wanted]]:
    shards: list[list[Wanted]] = [[]]
    size = 0
    for item in wanted:
        if shards[-1] and size + item.num_bytes > max_shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append(item)
        size += item.num_bytes
    return shards


def _file_names(count: int) -> list[str]:
    if count == 1:
        return ["model.safetensors"]
    return [f"model-{number:05}-of-{count:05}.safetensors" for number in range(1, count + 1)]
