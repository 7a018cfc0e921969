"""Operations to the most memory that was alive at once, counted by storages, whether they have contents or not."""

# torch types its dispatch mode in parts only
# mypy: disable-error-code="no-untyped-call"

import weakref
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Ledger(TorchDispatchMode):
    """While entered, `peak_bytes` is the most that new storages took together.

    A storage counts from the operation that made it until nothing holds it; one that is resized, as `fully_shard` does
    with gathered weights, counts by its size.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak_bytes = 0
        self._alive_bytes = 0
        self._sizes: dict[int, int] = {}  # by the storage's address

    def __enter__(self) -> "Ledger":
        resize = torch.UntypedStorage.resize_

        def resized(storage: torch.UntypedStorage, size: int) -> Any:
            result = resize(storage, size)
            if storage._cdata in self._sizes:
                self._set(storage._cdata, storage.nbytes())
            return result

        self._patch = patch.object(torch.UntypedStorage, "resize_", resized)
        self._patch.start()
        super().__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)
        self._patch.stop()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the operation; what it made is entered in the books."""
        if any(issubclass(kind, DTensor) for kind in types):
            return NotImplemented  # its local operations come here in turn
        given = {_address(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and not isinstance(leaf, DTensor) and _address(leaf) not in given:
                self._enter(leaf.untyped_storage())
        return result

    def _enter(self, storage: torch.UntypedStorage) -> None:
        address = storage._cdata
        if address not in self._sizes:
            weakref.finalize(storage, self._leave, address)
            self._set(address, storage.nbytes())

    def _leave(self, address: int) -> None:
        self._set(address, 0)
        del self._sizes[address]

    def _set(self, address: int, num_bytes: int) -> None:
        self._alive_bytes += num_bytes - self._sizes.get(address, 0)
        self._sizes[address] = num_bytes
        self.peak_bytes = max(self.peak_bytes, self._alive_bytes)


def _address(tensor: Tensor) -> int:
    return 0 if isinstance(tensor, DTensor) else tensor.untyped_storage()._cdata
