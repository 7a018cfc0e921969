"""Cuts a data set into windows: the work of one process for one optimizer step, as micro-batches.

The unit of training is the optimizer step. A *window* of the whole world is the next `window_size` examples in the
epoch's order, `window_size = micro_batch_size * accumulation_steps * world_size`. Process `rank` takes the examples
`rank`, `rank + world_size`, ... of each window. Ten examples in the order 0 to 9, with a window size of 4:

    2 processes, micro_batch_size=2            2 processes, micro_batch_size=1, accumulation_steps=2
    window    rank 0     rank 1                window    rank 0        rank 1
    0..3      [0, 2]     [1, 3]                0..3      [0], [2]      [1], [3]
    4..7      [4, 6]     [5, 7]                4..7      [4], [6]      [5], [7]
    8..9      [8]        [9]                   8..9      [8]           [9]              ends_epoch

Three properties follow:

- Which examples make up a step depends only on the product. A run that changes from 2 processes to 4 and halves the
  accumulation computes the same steps.
- A position in the data is a count of examples, so a checkpoint says "start at example 8" and stays valid when any of
  the three factors changes.
- A loss is a sum over label tokens, divided by their number in the window of all processes. `num_label_tokens` counts
  this process's share; the trainer adds the shares up before it divides.

The last window may be short. A process that it does not reach still computes, on a *spare* example without labels,
because all processes must take part in every step.

Data sets with a length are `MapWindows`: a permutation by seed and epoch (`shuffled_order`), and window number n is
rows `n * window_size` onwards, so that workers of a DataLoader can make windows in parallel. Data sets that can only
be read in order are `StreamWindows`: every process reads everything and keeps its share. To resume at an example, a
stream that keeps its whole state continues from there; any other one is read again from the beginning and dropped.
Random draws of a data set or collator are seeded by position (`draws`), so a resumed run draws the same.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from fgc_runtime.data.collator import IGNORED_LABEL, Batch, CheckedCollator
from fgc_runtime.data.draws import Draws, is_without_draws

E = TypeVar("E")
Collator = Callable[[list[E]], Batch]


class Window(NamedTuple):
    """The work of one process for one optimizer step. A named tuple, because DataLoader pins the memory of those."""

    micro_batches: list[Batch]
    num_label_tokens: int  # of this process
    num_examples: int  # of all processes
    ends_epoch: bool
    stream_state: dict[str, Any] | None = None  # of a stream that can continue after this window
    num_unlabelled: int = 0  # this process's examples without any label that counts


@dataclass(frozen=True, slots=True)
class Share:
    """The sizes by which windows are cut, and the place of this process among all."""

    micro_batch_size: int
    accumulation_steps: int = 1
    rank: int = 0
    world_size: int = 1

    @property
    def window_size(self) -> int:
        """Returns the number of examples in one window, over all processes."""
        return self.micro_batch_size * self.accumulation_steps * self.world_size

    def own(self, window: Sequence[E]) -> Sequence[E]:
        """Returns this process's part of a window; empty if a short window does not reach it."""
        return window[self.rank :: self.world_size]


def label_counts(labels: Tensor) -> list[int]:
    """Returns the number of labels in each row that a next-token loss counts, for labels of shape (rows, time).

    The first label of a row never counts: no earlier token predicts it.
    """
    counts: list[int] = (labels[:, 1:] != IGNORED_LABEL).sum(dim=1).tolist()
    return counts


def pair_counts(labels: Tensor) -> list[int]:
    """Returns, for row i of the first half and row i of the second, 1 if both have a label that counts, else 0."""
    counts = label_counts(labels)
    half = len(counts) // 2
    return [int(bool(one and other)) for one, other in zip(counts[:half], counts[half:], strict=True)]


def counts_of(collate: object) -> Callable[[Tensor], list[int]]:
    """Returns the function that counts what a step's loss is divided by: label tokens, or pairs of rows."""
    inner = collate.collate if isinstance(collate, CheckedCollator) else collate
    return pair_counts if getattr(inner, "counts_pairs", False) else label_counts


