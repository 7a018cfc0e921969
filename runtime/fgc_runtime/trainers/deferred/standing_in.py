"""Makes a model without contents callable: its weights are small random numbers, made for each operation.

A weight has the same numbers each time it is used, and no two rows of a matrix are equal.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from fgc_runtime.trainers.deferred.storages import StoragePart, zeros

_NUM_NUMBERS = 65_521  # a prime: rows of a matrix differ
_STD = 0.02


class StandingIn(TorchDispatchMode):  # type: ignore[no-untyped-call]  # its __init_subclass__
    """A mode that gives the tensors that `knows` accepts numbers for one operation. Writes to them are lost."""

    def __init__(self, knows: Callable[[Tensor], bool]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._knows = knows

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Runs an operation of torch, with numbers in empty tensors."""
        kwargs = dict(kwargs or {})
        if kwargs.get("device") == torch.device("meta"):
            kwargs["device"] = torch.device("cpu")  # `hidden.type_as(weight)` asks for the device of the weight
        if func.is_view:
            return func(*args, **kwargs)
        with torch._C.DisableTorchFunction():  # weights would answer that they are on the CPU
            args, kwargs = tree_map(self._with_numbers, (args, kwargs))
        return func(*args, **kwargs)

    def _with_numbers(self, value: Any) -> Any:
        if not isinstance(value, Tensor) or not self._knows(value):
            return value
        part = StoragePart.of(value)
        storage = zeros(value.untyped_storage().nbytes())
        if value.is_floating_point():
            numbers = torch.randn(_NUM_NUMBERS, generator=torch.Generator().manual_seed(0)) * _STD
            first, last = part.span.start // value.itemsize, part.span.stop // value.itemsize
            used = torch.empty(0, dtype=value.dtype).set_(storage)[first - first % _NUM_NUMBERS : last]
            for piece in torch.split(used, _NUM_NUMBERS):
                piece.copy_(numbers[: len(piece)])
        return part.of_storage(storage)
