"""The running batch: sequences join after their prompt, step together by one token, and leave.

Several ways to hold what a sequence has seen, here and in `scaled_rows.py`; `probe.py` finds the fastest that is right
for a model. Letters: B rows, T time, K columns, V vocabulary.
"""

import copy
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache

from fgc_runtime.generate.forward import Forward
from fgc_runtime.generate.packed import PackedCache

_SHORT = 512  # columns; on a CPU, attention over so many costs less than another call of a small model


class Rows(Protocol):
    """Sequences that take one token each per step; leaving moves the last row into the gap.

    `reads_whole`: a prompt must be read in one go. `limit`: a sentence for users on what slows a model that needs such
    rows; empty for none.
    """

    reads_whole: bool
    limit: str

    def new_cache(self) -> Cache | None:
        """An empty cache to read one prompt into; None if the model has none."""

    def join(self, prefix: Cache | None, ids: Sequence[int]) -> None:
        """Add a row that has seen `ids`; `prefix` may join again, for another row. If it fails, nothing has changed."""

    def leave(self, row: int) -> None: ...

    def prefix(self, row: int) -> Cache | None:
        """Returns a copy of what a row has seen, for a text that begins like it; None if it cannot be cut shorter."""

    def batches(self) -> list[list[int]]:
        """Returns which rows step together."""

    def step(self, batch: Sequence[int], tokens: Sequence[int]) -> Tensor:
        """Give each row of a batch its next token; logits (B, V) for the one after.

        If it fails, rows of other batches are as they were.
        """


class PackedRows:
    """One forward for rows of similar length: for models whose attention honours padding.

    Rows of one batch are padded to the longest, so a long text would slow all short ones: it gets a batch of its own.
    """

    reads_whole = False
    limit = ""

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self._caches: list[PackedCache] = []
        self._rows: list[list[int]] = []  # of each cache, in its order

    def new_cache(self) -> Cache:
        return DynamicCache()  # without a config: whole history in each layer, windows are left to the mask

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
    """Returns True if padding costs less than another forward: by far fewer columns, or by less than half of them."""
    return max(width, length) <= 2 * min(width, length) + _SHORT


def _padding_mask(lengths_B1: Tensor, width: int) -> Tensor:
    """1 where a row has a token, the coming one included, shape (B, width + 1)."""
    columns_K = torch.arange(width + 1, device=lengths_B1.device)
    return (columns_K >= width - lengths_B1).long()


class SeparateRows:
    """One forward and one cache for each row: for models with recurrent state, or that ignore padding."""

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
    """One forward over the whole text for each row and step: for models without a cache."""

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
