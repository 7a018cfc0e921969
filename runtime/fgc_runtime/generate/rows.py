"""The running batch: sequences join after their prompt, step together by one token, and leave.

Four ways to hold what a sequence has seen; `probe.py` finds the fastest that is right for a model. Letters: B rows,
T time, K columns, V vocabulary.
"""

import copy
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache

from fgc_runtime.generate.forward import Forward
from fgc_runtime.generate.packed import PackedCache


class Rows(Protocol):
    """Sequences that take one token each per step; leaving moves the last row into the gap.

    `reads_whole`: a prompt must be read in one go.
    """

    reads_whole: bool

    def new_cache(self) -> Cache | None:
        """An empty cache to read one prompt into; None if the model has none."""

    def join(self, prefix: Cache | None, ids: Sequence[int]) -> None:
        """Add a row that has seen `ids`; `prefix` may join again, for another row."""

    def leave(self, row: int) -> None: ...

    def step(self, tokens: Sequence[int]) -> Tensor:
        """Give each row its next token; logits (B, V) for the one after."""


class PackedRows:
    """One forward for all rows: for models whose attention honours padding."""

    reads_whole = False

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self._cache = PackedCache()

    def new_cache(self) -> Cache:
        return DynamicCache()  # without a config: whole history in each layer, windows are left to the mask

    def join(self, prefix: Cache | None, ids: Sequence[int]) -> None:
        assert prefix is not None, "packed rows come from a cache"
        self._cache.join(prefix, len(ids))

    def leave(self, row: int) -> None:
        self._cache.leave(row)

    def step(self, tokens: Sequence[int]) -> Tensor:
        cache = self._cache
        cache.open_column()
        lengths_B1 = torch.tensor(cache.lengths, device=self._forward.device)[:, None]
        mask_BK = _padding_mask(lengths_B1, cache.width) if cache.is_padded else None
        logits_BV = self._forward([[t] for t in tokens], cache=cache, positions_BT=lengths_B1, mask_BK=mask_BK)
        cache.close_column()
        return logits_BV


def _padding_mask(lengths_B1: Tensor, width: int) -> Tensor:
    """1 where a row has a token, the coming one included, shape (B, width + 1)."""
    columns_K = torch.arange(width + 1, device=lengths_B1.device)
    return (columns_K >= width - lengths_B1).long()


class SeparateRows:
    """One forward and one cache for each row: for models with recurrent state, or that ignore padding."""

    reads_whole = False

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

    def step(self, tokens: Sequence[int]) -> Tensor:
        pairs = zip(tokens, self._caches, strict=True)
        return torch.cat([self._forward([[token]], cache=cache) for token, cache in pairs])


class RecomputedRows:
    """One forward over the whole text for each row and step: for models without a cache."""

    reads_whole = True

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

    def step(self, tokens: Sequence[int]) -> Tensor:
        for text, token in zip(self._texts, tokens, strict=True):
            text.append(token)
        return torch.cat([self._forward([text]) for text in self._texts])


class ScaledRows:
    """One forward and one cache for each row, by the row's own length: for positions that are scaled by length."""

    reads_whole = True  # the first part of a prompt, read alone, would be scaled as a shorter text

    def __init__(self, forward: Forward) -> None:
        assert forward.scaling is not None, "other models need no rows of their own"
        self._forward = forward
        self._rereads_at = forward.scaling.rereads_at
        self._caches: list[Cache] = []
        self._texts: list[list[int]] = []

    def new_cache(self) -> Cache:
        return DynamicCache(config=self._forward.model.config)

    def join(self, prefix: Cache | None, ids: Sequence[int]) -> None:
        assert prefix is not None, "scaled rows come from a cache"
        self._caches.append(copy.deepcopy(prefix))
        self._texts.append(list(ids))

    def leave(self, row: int) -> None:
        self._caches[row], self._texts[row] = self._caches[-1], self._texts[-1]
        self._caches.pop()
        self._texts.pop()

    def step(self, tokens: Sequence[int]) -> Tensor:
        return torch.cat([self._step(row, token) for row, token in enumerate(tokens)])

    def _step(self, row: int, token: int) -> Tensor:
        text = self._texts[row]
        text.append(token)
        length = len(text)
        if self._rereads_at is not None and length == self._rereads_at + 1:
            self._caches[row], unread = self.new_cache(), text
        else:
            unread = [token]
        positions_1T = torch.arange(length - len(unread), length, device=self._forward.device)[None]
        return self._forward([unread], cache=self._caches[row], positions_BT=positions_1T)
