"""Weights of a snapshot that lie in the model's own files: a checkpoint names them and does not write them again.

Each process compares what it holds with what it reads, byte for byte. What differs, or was computed when it was stored,
is written beside the optimizer's state.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from fgc_runtime.checkpoint.gathering import Shown, box_of, local_of
from fgc_runtime.checkpoint.parts import Box, State, stored_as
from fgc_runtime.models.stored import NotStored, StoredTensor, stored_tensors

References = dict[str, list[tuple[Box, StoredTensor]]]  # entries of a snapshot, part by part


def references(folder: Path, model: PreTrainedModel, shapes: State, shown: Mapping[str, Shown]) -> References:
    """Returns where the model's files in `folder` should hold weights as they are; nothing where they are others."""
    try:
        stored = stored_tensors(sorted(folder.glob("model*.safetensors")))
    except NotStored:  # a type of numbers that is not known here
        return {}
    found: References = {}
    for name, parts in stored_as(model, shapes).items():
        held = [(box, stored[part]) for part, box in parts if part in stored]
        if len(held) == len(parts) and all(_fits(box, tensor, shapes[name]) for box, tensor in held):
            found[shown[name].entry] = held
    return found


def differing(tensors: Mapping[str, Tensor], wanted: References) -> set[str]:
    """Returns the entries of which this process holds other bytes than the files."""
    own = {entry: tensor for entry, tensor in tensors.items() if entry in wanted}
    return {entry for entry, tensor in own.items() if not _is_stored(tensor, wanted[entry])}


def without(tensors: Mapping[str, Tensor], entries: Iterable[str]) -> dict[str, Tensor]:
    """Returns what is left of a snapshot."""
    left_out = set(entries)
    return {entry: tensor for entry, tensor in tensors.items() if entry not in left_out}


def _fits(box: Box, stored: StoredTensor, shape: Tensor) -> bool:
    return box.num_elements == torch.Size(stored.shape).numel() and stored.dtype == shape.dtype


def _is_stored(tensor: Tensor, parts: Iterable[tuple[Box, StoredTensor]]) -> bool:
    own, local = box_of(tensor), local_of(tensor).detach()
    missing = own.num_elements
    for box, stored in parts:
        if stored.dtype != local.dtype:
            return False
        common = box.common(own)
        if common is None:
            continue
        there = common.within(box).of(stored.tensor().view(box.shape))
        if not _same_bytes(there, common.within(own).of(local)):
            return False
        missing -= common.num_elements
    return missing == 0


def _same_bytes(one: Tensor, other: Tensor) -> bool:
    one, other = (tensor.contiguous().view(-1).view(torch.uint8) for tensor in (one, other))
    return torch.equal(one, other)
