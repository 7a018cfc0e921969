"""Rows for models that scale positions by the length of the longest text in a call (dynamic NTK, LongRoPE).

Up to its usual length such a model scales nothing, so shorter texts share a batch. Beyond it, LongRoPE has one scaling
for all texts, which share a second batch. Dynamic NTK has one for each length, so each text is a batch.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from fgc_runtime.generate.forward import Forward
from fgc_runtime.generate.rows import PackedRows, Rows, SeparateRows


class ScaledRows:
    """Groups of rows with equal scaling. `packs`: the rows of a group share a forward call."""

    reads_whole = True  # the first part of a prompt, read alone, would be scaled as a shorter text
    limit = "This model scales positions by a text's length: sequences share a batch where they are scaled alike"
    packs = True

    def __init__(self, forward: Forward) -> None:
        assert forward.scaling is not None, "other models need no groups"
        self._forward = forward
        self._usual_length = forward.scaling.usual_length
        self._rereads = forward.scaling.rereads  # False if the usual length is unknown
        short: Rows = PackedRows(forward) if self.packs else SeparateRows(forward)
        long: Rows = PackedRows(forward) if self.packs and self._rereads else SeparateRows(forward)
        self._groups = (short, long)
        self._members: tuple[list[int], list[int]] = ([], [])  # row numbers, in the order of each group's rows
        self._texts: list[list[int]] = []  # of each row; a row in no group is read again by its next step

    def new_cache(self) -> Cache:
        cache = self._groups[0].new_cache()
        assert cache is not None, "packed and separate rows have caches"
        return cache

    def join(self, prefix: Cache | None, ids: Sequence[int]) -> None:
        group = int(self._is_long(len(ids)))
        self._groups[group].join(prefix, ids)
        self._members[group].append(len(self._texts))
        self._texts.append(list(ids))
        self._regroup(len(self._texts) - 1)

    def leave(self, row: int) -> None:
        self._leave_group(row)
        last = len(self._texts) - 1
        for members in self._members:
            if last in members:
                members[members.index(last)] = row
        self._texts[row] = self._texts[last]
        self._texts.pop()

    def prefix(self, row: int) -> None:
        return None  # a longer text would have other positions

    def batches(self) -> list[list[int]]:
        grouped = [
            [members[place] for place in batch]
            for rows, members in zip(self._groups, self._members, strict=True)
            for batch in rows.batches()
        ]
        return grouped + [[row] for row in range(len(self._texts)) if self._group(row) is None]

    def step(self, batch: Sequence[int], tokens: Sequence[int]) -> Tensor:
        group = self._group(batch[0])
        if group is None:
            return self._read_anew(batch[0], tokens[0])
        logits_BV = self._groups[group].step([self._members[group].index(row) for row in batch], tokens)
        for row, token in zip(batch, tokens, strict=True):
            self._texts[row].append(token)
            self._regroup(row)
        return logits_BV

    def _is_long(self, length: int) -> bool:
        return self._usual_length is None or length > self._usual_length

    def _group(self, row: int) -> int | None:
        return next((group for group, members in enumerate(self._members) if row in members), None)

    def _leave_group(self, row: int) -> None:
        group = self._group(row)
        if group is not None:
            members = self._members[group]
            place = members.index(row)
            self._groups[group].leave(place)
            members[place] = members[-1]
            members.pop()

    def _regroup(self, row: int) -> None:
        """Moves a text whose next token is beyond the usual length to the other group."""
        if self._group(row) != 0 or not self._is_long(len(self._texts[row]) + 1):
            return
        if self._rereads:
            self._leave_group(row)
        elif self.packs:
            self._groups[1].join(self._groups[0].prefix(self._members[0].index(row)), self._texts[row])
            self._leave_group(row)
            self._members[1].append(row)

    def _read_anew(self, row: int, token: int) -> Tensor:
        text, cache = [*self._texts[row], token], self.new_cache()
        positions_1T = torch.arange(len(text), device=self._forward.device)[None]
        logits_1V = self._forward([text], cache=cache, positions_BT=positions_1T)
        self._groups[1].join(cache, text)
        self._members[1].append(row)
        self._texts[row] = text
        return logits_1V


class LoneScaledRows(ScaledRows):
    """The same with one forward call per row, for models that also ignore padding masks."""

    limit = SeparateRows.limit
    packs = False
