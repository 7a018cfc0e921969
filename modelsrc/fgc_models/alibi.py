"""Attention with linear biases: positions by what is added to the scores, and by nothing else."""

# torch is typed in parts only
# mypy: disable-error-code="no-untyped-call"

import math
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn
from transformers import initialization as init


def alibi_slopes(num_heads: int) -> Tensor:
    """2^(-8 i / n) for the heads i = 1..n: (num_heads,).

    Press et al. 2021 (arXiv:2108.12409, section 3). Where n is no power of two: those of the
    power of two below, then every second one of the power of two above, as the authors' code.
    """
    below = 2 ** math.floor(math.log2(num_heads))
    exponents = [-8.0 * i / below for i in range(1, below + 1)]
    exponents += [-4.0 * i / below for i in range(1, 2 * (num_heads - below), 2)]
    return 2.0 ** torch.tensor(exponents)


class AlibiBias(nn.Module):
    """score(query, key) - slope * (position of query - position of key), with one slope per head.

    ALiBi (Press et al. 2021, arXiv:2108.12409, section 3). The bias is part of the attention
    mask, so attention needs an implementation that takes one: eager or sdpa.
    """

    slopes: Tensor

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.register_buffer("slopes", alibi_slopes(num_heads), persistent=False)

    def init_buffers(self) -> None:
        """Fill the buffers that checkpoints do not hold."""
        init.copy_(self.slopes, alibi_slopes(self.num_heads))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        # bfloat16() and half() must not round the slopes
        self.slopes = alibi_slopes(self.num_heads).to(self.slopes.device)
        return self

    def forward(self, mask: Tensor | None, dtype: torch.dtype, num_seen: int | Tensor) -> Tensor:
        """The mask with the bias, to be added to the scores: (batch, heads, queries, keys).

        `mask` has one head, True or 0 where a query sees a key; the first query has the position
        `num_seen`.
        """
        if not isinstance(mask, Tensor):
            raise ValueError("ALiBi is a part of the mask: choose attn_implementation eager or sdpa")
        queries = torch.arange(mask.shape[-2], device=mask.device) + num_seen
        keys = torch.arange(mask.shape[-1], device=mask.device)
        bias = self.slopes[:, None, None] * (keys - queries[:, None])
        is_seen = mask if mask.dtype == torch.bool else mask == 0
        return torch.where(is_seen, bias.to(dtype), torch.finfo(dtype).min)
