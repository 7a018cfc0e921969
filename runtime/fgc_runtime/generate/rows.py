"""The running batch: sequences join after their prompt, step together by one token, and leave.

There are several ways to store what a sequence has seen, here and in `scaled_rows.py`; `probe.py` finds the fastest
that is correct for a model. All number rows from 0, and the last row takes the number of one that leaves:

    rows A B C D     leave(1)     ->     A D C

`PackedRows` keeps several packed caches, one for each range of lengths, and padded to its longest row:

    cache 0    . . A A A        cache 1    B B B B B B B B B ...  (thousands of columns)
               C C C C C

Letters: B rows, T time, K columns, V vocabulary.
"""

import copy
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache

from fgc_runtime.generate.forward import Forward
from fgc_runtime.generate.packed import PackedCache

_SHORT = 512  # columns: on a CPU, attending to this many costs less than another call of a small model


class Rows(Protocol):
    """Sequences that take one token each per step; the last row takes the number of one that leaves.

    `reads_whole`: a prompt must be read in one call. `limit`: a sentence for users about why such rows are slow, or
    empty.
    """

    reads_whole: bool
    limit: str

    def new_cache(self) -> Cache | None:
        """Returns an empty cache to read one prompt into; None if the model has no cache."""

    def join(self, prefix: Cache | None, ids: Sequence[int]) -> None:
        """Adds a row that has seen `ids`. `prefix` stays usable for another row. If it fails, nothing changes."""

    def leave(self, row: int) -> None: ...

    def prefix(self, row: int) -> Cache | None:
        """Returns a copy of a row's cache for a text with the same beginning; None if it cannot be cut shorter."""

    def batches(self) -> list[list[int]]:
        """Returns the rows that step together, as lists of row numbers."""

    def step(self, batch: Sequence[int], tokens: Sequence[int]) -> Tensor:
        """Gives each row of a batch its next token; returns logits (B, V) for the token after it.

        If it fails, rows of other batches are unchanged.
        """


class PackedRows:
    """One forward call for rows of similar length, for models whose attention respects a padding mask.

    Rows of one batch are padded to the longest. A long text would slow down all short ones, so it gets another batch.
    """

    reads_whole = False
    limit = ""

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self._caches: list[PackedCache] = []
        self._rows: list[list[int]] = []  # row numbers of each cache, in the order of its rows

    def new_cache(self) -> Cache:
        return DynamicCache()  # without a config, layers keep everything, and masks do the sliding windows

    def join(self, prefix: Cache | None, ids: Sequence[int]) -> None:
        assert prefix is not None, "packed rows come from a cache"
        number = sum(map(len, self._rows))
        place = next((i for i, cache in enumerate(self._caches) if _is_similar(cache.width, len(ids))), None)
        if place is None:
            cache = PackedCache()
            cache.join(prefix, len(ids))
            self._caches.append(cache)
            self._rows.append([number])
        else:
            self._caches[place].join(prefix, len(ids))
            self._rows[place].append(number)

    def leave(self, row: int) -> None:
        last = sum(map(len, self._rows)) - 1
        place, at = self._place(row)
        self._caches[place].leave(at)
        rows = self._rows[place]
        rows[at] = rows[-1]
        rows.pop()
        if row != last:
            place_of_last, at_of_last = self._place(last)
            self._rows[place_of_last][at_of_last] = row
        if not rows:
            del self._caches[place], self._rows[place]

    def prefix(self, row: int) -> Cache:
        place, at = self._place(row)
        return self._caches[place].prefix(at)

    def batches(self) -> list[list[int]]:
        return [list(rows) for rows in self._rows]

    def step(self, batch: Sequence[int], tokens: Sequence[int]) -> Tensor:
        cache = self._caches[self._place(batch[0])[0]]
        cache.open_column()
        lengths_B1 = torch.tensor(cache.lengths, device=self._forward.device)[:, None]
        mask_BK = _padding_mask(lengths_B1, cache.width) if cache.is_padded else None
        logits_BV = self._forward([[t] for t in tokens], cache=cache, positions_BT=lengths_B1, mask_BK=mask_BK)
        cache.close_column()
        return logits_BV

    def _place(self, row: int) -> tuple[int, int]:
        return next((place, rows.index(row)) for place, rows in enumerate(self._rows) if row in rows)


def _is_similar(width: int, length: int) -> bool:
    """Returns True if padding costs less than another call: the wider has few columns, or under half are padding."""
    return max(width, length) <= 2 * min(width, length) + _SHORT


def _padding_mask(lengths_B1: Tensor, width: int) -> Tensor:
    """Returns a mask of shape (B, width + 1): 1 where a row has a token, including the coming one."""
    columns_K = torch.arange(width + 1, device=lengths_B1.device)
    return (columns_K >= width - lengths_B1).long()


class SeparateRows:
    """One forward call and one cache per row, for models with recurrent state, or that ignore padding masks."""

    reads_whole = False
    limit = "This model's attention does not honour padding: sequences take turns instead of sharing a batch"

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self._caches: list[Cache] = []

    def new_cache(self) -> Cache:
        return DynamicCache(config=self._forward.model.config)

    def join(self, prefix: Cache | None, ids: Sequence[int]) -> None:
        assert prefix is not None, "separate rows come from a cache"
        self._caches.append(copy.deepcopy(prefix))

    def leave(self, row: int) -> None:
        self._caches[row] = self._caches[-1]
        self._caches.pop()

    def prefix(self, row: int) -> None:
        return None  # a recurrent state cannot be cut shorter

    def batches(self) -> list[list[int]]:
        return [[row] for row in range(len(self._caches))]

    def step(self, batch: Sequence[int], tokens: Sequence[int]) -> Tensor:
        return self._forward([[tokens[0]]], cache=self._caches[batch[0]])


class RecomputedRows:
    """One forward call over the whole text for each row and step, for models without a cache."""

    reads_whole = True
    limit = "This model is right without a cache only: sequences take turns, and each token reads the whole text anew"

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self._texts: list[list[int]] = []

    def new_cache(self) -> None:
        return None

    def join(self, prefix: Cache | None, ids: Sequence[int]) -> None:
        self._texts.append(list(ids))

    def leave(self, row: int) -> None:
        self._texts[row] = self._texts[-1]
        self._texts.pop()

    def prefix(self, row: int) -> None:
        return None

    def batches(self) -> list[list[int]]:
        return [[row] for row in range(len(self._texts))]

    def step(self, batch: Sequence[int], tokens: Sequence[int]) -> Tensor:
        self._texts[batch[0]].append(tokens[0])
        return self._forward([self._texts[batch[0]]])
