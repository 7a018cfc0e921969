"""Keeps a moving average of the weights, which is evaluated and saved in their place.

It is torch's exponential average (`torch.optim.swa_utils`): a <- d a + (1 - d) w after each step, beginning with the
weights after the first step. It is sharded like the weights, and in float32 or more.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

_COUNT = "num_updates"


class WeightAverage:
    """The moving average of this process's part of a model."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        named = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
        self._names = [name for name, _ in named]
        self._model = model
        self._weights = [weight.detach() for _, weight in named]
        self._averages = [_precise(weight).clone() for weight in self._weights]
        self._average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        self._num_updates = 0
        self._kept: list[Tensor] | None = None  # the trained weights, while the average replaces them

    @torch.no_grad()
    def update(self) -> None:
        """Adds the weights after a step to the average."""
        averages, weights = _own(self._averages), [_precise(weight) for weight in _own(self._weights)]
        if self._num_updates == 0:
            torch._foreach_copy_(averages, weights)
        else:
            self._average(averages, weights, self._num_updates)
        self._num_updates += 1

    @contextmanager
    def in_place(self, is_wanted: bool = True) -> Iterator[None]:
        """Gives the model the average, or its trained weights, in the body; then restores what it had."""
        was_in_place = self._kept is not None
        self._put(is_wanted and self._num_updates > 0)
        try:
            yield
        finally:
            self._put(was_in_place)

    def state(self) -> dict[str, object]:
        """Returns the averages by name, and the number of averaged steps; loading fills these tensors."""
        return {**dict(zip(self._names, self._averages, strict=True)), _COUNT: self._num_updates}

    def load(self, state: Mapping[str, object]) -> None:
        """Continues from a state whose tensors have been filled."""
        self._num_updates = int(str(state[_COUNT]))

    @torch.no_grad()
    def _put(self, is_average: bool) -> None:
        if is_average == (self._kept is not None):
            return
        for module in self._model.modules():
            if isinstance(module, FSDPModule):
                module.reshard()  # otherwise it would keep using the weights it has gathered
        weights = _own(self._weights)
        if is_average:
            self._kept = [weight.clone() for weight in weights]
            torch._foreach_copy_(weights, _own(self._averages))
        else:
            assert self._kept is not None, "an average in place has the weights beside it"
            torch._foreach_copy_(weights, self._kept)
            self._kept = None


def _own(tensors: list[Tensor]) -> list[Tensor]:
    """Returns this process's shards, which are enough for element-wise operations."""
    return [tensor.to_local() if isinstance(tensor, DTensor) else tensor for tensor in tensors]


def _precise(weight: Tensor) -> Tensor:
    """Returns the weight in float32 or more, because small updates vanish in half precision."""
    return weight.float() if weight.dtype in (torch.float16, torch.bfloat16) else weight
