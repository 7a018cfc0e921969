"""Writes weights of several processes to safetensors files, with at most one layer in the main process's memory.

Transformers' own functions decide the files of a model, called with tensors that have shapes and no contents. Then
each layer is gathered, converted to the tensors of the file, and written.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedModel
from transformers.core_model_loading import revert_weight_conversion
from transformers.modeling_utils import remove_tied_weights_from_state_dict

from fgc_runtime.models.shards import ShardWriter, Wanted

_MAX_SHARD_BYTES = 50 * 10**9  # as `save_pretrained` has it

State = dict[str, Tensor]


class Box(NamedTuple):
    """A part of a tensor: where it begins, and how long it is, along each of its dimensions."""

    offsets: tuple[int, ...]
    shape: tuple[int, ...]

    @classmethod
    def whole(cls, shape: Sequence[int]) -> "Box":
        """Returns all of a tensor."""
        return cls((0,) * len(shape), tuple(shape))

    @property
    def num_elements(self) -> int:
        return torch.Size(self.shape).numel()

    @property
    def ends(self) -> tuple[int, ...]:
        return tuple(first + length for first, length in zip(self.offsets, self.shape, strict=True))

    def of(self, tensor: Tensor) -> Tensor:
        """Returns this part of a tensor, as a view."""
        for dim, (first, length) in enumerate(zip(self.offsets, self.shape, strict=True)):
            tensor = tensor.narrow(dim, first, length)
        return tensor

    def common(self, other: "Box") -> "Box | None":
        """Returns the part that two have in common, None if they have none."""
        firsts = tuple(max(pair) for pair in zip(self.offsets, other.offsets, strict=True))
        ends = (min(pair) for pair in zip(self.ends, other.ends, strict=True))
        lengths = tuple(end - first for first, end in zip(firsts, ends, strict=True))
        return Box(firsts, lengths) if all(length > 0 for length in lengths) else None

    def within(self, other: "Box") -> "Box":
        """Returns this part as one of `other`, in which it lies."""
        offsets = (first - begin for first, begin in zip(self.offsets, other.offsets, strict=True))
        return Box(tuple(offsets), self.shape)


@dataclass(frozen=True, slots=True)
class WeightParts:
    """The weights of a model of which each process holds a part.

    `shapes` are all of them by canonical names, on the meta device. `gather` is called on all processes together: it
    returns a complete weight in the CPU's memory of the main process, and None on the others.
    """

    shapes: State
    gather: Callable[[str], Tensor | None]

    def complete(self) -> State | None:
        """Returns all weights on the main process, None on the others. Called on all processes together."""
        whole = {name: self.gather(name) for name in self.shapes}
        return {name: weight for name, weight in whole.items() if weight is not None} or None

    def order(self, model: PreTrainedModel) -> list[str]:
        """Returns the weights that `give` and `write` gather, in the order in which they do."""
        return [name for names in _groups(_kept(model, self.shapes)) for name in names]

    def give(self, model: PreTrainedModel) -> None:
        """Sends this process's weights during the main process's `write`."""
        for name in self.order(model):
            self.gather(name)

    def write(self, model: PreTrainedModel, folder: Path) -> None:
        """Writes the files of `save_pretrained`, while the other processes call `give`."""
        kept = _kept(model, self.shapes)
        groups = _groups(kept)
        plans = [revert_weight_conversion(model, {name: kept[name] for name in names}) for names in groups]
        wanted = [Wanted(name, tuple(weight.shape), weight.dtype) for plan in plans for name, weight in plan.items()]
        with ShardWriter(folder, wanted, _MAX_SHARD_BYTES) as writer:
            for names, plan in zip(groups, plans, strict=True):
                gathered = {name: weight for name in names if (weight := self.gather(name)) is not None}
                weights = revert_weight_conversion(model, gathered)
                for name in plan:
                    writer.write(name, weights[name])


def stored_as(model: PreTrainedModel, shapes: State) -> dict[str, list[tuple[str, Box]]]:
    """Returns for each weight the tensors of the model's files that hold its numbers as they are, and which of them.

    A weight that several modules share is named by each. What is computed from weights when they are stored is left
    out.
    """
    kept = _kept(model, shapes)
    found: dict[str, list[tuple[str, Box]]] = {name: [] for name in kept}
    with _WithoutCopies():
        for names in _groups(kept):
            sources = {_memory(kept[name]): name for name in names}
            plan = revert_weight_conversion(model, {name: kept[name] for name in names})
            for stored, tensor in plan.items():
                source = sources.get(_memory(tensor))
                box = None if source is None else _box(tensor, kept[source])
                if source is not None and box is not None:
                    found[source].append((stored, box))
    whole = {
        name: boxes for name, boxes in found.items() if sum(box.num_elements for _, box in boxes) == kept[name].numel()
    }
    named = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    modules = {name: id(weight) for name, weight in named}
    stored_for = {modules.get(name, name): name for name in whole}
    return {name: whole[stored_for[key]] for name in shapes if (key := modules.get(name, name)) in stored_for}


class _WithoutCopies(TorchFunctionMode):
    """Leaves out what only puts numbers into another order in memory, so that views stay views."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.Tensor.contiguous:
            return args[0]
        return func(*args, **(kwargs or {}))


def _memory(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _box(view: Tensor, of: Tensor) -> Box | None:
    """Returns the part of a contiguous tensor that a view of it shows in the same order, None if it is no such part."""
    offsets, rest = [], int(view.storage_offset())
    for stride in of.stride():
        first, rest = divmod(rest, stride)
        offsets.append(first)
    lengths, left = [1] * of.dim(), 0
    for length, stride in zip(view.shape, view.stride(), strict=True):
        if length == 1:
            continue
        at = (dim for dim in range(left, of.dim()) if of.stride(dim) == stride and of.shape[dim] > 1)
        dim = next(at, None)
        if dim is None or offsets[dim] + length > of.shape[dim]:
            return None
        lengths[dim], left = length, dim + 1
    return Box(tuple(offsets), tuple(lengths))


def _kept(model: PreTrainedModel, shapes: State) -> State:
    """Returns the weights to store: of tied weights, only the one that loading expects."""
    ignored = model._keys_to_ignore_on_save or ()
    stored = {name: weight for name, weight in shapes.items() if name not in ignored}
    kept: State = remove_tied_weights_from_state_dict(stored, model)
    return kept


def _groups(names: Iterable[str]) -> list[list[str]]:
    """Returns the names by layer, because conversions merge and split weights only within a layer."""
    groups: dict[str, list[str]] = {}
    for name in names:
        layer = re.match(r".*?\.\d+\.", name)
        groups.setdefault(layer[0] if layer else name, []).append(name)
    return list(groups.values())