def shuffled_order(length: int, *, seed: int, epoch: int) -> Tensor:
    """Returns a permutation of 0 .. length - 1, the same on every machine for a given seed and epoch."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)  # a prime: pairs differ
    return torch.randperm(length, generator=generator)


class MapWindows(Dataset[Window]):
    """The windows of an epoch of a data set with a length, beginning with example `start` of `order`."""

    def __init__(
        self,
        dataset: Dataset[E],
        order: Tensor,
        collate: Collator[E],
        share: Share,
        *,
        start: int = 0,
        draws: Draws | None = None,
    ) -> None:
        self._dataset = dataset
        self._order = order[start:]
        self._start = start
        self._collate = collate
        self._share = share
        self.draws = draws or Draws(rank=share.rank)
        inner = collate.collate if isinstance(collate, CheckedCollator) else collate
        self._draws_nothing = is_without_draws(dataset) and is_without_draws(inner)

    def __len__(self) -> int:
        return -(-len(self._order) // self._share.window_size)

    def __getitem__(self, number: int) -> Window:
        size = self._share.window_size
        rows: list[int] = self._order[number * size : (number + 1) * size].tolist()
        with self._drawn(self._start + number * size):
            own = [self._dataset[row] for row in self._share.own(rows)]
            spare = [] if own else [self._dataset[rows[0]]]
            return _cut(own, spare, self._collate, self._share, len(rows), ends_epoch=number == len(self) - 1)

    def _drawn(self, position: int) -> AbstractContextManager[None]:
        return nullcontext() if self._draws_nothing else self.draws.at("read", position)


class StreamWindows(IterableDataset[Window]):
    """The windows of an epoch of a data set that can only be read in order; every process reads all of it.

    To begin at example `start`, the examples before it are read and dropped, so the data set must repeat itself
    exactly. A data set with `keeps_whole_state` avoids that: each window carries the state of the stream after it. The
    caller then restores the data set, and `behind` says how many examples of the epoch it has already given.
    """

    def __init__(
        self,
        dataset: Iterable[E],
        collate: Collator[E],
        share: Share,
        *,
        start: int = 0,
        behind: int = 0,
        draws: Draws | None = None,
    ) -> None:
        self._dataset = dataset
        self._collate = collate
        self._share = share
        self._start = start
        self._behind = behind
        self.draws = draws or Draws(rank=share.rank)

    def __iter__(self) -> Iterator[Window]:
        examples, size = iter(self._dataset), self._share.window_size
        has_state = keeps_whole_state(self._dataset)
        for dropped in range(0, self._start, size):  # window by window, so that random draws are the same as before
            self._read(examples, dropped, min(size, self._start - dropped))
        position = self._start + self._behind
        ahead = self._read(examples, position, size)
        while ahead:
            state = self._dataset.state_dict() if has_state else None  # type: ignore[attr-defined]  # it has one
            rows, ahead = ahead, self._read(examples, position + len(ahead), size)
            own = list(self._share.own(rows))
            spare = [] if own else rows[:1]
            with self.draws.at("collate", position):
                window = _cut(own, spare, self._collate, self._share, len(rows), ends_epoch=not ahead)
            position += len(rows)
            yield window._replace(stream_state=state)

    def _read(self, examples: Iterator[E], position: int, count: int) -> list[E]:
        with self.draws.at("read", position):
            return list(islice(examples, count))


def window_loader(
    windows: MapWindows | StreamWindows,
    *,
    num_workers: int = 0,
    pin_memory: bool = False,
    prefetch_factor: int | None = None,
) -> DataLoader[Window]:
    """Returns a DataLoader of whole windows, which draws nothing from the global random state.

    The seeds of its workers differ by seed, epoch and rank. Raises ValueError for a stream with several workers.
    """
    if isinstance(windows, StreamWindows) and num_workers > 1:
        raise ValueError(
            f"dataloader_num_workers ({num_workers}) must be 0 or 1 for a data set that can only be read in order"
        )
    return DataLoader(
        windows,
        batch_size=None,
        collate_fn=_as_it_is,  # type: ignore[arg-type]  # without a batch size it gets single windows
        num_workers=num_workers,
        pin_memory=pin_memory,
        prefetch_factor=prefetch_factor,
        generator=torch.Generator().manual_seed(windows.draws.seed_of("worker") % 2**63),
    )


def _cut(
    own: list[E], spare: list[E], collate: Collator[E], share: Share, num_examples: int, *, ends_epoch: bool
) -> Window:
    """Returns the window of the examples `own`; or of `spare`, without labels, if a short window left this rank out.

    Every process takes part in every step, because the gradients of all are summed.
    """
    size = share.micro_batch_size
    micro_batches = [collate(own[first : first + size]) for first in range(0, len(own), size)]
    counts = [count for batch in micro_batches for count in counts_of(collate)(batch["labels"])]
    if spare:
        batch = collate(spare)
        micro_batches = [{**batch, "labels": torch.full_like(batch["labels"], IGNORED_LABEL)}]
    return Window(micro_batches, sum(counts), num_examples, ends_epoch, num_unlabelled=counts.count(0))


def _as_it_is(window: Window) -> Window:
    return window


def is_stream(dataset: object) -> bool:
    """Returns True if a data set can only be read in order, because it has no length or no rows by number."""
    is_iterable = isinstance(dataset, IterableDataset)
    return is_iterable or not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__"))


def keeps_whole_state(dataset: object) -> bool:
    """Returns True if a stream's `state_dict` is complete, so that another pass can continue exactly there.

    A shuffled stream of `datasets` does not save the examples in its buffer: a run that continued from its state would
    lose some and read others twice (huggingface/datasets, issue 7901).
    """
    if not (hasattr(dataset, "state_dict") and hasattr(dataset, "load_state_dict")):
        return False
    is_foreign = type(dataset).__module__.partition(".")[0] == "datasets"
    return not is_foreign or not _has_buffer(getattr(dataset, "_ex_iterable", None))


def _has_buffer(part: object) -> bool:
    """Returns True if a stage of a stream of `datasets` has a shuffle buffer, or cannot be inspected."""
    if part is None or "Shuffled" in type(part).__name__:
        return True
    before = [*getattr(part, "ex_iterables", ()), *([part.ex_iterable] if hasattr(part, "ex_iterable") else ())]
    return any(map(_has_buffer, before))


def gives_more_rows(dataset: object) -> bool:
    """Returns True if a data set has a row after its stated length, but does not return a row for every number.

    A data set that makes rows on demand, or repeats itself, returns a row for every number: its stated length is right.
    Reads up to two rows, which may draw random numbers.
    """
    length = length_of(dataset)
    if length is None or is_stream(dataset):
        return False
    return _has_row(dataset, length) and not _has_row(dataset, 2 * length + 1000)


def _has_row(dataset: Any, number: int) -> bool:
    try:
        dataset[number]
    except Exception:  # data sets raise what they like
        return False
    return True


def length_of(dataset: object) -> int | None:
    """Returns the number of examples, or None if the data set does not know it."""
    try:
        return len(dataset)  # type: ignore[arg-type]  # a data set without a length raises
    except (TypeError, NotImplementedError):
        return None
