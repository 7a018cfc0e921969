"""Copies of weights on several processes to whole ones, one at a time, in the main process's memory.

They travel in a process group of their own, beside the training's exchanges.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

from fgc_runtime.checkpoint.parts import Box


@dataclass(frozen=True, slots=True)
class Shown:
    """Says where the weight of a model lies in a snapshot, and in which type it is written."""

    entry: str
    dtype: torch.dtype


class _Holding(NamedTuple):
    """Describes what a process has of a weight."""

    shape: tuple[int, ...]  # of the whole
    dtype: torch.dtype  # in which it travels
    box: Box


class Gathering:
    """The weights of all processes of a group; called on them together, in the same order."""

    def __init__(self, tensors: Mapping[str, Tensor], shown: Mapping[str, Shown], group: dist.ProcessGroup) -> None:
        self._own = {name: tensors[item.entry] for name, item in shown.items()}
        self._group, self._rank = group, dist.get_rank(group)
        own = {name: _Holding(tuple(tensor.shape), tensor.dtype, box_of(tensor)) for name, tensor in self._own.items()}
        held = [(own, dict(shown))] * dist.get_world_size(group)
        dist.all_gather_object(held, (own, dict(shown)), group=group)
        self._held = [holdings for holdings, _ in held]
        self.shown = {name: item for _, of_rank in held for name, item in of_rank.items()}
        self.num_gathered = 0

    @property
    def shapes(self) -> dict[str, Tensor]:
        """Returns all weights without contents."""
        shapes = {name: holding.shape for holdings in self._held for name, holding in holdings.items()}
        return {name: torch.empty(shape, dtype=self.shown[name].dtype, device="meta") for name, shape in shapes.items()}

    def gather(self, name: str) -> Tensor | None:
        """Returns a whole weight on the main process, None on the others."""
        self.num_gathered += 1
        sources = self._sources(name)
        if self._rank == 0:
            return self._received(name, sources).to(self.shown[name].dtype)
        if self._rank in sources:
            dist.send(_bytes(local_of(self._own[name])), dst=0, group=self._group)
        return None

    def _sources(self, name: str) -> dict[int, _Holding]:
        """Returns the processes that a weight comes from: the first of those that have the same part of it."""
        found: dict[int, _Holding] = {}
        boxes = set[Box]()
        for rank, holdings in enumerate(self._held):
            holding = holdings.get(name)
            if holding is not None and holding.box.num_elements and holding.box not in boxes:
                boxes.add(holding.box)
                found[rank] = holding
                if holding.box.shape == holding.shape:
                    return {rank: holding}
        return found

    def _received(self, name: str, sources: Mapping[int, _Holding]) -> Tensor:
        if 0 in sources and sources[0].box.shape == sources[0].shape:
            return local_of(self._own[name])
        of_any = next(holdings[name] for holdings in self._held if name in holdings)
        whole = torch.empty(of_any.shape, dtype=of_any.dtype)
        for rank, holding in sources.items():
            part = holding.box.of(whole)
            if rank == 0:
                part.copy_(local_of(self._own[name]))
                continue
            received = part if part.is_contiguous() else torch.empty(holding.box.shape, dtype=holding.dtype)
            dist.recv(_bytes(received), src=rank, group=self._group)
            if received is not part:
                part.copy_(received)
        return whole


def box_of(tensor: Tensor) -> Box:
    """Returns which part of a tensor this process holds."""
    if not isinstance(tensor, DTensor):
        return Box.whole(tensor.shape)
    shape, offsets = compute_local_shape_and_global_offset(tensor.shape, tensor.device_mesh, tensor.placements)
    return Box(tuple(offsets), tuple(shape))


def local_of(tensor: Tensor) -> Tensor:
    """Returns what this process holds of a tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _bytes(tensor: Tensor) -> Tensor:
    """The same memory, in a type that travels whatever its numbers are."""
    return tensor.detach().contiguous().view(-1).view(torch.uint8)
