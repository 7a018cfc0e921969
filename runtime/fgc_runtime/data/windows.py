"""A data set to windows: all that one process computes for one optimizer step, already cut into micro-batches.

A window of the whole world is the next `window_size` examples in the epoch's order; this process takes every
`world_size`-th of them. Which examples make up a step therefore depends on the product of batch size, accumulation and
world size alone, and a position in the data is a count of examples, which stays true when any of the three changes.
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
    """One optimizer step's work for one process. A named tuple, because DataLoader pins the memory of these."""

    micro_batches: list[Batch]
    num_label_tokens: int  # of this process
    num_examples: int  # of all processes
    ends_epoch: bool
    stream_state: dict[str, Any] | None = None  # of a stream that can go on behind this window
    num_unlabelled: int = 0  # of this process's examples: none of their labels counts


@dataclass(frozen=True, slots=True)
class Share:
    """Says how windows are cut, and which part of each is ours."""

    micro_batch_size: int
    accumulation_steps: int = 1
    rank: int = 0
    world_size: int = 1

    @property
    def window_size(self) -> int:
        """Examples of one window, over all processes."""
        return self.micro_batch_size * self.accumulation_steps * self.world_size

    def own(self, window: Sequence[E]) -> Sequence[E]:
        """This process's part of a window; empty where a short window does not reach it."""
        return window[self.rank :: self.world_size]


def label_counts(labels: Tensor) -> list[int]:
    """Returns the labels of each row that a next-token loss counts; 0 for a row that teaches nothing.

    The first label of a row has nothing before it that could predict it.
    """
    counts: list[int] = (labels[:, 1:] != IGNORED_LABEL).sum(dim=1).tolist()
    return counts


def pair_counts(labels: Tensor) -> list[int]:
    """Returns 1 for each pair of rows, one of each half, that both have a label that counts, else 0."""
    counts = label_counts(labels)
    half = len(counts) // 2
    return [int(bool(one and other)) for one, other in zip(counts[:half], counts[half:], strict=True)]


def counts_of(collate: object) -> Callable[[Tensor], list[int]]:
    """Returns what a step is divided by for the batches of a collator: label tokens, or pairs of rows."""
    inner = collate.collate if isinstance(collate, CheckedCollator) else collate
    return pair_counts if getattr(inner, "counts_pairs", False) else label_counts


def shuffled_order(length: int, *, seed: int, epoch: int) -> Tensor:
    """A permutation of 0 .. length - 1, the same for the same seed and epoch on every machine."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)  # a prime: no two nearby pairs meet
    return torch.randperm(length, generator=generator)


class MapWindows(Dataset[Window]):
    """An epoch of a data set with a length, from example `start` of `order` on."""

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
    """An epoch of a data set that can only be read in order: every process reads all of it and keeps its part.

    Starting at example `start` reads and drops what comes before, so the data set must repeat itself exactly. A data
    set that `keeps_whole_state` can do without: each window says where the stream stands behind it, and it begins
    there, `behind` so many examples of the epoch.
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
        for dropped in range(0, self._start, size):  # window by window, so that each draws what it drew
            self._read(examples, dropped, min(size, self._start - dropped))
        position = self._start + self._behind
        ahead = self._read(examples, position, size)
        while ahead:
            state = self._dataset.state_dict() if has_state else None  # type: ignore[attr-defined]  # it was looked at
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
    """A DataLoader that hands on whole windows; it draws nothing from the global random state.

    What its workers draw when they begin differs by seed, epoch and rank.
    """
    if isinstance(windows, StreamWindows) and num_workers > 1:
        raise ValueError(
            f"dataloader_num_workers ({num_workers}) must be 0 or 1 for a data set that can only be read in order"
        )
    return DataLoader(
        windows,
        batch_size=None,
        collate_fn=_as_it_is,  # type: ignore[arg-type]  # without a batch size it gets what the data set gives
        num_workers=num_workers,
        pin_memory=pin_memory,
        prefetch_factor=prefetch_factor,
        generator=torch.Generator().manual_seed(windows.draws.seed_of("worker") % 2**63),
    )


def _cut(
    own: list[E], spare: list[E], collate: Collator[E], share: Share, num_examples: int, *, ends_epoch: bool
) -> Window:
    """Micro-batches of `own`; of `spare`, with nothing to learn from it, for a process that a short window left out.

    Every process has to take part in every step, because the gradients of all are summed.
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
    """Returns True if a data set can only be read in order, having no rows to ask for by number."""
    is_iterable = isinstance(dataset, IterableDataset)
    return is_iterable or not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__"))


def keeps_whole_state(dataset: object) -> bool:
    """Returns True if a stream's `state_dict` says all about where it stands, so that another pass can begin there.

    A shuffled stream of `datasets` leaves the examples in its buffer out of it: a run that goes on from there would
    lose as many, and read others twice (huggingface/datasets, issue 7901).
    """
    if not (hasattr(dataset, "state_dict") and hasattr(dataset, "load_state_dict")):
        return False
    is_foreign = type(dataset).__module__.partition(".")[0] == "datasets"
    return not is_foreign or not _has_buffer(getattr(dataset, "_ex_iterable", None))


def _has_buffer(part: object) -> bool:
    """Returns True if a stage of a stream of `datasets` shuffles, or cannot be looked at."""
    if part is None or "Shuffled" in type(part).__name__:
        return True
    before = [*getattr(part, "ex_iterables", ()), *([part.ex_iterable] if hasattr(part, "ex_iterable") else ())]
    return any(map(_has_buffer, before))


def gives_more_rows(dataset: object) -> bool:
    """Returns True if a data set has a row behind its length, and not one for any number that it is asked for.

    Data that is made on demand, or that begins again, has one for any number: its length is what it says. Reads up to
    two rows, which may draw random numbers.
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
    """The number of examples, where the data set says it."""
    try:
        return len(dataset)  # type: ignore[arg-type]  # what has no length says so
    except (TypeError, NotImplementedError):
        return None
