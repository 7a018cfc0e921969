"""Reads a prompt into the model chunk by chunk, so that running rows can step in between."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from fgc_runtime.generate.forward import Forward
from fgc_runtime.generate.rows import Rows
from fgc_runtime.generate.scores import ScoredToken, scored


class Prefill:
    """Reads `ids` into a cache of batch size one, and scores them if `num_top` alternatives are wanted."""

    def __init__(
        self,
        forward: Forward,
        rows: Rows,
        ids: Sequence[int],
        *,
        num_top: int | None = None,
        known: tuple[Cache, int] | None = None,
    ) -> None:
        """`known` is a cache that already contains the first tokens, and their number; they are not scored."""
        self.ids = ids
        self.cache = rows.new_cache() if known is None else known[0]
        self.logits_V: Tensor | None = None
        self.scores: list[ScoredToken] = [] if num_top is None else [ScoredToken(ids[0], None)]
        self._forward = forward
        self._num_top = num_top
        self._reads_whole = rows.reads_whole
        self._num_read = 0 if known is None else known[1]

    @property
    def num_left(self) -> int:
        return len(self.ids) - self._num_read

    @property
    def is_done(self) -> bool:
        return self._num_read == len(self.ids)

    def advance(self, max_tokens: int) -> int:
        """Reads up to `max_tokens` more, or all if it must be one call. Returns the number of tokens read."""
        start = self._num_read
        end = len(self.ids) if self._reads_whole else min(len(self.ids), start + max_tokens)
        positions_1T = torch.arange(start, end, device=self._forward.device)[None]
        is_scored = self._num_top is not None
        logits = self._forward([self.ids[start:end]], cache=self.cache, positions_BT=positions_1T, keeps_all=is_scored)
        if self._num_top is not None:
            targets = self.ids[start + 1 : end + 1]
            self.scores += scored(logits[0, : len(targets)], targets, num_top=self._num_top)
        self.logits_V = logits[0, -1] if is_scored else logits[0]
        self._num_read = end
        return end - start
