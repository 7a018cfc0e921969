"""A model's parameters and costs as JSON, and as text for a person."""

from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from transformers import PreTrainedModel

from fgc_runtime.models.costs import OPTIMIZERS, Shape, flops, memory
from fgc_runtime.models.structure import ModuleLine, module_lines, tied_parameters

_GIB = 2**30


def described(model: PreTrainedModel, options: Namespace) -> dict[str, Any]:
    """All numbers: parameters and bytes are whole numbers, operations are per token."""
    shape = Shape.of(model.config)
    length = options.sequence_length or min(shape.context_length or 2048, 4096)
    dtype = dtype_of(model, options.dtype)
    cost = flops(model, shape, length)
    used = memory(
        model, shape, dtype=dtype, optimizer=options.optimizer, batch_size=options.batch_size, sequence_length=length
    )
    modules = list(module_lines(model, options.max_depth))
    return {
        "model": type(model).__name__,
        "model_type": model.config.model_type,
        "parameters": {
            "total": sum(item.numel() for item in model.parameters()),
            "embedding": sum(item.numel() for item in model.get_input_embeddings().parameters()),
            "multiplied_per_token": cost.matmul_weights,
            "tied": tied_parameters(model),
        },
        "assumptions": {
            "batch_size": options.batch_size,
            "sequence_length": length,
            "dtype": str(dtype).removeprefix("torch."),
            "optimizer": options.optimizer,
        },
        "flops_per_token": {"forward": cost.forward, "training": cost.training},
        "memory_bytes": {
            "weights": used.weights,
            "gradients": used.gradients,
            "optimizer": used.optimizer,
            "activations": used.activations,
            "activations_checkpointed": used.activations_checkpointed,
            "training": used.training,
            "kv_cache_per_token": used.kv_cache_per_token,
            "kv_cache": used.kv_cache,
            "generation": used.generation,
        },
        "modules": [_module(line) for line in modules],
    }


def dtype_of(model: PreTrainedModel, name: str | None) -> torch.dtype:
    """The dtype of a name, or the one that the model was saved in."""
    if name is None:
        stored = getattr(model.config, "dtype", None)
        return stored if isinstance(stored, torch.dtype) else torch.float32
    return getattr(torch, name)  # type: ignore[no-any-return]  # one of the choices of the command line


def text(numbers: Mapping[str, Any]) -> str:
    """The report for a person."""
    parts = [_heading(numbers), _tree(numbers), _arithmetic(numbers), _memory(numbers)]
    return "\n\n".join("\n".join(part) for part in parts)


def _module(line: ModuleLine) -> dict[str, Any]:
    return {
        "path": line.path,
        "class": line.kind,
        "parameters": line.parameters,
        "count": line.count,
        "depth": line.depth,
    }


def _heading(numbers: Mapping[str, Any]) -> Iterator[str]:
    parameters = numbers["parameters"]
    yield f"{numbers['model']}: {parameters['total']:,} parameters ({_short(parameters['total'])})"
    for name, source in parameters["tied"].items():
        yield f"{name} is {source}: counted once"


def _tree(numbers: Mapping[str, Any]) -> Iterator[str]:
    total = max(1, numbers["parameters"]["total"])
    rows = [
        (
            "  " * (line["depth"] - 1) + line["path"].rpartition(".")[2],
            line["class"],
            f"{line['count'] * line['parameters']:,}",
            f"{100 * line['count'] * line['parameters'] / total:.1f}%",
            f"{line['count']} times {line['parameters']:,}" if line["count"] > 1 else "",
        )
        for line in numbers["modules"]
        if line["depth"] > 0 and line["parameters"]
    ]
    head = ("module", "class", "parameters", "share", "")
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(5)]
    for path, kind, count, share, each in [head, *rows]:
        line = f"{path:<{widths[0]}}  {kind:<{widths[1]}}  {count:>{widths[2]}}  {share:>{widths[3]}}  {each}"
        yield line.rstrip()


def _arithmetic(numbers: Mapping[str, Any]) -> Iterator[str]:
    assumed, cost = numbers["assumptions"], numbers["flops_per_token"]
    weights = numbers["parameters"]["multiplied_per_token"]
    yield f"FLOPs per token at a sequence length of {assumed['sequence_length']:,}"
    attention = cost["forward"] - 2 * weights
    yield f"  forward   {_short(cost['forward']):>8}   2 N + 4 L H S D, N = {weights:,} weights multiplied per token"
    yield f"  training  {_short(cost['training']):>8}   6 N + 12 L H S D, attention {attention / cost['forward']:.0%}"


def _memory(numbers: Mapping[str, Any]) -> Iterator[str]:
    assumed, used = numbers["assumptions"], numbers["memory_bytes"]
    length, batch = f"{assumed['sequence_length']:,}", assumed["batch_size"]
    yield f"memory in {assumed['dtype']}, batch of {batch}, sequence length {length}, one process, nothing sharded"
    rows = (
        ("weights", used["weights"], ""),
        ("gradients", used["gradients"], ""),
        ("optimizer", used["optimizer"], f"{assumed['optimizer']}: {OPTIMIZERS[assumed['optimizer']]}"),
        ("activations", used["activations"], f"{_size(used['activations_checkpointed'])} with gradient checkpointing"),
        ("to train", used["training"], "weights, gradients, optimizer, activations"),
        ("KV cache", used["kv_cache"], f"{_size(used['kv_cache_per_token'])} per token of a sequence"),
        ("to generate", used["generation"], "weights and KV cache"),
    )
    for name, size, note in rows:
        yield f"  {name:<12} {_size(size):>10}   {note}".rstrip()


def _short(count: int) -> str:
    value = float(count)
    for unit in ("", "K", "M", "G", "T"):
        if value < 1000:
            return f"{value:.3g}{unit}"
        value /= 1000
    return f"{value:.3g}P"


def _size(size_bytes: int) -> str:
    if size_bytes >= _GIB:
        return f"{size_bytes / _GIB:,.2f} GiB"
    return f"{size_bytes / 2**20:.2f} MiB" if size_bytes >= 2**20 else f"{size_bytes / 2**10:.2f} KiB"
