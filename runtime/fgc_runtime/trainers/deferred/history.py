"""The recorded operations on a storage, which can be replayed to make its contents. It may begin as a file.

Each step changes one part of the storage and depends on nothing else in it. A part can therefore be made from only the
steps that overlap it: they are found from the last to the first, with a range that grows by each step it meets.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_iter, tree_map

from fgc_runtime.models.stored import StoredTensor
from fgc_runtime.trainers.deferred.storages import StoragePart, zeros


class Step(NamedTuple):
    """An operation in place on a part of a storage."""

    function: Any  # of torch.ops.aten
    part: StoragePart
    others: tuple[Any, ...]  # the arguments after the tensor itself: numbers, tensors, snapshots
    kwargs: dict[str, Any]
    random_state: Tensor | None  # of the generator before it draws; None if it draws nothing

    def run(self, storage: torch.UntypedStorage, generator: torch.Generator | None = None) -> None:
        """Applies the step to `storage`, with the recorded random numbers, or with the next ones of `generator`."""
        others, kwargs = tree_map(_made, (self.others, self.kwargs))
        if self.random_state is not None:
            kwargs["generator"] = generator or _generator_at(self.random_state)
        self.function(self.part.of_storage(storage), *others, **kwargs)

    def snapshots(self) -> list["Snapshot"]:
        """Returns the tensors without contents among its arguments."""
        return [value for value in tree_iter((self.others, self.kwargs)) if isinstance(value, Snapshot)]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A tensor as it was after some steps, whatever happens to it later."""

    steps: Sequence[Step]  # the ones that it depends on
    num_bytes: int  # of its storage
    stored: StoredTensor | None  # what it begins with
    part: StoragePart
    num_steps: int  # including those of the snapshots in its steps
    depth: int  # of snapshots within snapshots

    def storage(self) -> torch.UntypedStorage:
        """Returns a storage of the same size in which only the bytes of the part are right."""
        storage = zeros(self.num_bytes) if self.stored is None else self.stored.mapped()
        for step in self.steps:
            step.run(storage)
        return storage


class History:
    """The steps of one storage, which begins as a file, or as zeros that nobody may rely on."""

    def __init__(self, num_bytes: int, stored: StoredTensor | None = None) -> None:
        self.num_bytes = num_bytes
        self._stored = stored
        self.num_steps = 0  # including those of the snapshots in them
        self._steps: list[Step] = []

    def add(self, step: Step, *, overwrites: bool) -> None:
        """Appends a step. One that overwrites the whole storage erases the steps before it."""
        if overwrites and step.part.is_dense and len(step.part.span) == self.num_bytes:
            self._steps.clear()
            self.num_steps, self._stored = 0, None
        self._steps.append(step)
        self.num_steps += _num_steps([step])

    def snapshot(self, part: StoragePart) -> Snapshot:
        """Returns a snapshot of `part` as it is now."""
        steps = list(self._reaching_steps(part))[::-1]
        depth = 1 + max((within.depth for step in steps for within in step.snapshots()), default=0)
        return Snapshot(tuple(steps), self.num_bytes, self._stored, part, _num_steps(steps), depth)

    def _reaching_steps(self, part: StoragePart) -> Iterable[Step]:
        """Yields the steps that a part depends on, the latest first."""
        wanted = part.span
        for step in reversed(self._steps):
            span = step.part.span
            if max(span.start, wanted.start) < min(span.stop, wanted.stop):
                wanted = range(min(span.start, wanted.start), max(span.stop, wanted.stop))
                yield step


def _num_steps(steps: Sequence[Step]) -> int:
    return len(steps) + sum(within.num_steps for step in steps for within in step.snapshots())


def _made(value: Any) -> Any:
    return value.part.of_storage(value.storage()) if isinstance(value, Snapshot) else value


def _generator_at(state: Tensor) -> torch.Generator:
    generator = torch.Generator()
    generator.set_state(state)
    return generator
