"""Embeddings of tokens and of positions: what is added up before the first layer."""

# torch is typed in parts only
# mypy: disable-error-code="no-untyped-call"

import math
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn
from transformers import initialization as init


class ScaledEmbedding(nn.Embedding):
    """y = scale * weight[token]; the scale is rounded to the dtype of the weight.

    Vaswani et al. 2017 (arXiv:1706.03762, section 3.4) and Gemma scale by sqrt(hidden_size), so
    that an embedding also serves as the head.
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, *, scale: float
    ) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx)
        self.embed_scale = scale

    def forward(self, input: Tensor) -> Tensor:
        embedded = super().forward(input)
        return embedded * embedded.new_full((), self.embed_scale)


class LearnedPositions(nn.Embedding):
    """y = weight[position], one vector for each position.

    Gehring et al. 2017 (arXiv:1705.03122, section 3.1), GPT and GPT-2. Positions must be less
    than `max_positions`.
    """

    def __init__(self, max_positions: int, hidden_size: int) -> None:
        super().__init__(max_positions, hidden_size)


class SinusoidalPositions(nn.Module):
    """y_2i = sin(position / 10000^(2i / hidden_size)), and y_2i+1 the cosine of the same angle.

    Vaswani et al. 2017 (arXiv:1706.03762, section 3.5), computed in float32 for the positions
    at hand: there is no table, and no longest position.
    """

    frequencies: Tensor

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        if hidden_size % 2:
            raise ValueError(f"hidden_size ({hidden_size}) must be even: sines and cosines come in pairs")
        self.hidden_size = hidden_size
        self.register_buffer("frequencies", self.compute_frequencies(), persistent=False)

    def compute_frequencies(self) -> Tensor:
        """Radians per position, for each pair of channels: (hidden_size / 2,)."""
        channels = torch.arange(0, self.hidden_size, 2, dtype=torch.float32)
        return torch.exp(channels * (-math.log(10000.0) / self.hidden_size))

    def init_buffers(self) -> None:
        """Fill the buffers that checkpoints do not hold."""
        init.copy_(self.frequencies, self.compute_frequencies())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        # bfloat16() and half() must not round the frequencies
        self.frequencies = self.compute_frequencies().to(self.frequencies.device)
        return self

    @torch.no_grad()
    def forward(self, position_ids: Tensor) -> Tensor:
        """Float32 of shape (batch, time, hidden_size)."""
        angles = position_ids[..., None].float() * self.frequencies
        return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)
