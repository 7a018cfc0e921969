"""Stages of data that can only be read in order and can resume anywhere: documents in, documents or examples out.

A stage's `state_dict`, taken between two items, is the position after the last item: after `load_state_dict`, the next
iteration yields exactly what would have come next. Every other iteration begins a new pass, in an order that
`set_epoch` decides. States contain only numbers, strings, lists and dictionaries, so that they can be JSON.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from torch.utils.data import IterableDataset

from fgc_runtime.data.cache import content_key
from fgc_runtime.data.windows import shuffled_order

T = TypeVar("T")

State = dict[str, Any]  # as JSON has it


class Stage(IterableDataset[T]):
    """Subclasses say how a pass begins (`begin`), goes on (`items`), and what of it is state."""

    epoch = 0
    _is_resumed = False

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration begin a pass, in this epoch's order; a loaded state is forgotten.

        With data loading processes the pass goes on there, and here the state would wait for the next one.
        """
        self.epoch = epoch
        self._is_resumed = False

    @property
    def fingerprint(self) -> str | None:
        """A hash of what decides the items, found without reading them; None where only reading tells.

        A resumed run compares it, to say whether its data is still the same.
        """
        return None

    @property
    def file_hashes(self) -> dict[str, str]:
        """Returns a hash of the content of each file that is read, by name; of large files, of parts of it."""
        return {}

    def state_dict(self) -> State:
        """Returns where the current pass stands."""
        return {"epoch": self.epoch, **self.own_state()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Let the next iteration go on from there. Raises KeyError for the state of another kind of stage."""
        self.set_epoch(state_dict["epoch"])
        self.take_state(state_dict)
        self._is_resumed = True

    def __iter__(self) -> Iterator[T]:
        if not self._is_resumed:
            self.begin()
        self._is_resumed = False
        return self.items()

    def begin(self) -> None:
        """Forget the last pass."""
        raise NotImplementedError

    def items(self) -> Iterator[T]:
        """Returns what is left of the pass; whatever decides that is in attributes when an item comes out."""
        raise NotImplementedError

    def own_state(self) -> State:
        """The attributes that decide what is left."""
        raise NotImplementedError

    def take_state(self, state: Mapping[str, Any]) -> None:
        """Set these attributes."""
        raise NotImplementedError


def joint_fingerprint(stage: object, settings: Sequence[object], sources: Iterable[object]) -> str | None:
    """Returns the fingerprint of a stage with these settings and sources; None if a source has none."""
    known = [getattr(source, "fingerprint", None) for source in sources]
    if not all(isinstance(fingerprint, str) for fingerprint in known):
        return None
    return content_key([type(stage).__qualname__, repr(settings), *map(str, known)])


class DocumentStream(Stage[T]):
    """A sequence in order, or with `shuffle` in an order by seed and epoch; items are not kept in memory."""

    def __init__(self, documents: Sequence[T], *, shuffle: bool = False, seed: int = 0) -> None:
        self.documents = documents
        self.shuffle = shuffle
        self.seed = seed
        self._position = 0

    @property
    def fingerprint(self) -> str | None:
        """The documents' own, with their order."""
        return joint_fingerprint(self, [self.shuffle, self.seed], [self.documents])

    def begin(self) -> None:
        """From the first."""
        self._position = 0

    def items(self) -> Iterator[T]:
        """Yields the rest of the sequence."""
        count = len(self.documents)
        order = shuffled_order(count, seed=self.seed, epoch=self.epoch).tolist() if self.shuffle else range(count)
        while self._position < count:
            self._position += 1
            yield self.documents[order[self._position - 1]]

    def own_state(self) -> State:
        """A count."""
        return {"position": self._position}

    def take_state(self, state: Mapping[str, Any]) -> None:
        """Continues at a position."""
        self._position = state["position"]


class CountedStream(Stage[T]):
    """Any other iterable. Resuming reads and drops earlier items, so the iterable must repeat itself exactly."""

    def __init__(self, iterable: Iterable[T]) -> None:
        self.iterable = iterable
        self._count = 0

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch, also of the iterable if it has that method."""
        super().set_epoch(epoch)
        if hasattr(self.iterable, "set_epoch"):
            self.iterable.set_epoch(epoch)

    def begin(self) -> None:
        """From the first."""
        self._count = 0

    def items(self) -> Iterator[T]:
        """Yields the items after those that were counted."""
        for number, item in enumerate(self.iterable):
            if number < self._count:
                continue
            self._count = number + 1
            yield item

    def own_state(self) -> State:
        """A count."""
        return {"count": self._count}

    def take_state(self, state: Mapping[str, Any]) -> None:
        """Continues after a number of items."""
        self._count = state["count"]


class BlockStage(Stage[T]):
    """Reads its source in blocks and yields the items that `arranged` makes from each.

    Resuming reads the current block again, so the state is small, whatever the size of the items.
    """

    def __init__(self, source: Iterable[Any], *, block_length: int) -> None:
        self.source = as_stage(source)
        self.block_length = block_length
        self.number = 0  # of the block
        self._used = 0  # items of it that were yielded
        self._before: State | None = None  # the source's state before the block; None: the beginning

    @property
    def file_hashes(self) -> dict[str, str]:
        """The source's."""
        return self.source.file_hashes

    def arranged(self, block: list[Any]) -> Sequence[T]:
        """Returns the items to yield for a block; the result depends only on block, number and epoch."""
        raise NotImplementedError

    def set_epoch(self, epoch: int) -> None:
        """For the source too."""
        super().set_epoch(epoch)
        self.source.set_epoch(epoch)

    def begin(self) -> None:
        """From the first block."""
        self.number, self._used, self._before = 0, 0, None

    def items(self) -> Iterator[T]:
        """Block after block."""
        if self._before is not None:
            self.source.load_state_dict(self._before)
        source = iter(self.source)
        self._before = self.source.state_dict()
        while block := list(islice(source, self.block_length)):
            arranged = self.arranged(block)
            while self._used < len(arranged):
                self._used += 1
                yield arranged[self._used - 1]
            self.number, self._used, self._before = self.number + 1, 0, self.source.state_dict()

    def own_state(self) -> State:
        """Returns the position of the block in the source, and the number of yielded items."""
        return {"number": self.number, "used": self._used, "before": self._before}

    def take_state(self, state: Mapping[str, Any]) -> None:
        """Restores the position of the block and the number of yielded items."""
        self.number, self._used, self._before = state["number"], state["used"], state["before"]


class ShuffledStream(BlockStage[T]):
    """Shuffles blocks of `buffer_size` items, each in an order by seed, epoch and the block's number."""

    def __init__(self, source: Iterable[T], *, buffer_size: int = 10_000, seed: int = 0) -> None:
        if buffer_size < 2:
            raise ValueError(f"buffer_size ({buffer_size}) must be at least 2: one item has one order")
        super().__init__(source, block_length=buffer_size)
        self.seed = seed

    @property
    def fingerprint(self) -> str | None:
        """The source's, with the order."""
        return joint_fingerprint(self, [self.block_length, self.seed], [self.source])

    def arranged(self, block: list[T]) -> Sequence[T]:
        """Returns the block in a random order."""
        order = shuffled_order(len(block), seed=self.seed * 1_000_003 + self.number, epoch=self.epoch)
        return [block[place] for place in order.tolist()]


def as_stage(source: Iterable[T]) -> Stage[T]:
    """Returns a stage unchanged, and any other iterable as a stage: sequences by position, others by counting."""
    if isinstance(source, Stage):
        return source
    if isinstance(source, Sequence):
        return DocumentStream(source)
    if isinstance(source, Iterator):
        raise TypeError(
            f"source ({type(source).__name__}) must be a sequence or an iterable that can be read more than once; "
            "an iterator ends with its first pass"
        )
    return CountedStream(source)
