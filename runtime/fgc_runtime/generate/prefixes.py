"""Keeps keys and values of earlier texts, for prompts that begin like one of them.

The next turn of a chat begins with its earlier turns, and many requests begin with the same system message. The newest
caches are kept whole, and the common beginning is sliced out of one.
"""

from collections.abc import Sequence

from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

_MAX_TEXTS = 256  # every new prompt is compared with each
MIN_TOKENS = 32  # reading fewer is cheaper than searching


class Prefixes:
    """Texts with their caches, of at most `max_tokens` tokens in all."""

    def __init__(self, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self.num_tokens = 0
        self._kept: list[tuple[tuple[int, ...], DynamicCache]] = []  # least recently used first

    def keep(self, ids: Sequence[int], cache: Cache | None) -> None:
        """Keeps the cache of a text, which nobody may change afterwards."""
        if not isinstance(cache, DynamicCache) or not MIN_TOKENS <= len(ids) <= self.max_tokens:
            return
        if not all(isinstance(layer, DynamicLayer) and not layer.is_sliding for layer in cache.layers):
            return
        text = tuple(ids)
        covered = [kept for kept in self._kept if text[: len(kept[0])] == kept[0]]
        for kept in covered:
            self._drop(kept)
        self._kept.append((text, cache))
        self.num_tokens += len(text)
        if len(self._kept) > _MAX_TEXTS:
            self._drop(self._kept[0])
        self.shrink(self.max_tokens)

    def find(self, ids: Sequence[int]) -> tuple[Cache, int] | None:
        """Returns a cache of the longest known beginning, and its length, which is less than that of the text."""
        text, best, length = tuple(ids[:-1]), None, MIN_TOKENS - 1
        for kept in self._kept:
            if (common := _num_common(text, kept[0])) > length:
                best, length = kept, common
        if best is None:
            return None
        self._kept.remove(best)
        self._kept.append(best)  # it is now the most recently used
        return _beginning(best[1], length), length

    def shrink(self, max_tokens: int) -> None:
        """Drops the least recently used texts until at most `max_tokens` tokens are left."""
        while self._kept and self.num_tokens > max_tokens:
            self._drop(self._kept[0])

    def _drop(self, kept: tuple[tuple[int, ...], DynamicCache]) -> None:
        self._kept = [other for other in self._kept if other is not kept]
        self.num_tokens -= len(kept[0])


def _num_common(text: tuple[int, ...], other: tuple[int, ...]) -> int:
    """Returns the length of the longest common prefix, by bisection, because comparing slices is fast."""
    low, high = 0, min(len(text), len(other))
    if text[:high] == other[:high]:
        return high
    while low < high - 1:
        middle = (low + high) // 2
        low, high = (middle, high) if text[low:middle] == other[low:middle] else (low, middle)
    return low


def _beginning(cache: DynamicCache, length: int) -> DynamicCache:
    """Returns the first `length` tokens of a cache; appending to the result copies."""
    cut = DynamicCache()
    for index, layer in enumerate(cache.layers):
        assert isinstance(layer, DynamicLayer) and layer.keys is not None and layer.values is not None
        cut.update(layer.keys[:, :, :length], layer.values[:, :, :length], index)
    return cut
