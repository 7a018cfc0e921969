"""A GGUF file, tensor by tensor, and read back."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from fgc_runtime.convert.faults import ConvertError
from fgc_runtime.convert.progress import Progress
from fgc_runtime.export.tensors import Planned

_TYPES = {
    "float32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    "float16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    "bfloat16": (gguf.GGMLQuantizationType.BF16, gguf.LlamaFileType.MOSTLY_BF16),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}
_ALWAYS_FLOAT = ("ffn_gate_inp.weight", "_norm.weight", "position_embd.weight", "attn_sinks.weight")
_BLOCK = 32  # numbers of a block of Q8_0


def write_gguf(path: Path, architecture: str, pairs: Mapping[str, Any], tensors: Sequence[Planned], dtype: str) -> None:
    """Writes a file and compares what can be read from it. Raises ConvertError for numbers that the type has not."""
    kind, file_type = _TYPES[dtype]
    writer = gguf.GGUFWriter(path, architecture)
    try:
        writer.add_file_type(file_type.value)
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        for key, value in pairs.items():
            _add(writer, key.format(arch=architecture), value)
        kinds = [_kind(tensor, kind) for tensor in tensors]
        for tensor, each in zip(tensors, kinds, strict=True):
            _announce(writer, tensor, each)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        digests = _write_numbers(writer, tensors, kinds)
    finally:
        writer.close()
    _compare(path, pairs, architecture, {tensor.name: tensor.shape for tensor in tensors}, digests)


def _announce(writer: gguf.GGUFWriter, tensor: Planned, kind: gguf.GGMLQuantizationType) -> None:
    """The sizes of a tensor, which the file has before all numbers."""
    is_raw = kind in (gguf.GGMLQuantizationType.BF16, gguf.GGMLQuantizationType.Q8_0)
    shape = gguf.quant_shape_to_byte_shape(tensor.shape, kind) if is_raw else tensor.shape
    number = numpy.float16 if kind == gguf.GGMLQuantizationType.F16 else numpy.float32
    dtype = numpy.dtype(numpy.uint8 if is_raw else number)
    writer.add_tensor_info(tensor.name, shape, dtype, math.prod(shape) * dtype.itemsize, kind)


def _write_numbers(
    writer: gguf.GGUFWriter, tensors: Sequence[Planned], kinds: Sequence[gguf.GGMLQuantizationType]
) -> dict[str, bytes]:
    """Writes one tensor after the other; the digest of each."""
    progress = Progress(sum(math.prod(tensor.shape) for tensor in tensors))
    digests = {}
    for tensor, kind in zip(tensors, kinds, strict=True):
        data = _numbers(tensor, kind)
        digests[tensor.name] = hashlib.sha256(data.tobytes()).digest()
        writer.write_tensor_data(data)
        progress.add(math.prod(tensor.shape))
    progress.finish()
    return digests


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    """A pair with the type that llama.cpp reads it by."""
    match value:
        case bool():
            writer.add_bool(key, value)
        case str():
            writer.add_string(key, value)
        case float():
            writer.add_float32(key, value)
        case int():
            writer.add_uint32(key, value)
        case _:
            writer.add_array(key, value)


def _kind(tensor: Planned, kind: gguf.GGMLQuantizationType) -> gguf.GGMLQuantizationType:
    """Vectors, norms and routers stay in float32, and what does not divide into blocks in float16."""
    if len(tensor.shape) < 2 or tensor.name.endswith(_ALWAYS_FLOAT):
        return gguf.GGMLQuantizationType.F32
    if kind == gguf.GGMLQuantizationType.Q8_0 and tensor.shape[-1] % _BLOCK:
        return gguf.GGMLQuantizationType.F16
    return kind


def _numbers(tensor: Planned, kind: gguf.GGMLQuantizationType) -> NDArray[Any]:
    made = tensor.make().contiguous()
    if tuple(made.shape) != tensor.shape:
        raise ConvertError(f"{tensor.name} has the shape {tuple(made.shape)} and should have {tensor.shape}")
    numbers = made.to(torch.float32)
    if kind == gguf.GGMLQuantizationType.F16:
        half = numbers.to(torch.float16)
        if bool(half.isinf().logical_and(numbers.isfinite()).any()):
            raise ConvertError(f"{tensor.name} has numbers that float16 has not: --dtype bfloat16 or float32")
        found: NDArray[Any] = half.numpy()
        return found
    if kind == gguf.GGMLQuantizationType.BF16:
        return _bytes_of(numbers.to(torch.bfloat16))
    if kind == gguf.GGMLQuantizationType.Q8_0:
        quantized: NDArray[Any] = gguf.quants.quantize(numbers.numpy(), kind)
        return quantized
    plain: NDArray[Any] = numbers.numpy()
    return plain


def _bytes_of(tensor: Tensor) -> NDArray[Any]:
    found: NDArray[Any] = tensor.view(torch.uint8).numpy()
    return found


def _compare(
    path: Path,
    pairs: Mapping[str, Any],
    architecture: str,
    shapes: Mapping[str, tuple[int, ...]],
    digests: Mapping[str, bytes],
) -> None:
    """Raises ConvertError if the file does not hold what was written."""
    reader = gguf.GGUFReader(path)
    for key in pairs:
        if key.format(arch=architecture) not in reader.fields:
            raise ConvertError(f"{path} does not hold {key.format(arch=architecture)}: it was not written well")
    read = {tensor.name: tensor for tensor in reader.tensors}
    for name, digest in digests.items():
        found = read.get(name)
        is_whole = found is not None and tuple(map(int, reversed(found.shape))) == shapes[name]
        if found is None or not is_whole or hashlib.sha256(found.data.tobytes()).digest() != digest:
            raise ConvertError(f"{path} does not hold {name} as it was written: the disk is full or broken")
