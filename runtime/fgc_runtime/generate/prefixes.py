"""Keys and values of texts that were read, for a text that begins like one of them.

A chat's next turn begins with the turns before it; many requests begin with the same system message. Only whole caches
are kept, the newest ones, and the beginning that fits is cut out of one.
"""

from collections.abc import Sequence

from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

_MAX_TEXTS = 256  # each is compared with each new prompt
MIN_TOKENS = 32  # reading fewer costs less than looking for them


class Prefixes:
    """Texts with their caches, together at most `max_tokens` long."""

    def __init__(self, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self.num_tokens = 0
        self._kept: list[tuple[tuple[int, ...], DynamicCache]] = []  # the oldest first

    def keep(self, ids: Sequence[int], cache: Cache | None) -> None:
        """Keeps the cache of a text; nobody may change it afterwards."""
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
        """Returns a cache of the longest known beginning, at least one token shorter than the text, and its length."""
        text, best, length = tuple(ids[:-1]), None, MIN_TOKENS - 1
        for kept in self._kept:
            if (common := _num_common(text, kept[0])) > length:
                best, length = kept, common
        if best is None:
            return None
        self._kept.remove(best)
        self._kept.append(best)  # the newest in use
        return _beginning(best[1], length), length

    def shrink(self, max_tokens: int) -> None:
        """Forgets the oldest texts until at most so many tokens are left."""
        while self._kept and self.num_tokens > max_tokens:
            self._drop(self._kept[0])

    def _drop(self, kept: tuple[tuple[int, ...], DynamicCache]) -> None:
        self._kept = [other for other in self._kept if other is not kept]
        self.num_tokens -= len(kept[0])


def _num_common(text: tuple[int, ...], other: tuple[int, ...]) -> int:
    """Returns the length of the longest common beginning, found by halves: comparing slices is fast."""
    low, high = 0, min(len(text), len(other))
    if text[:high] == other[:high]:
        return high
    while low < high - 1:
        middle = (low + high) // 2
        low, high = (middle, high) if text[low:middle] == other[low:middle] else (low, middle)
    return low


def _beginning(cache: DynamicCache, length: int) -> DynamicCache:
    """Returns the first tokens of a cache; what is appended goes to a new copy."""
    cut = DynamicCache()
    for index, layer in enumerate(cache.layers):
        assert isinstance(layer, DynamicLayer) and layer.keys is not None and layer.values is not None
        cut.update(layer.keys[:, :, :length], layer.values[:, :, :length], index)
    return cut
