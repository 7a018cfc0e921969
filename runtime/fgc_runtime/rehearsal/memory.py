"""Operations to the most memory that was alive at once, counted by storages, whether they have contents or not.

torch's own MemTracker and FSDPMemTracker sort memory by modules, but count what sharding propagation makes: tensors
of the global shape that exist for an instant, and only in a rehearsal. A storage's kind is known only later (which one
a parameter's gradient is, say), so everything is written down first and added up at the end.
"""

# torch types its dispatch mode in parts only
# mypy: disable-error-code="no-untyped-call"

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._sharding_prop import ShardingPropagator
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_PROPAGATION = "_propagate_tensor_meta_non_cached"


class Peak(NamedTuple):
    """The most that was alive at once, in bytes: on the device, what of it has no kind, and in the host's memory."""

    total: int
    others: int
    host: int


class _Change(NamedTuple):
    storage: int
    num_bytes: int  # negative: freed
    phase: str


class Ledger(TorchDispatchMode):
    """While entered, every storage that is made, resized and freed is written down, with the `phase` of the moment.

    A storage counts from the operation that made it until nothing holds it; one that is resized, as `fully_shard` does
    with gathered weights, counts by its size.
    """

    def __init__(self) -> None:
        super().__init__()
        self.phase = ""
        self._changes: list[_Change] = []
        self._sizes: dict[int, int] = {}  # of those that live, by the storage's address
        self._numbers: dict[int, int] = {}  # of those that live: addresses are used again
        self._on_host: set[int] = set()
        self._num_storages = 0
        self._is_propagating = False

    @property
    def peak_bytes(self) -> int:
        """The most that new storages took together."""
        return self.peak({}).total

    def peak(self, kinds: Mapping[int, str], *, phase: str | None = None) -> Peak:
        """Returns the peaks, over a phase if one is named; `kinds` are those of storages by number."""
        total = others = host = 0
        most = Peak(0, 0, 0)
        for storage, num_bytes, when in self._changes:
            host += num_bytes * (storage in self._on_host)
            total += num_bytes * (storage not in self._on_host)
            others += num_bytes * (storage not in self._on_host and storage not in kinds)
            if phase is None or when == phase:
                most = Peak(max(most.total, total), max(most.others, others), max(most.host, host))
        return most

    def numbers(self, tensors: Iterable[Tensor]) -> set[int]:
        """The numbers of living storages, of DTensors those of the local parts."""
        local = (tensor.to_local() if isinstance(tensor, DTensor) else tensor for tensor in tensors)
        addresses = (tensor.untyped_storage()._cdata for tensor in local)
        return {self._numbers[address] for address in addresses if address in self._numbers}

    @contextmanager
    def offloading(self, *, pin_memory: bool = False) -> Iterator[None]:
        """Stands for torch's `save_on_cpu`: what backward needs is copied to the host, and back when it is needed."""

        def put(tensor: Tensor) -> Tensor:
            copy = tensor.clone()
            self._on_host |= self.numbers([copy])
            return copy

        with saved_tensors_hooks(put, lambda copy: copy.clone()):
            yield

    def __enter__(self) -> "Ledger":
        resize, propagate = torch.UntypedStorage.resize_, getattr(ShardingPropagator, _PROPAGATION)

        def resized(storage: torch.UntypedStorage, size: int) -> Any:
            result = resize(storage, size)
            if storage._cdata in self._sizes:
                self._set(storage._cdata, storage.nbytes())
            return result

        def propagated(*args: Any) -> Any:
            self._is_propagating = True
            try:
                return propagate(*args)
            finally:
                self._is_propagating = False

        self._patches = ExitStack()
        self._patches.enter_context(patch.object(torch.UntypedStorage, "resize_", resized))
        self._patches.enter_context(patch.object(ShardingPropagator, _PROPAGATION, propagated))
        super().__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)
        self._patches.close()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the operation; what it made is entered in the books."""
        if any(issubclass(kind, DTensor) for kind in types):
            return NotImplemented  # its local operations come here in turn
        if self._is_propagating:
            return func(*args, **(kwargs or {}))
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
            self._numbers[address] = self._num_storages
            self._num_storages += 1
            self._set(address, storage.nbytes())

    def _leave(self, address: int) -> None:
        self._set(address, 0)
        del self._sizes[address], self._numbers[address]

    def _set(self, address: int, num_bytes: int) -> None:
        self._changes.append(_Change(self._numbers[address], num_bytes - self._sizes.get(address, 0), self.phase))
        self._sizes[address] = num_bytes


def _address(tensor: Tensor) -> int:
    return 0 if isinstance(tensor, DTensor) else tensor.untyped_storage()._cdata
