"""Rotary position embeddings: angles for positions, and the rotation of queries and keys by them."""

# torch is typed in parts only
# mypy: disable-error-code="no-untyped-call"

import math
from collections.abc import Callable, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import initialization as init


class RotaryEmbedding(nn.Module):
    """Cosine and sine of the angles position * theta^(-2i / head_dim), 0 <= i < head_dim / 2.

    RoPE (Su et al. 2021, arXiv:2104.09864, eq. 15). Computed in float32: in half
    precision, neighbouring positions beyond a few hundred would share their angles.
    """

    inv_freq: Tensor

    def __init__(self, head_dim: int, rope_parameters: Mapping[str, Any]) -> None:
        super().__init__()
        if head_dim % 2:
            raise ValueError(f"head_dim ({head_dim}) must be even: channels turn in pairs")
        self.head_dim = head_dim
        self.rope_parameters = dict(rope_parameters)
        self.register_buffer("inv_freq", self.compute_inv_freq(), persistent=False)

    def compute_inv_freq(self) -> Tensor:
        """Radians per position, for each pair of channels: (head_dim / 2,)."""
        theta: float = self.rope_parameters["rope_theta"]
        channels = torch.arange(0, self.head_dim, 2, dtype=torch.float32)
        return 1.0 / torch.pow(theta, channels / self.head_dim)

    def init_buffers(self) -> None:
        """Fill the buffers that checkpoints do not hold."""
        init.copy_(self.inv_freq, self.compute_inv_freq())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        # bfloat16() and half() must not round the frequencies
        self.inv_freq = self.compute_inv_freq().to(self.inv_freq.device)
        return self

    @torch.no_grad()
    def forward(self, hidden_states: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine in the dtype of `hidden_states`: (batch, 1, time, head_dim / 2)."""
        angles = position_ids[:, None, :, None].float() * self.inv_freq
        cos, sin = angles.cos(), angles.sin()
        return cos.to(hidden_states.dtype), sin.to(hidden_states.dtype)


class Llama3RotaryEmbedding(RotaryEmbedding):
    """RoPE stretched to longer contexts: slow rotations are slowed by `factor`, fast ones kept.

    Llama 3.1 (Grattafiori et al. 2024, arXiv:2407.21783, section 3.2). A rotation of
    wavelength w is slow if w > L / low_freq_factor and fast if w < L / high_freq_factor,
    with L the original context; between the two, the frequency is interpolated.
    """

    def compute_inv_freq(self) -> Tensor:
        inv_freq = super().compute_inv_freq()
        factor: float = self.rope_parameters["factor"]
        low = self.rope_parameters["low_freq_factor"]
        high = self.rope_parameters["high_freq_factor"]
        original_length = self.rope_parameters["original_max_position_embeddings"]
        turns = original_length * inv_freq / (2 * math.pi)
        kept_share = ((turns - low) / (high - low)).clamp(0.0, 1.0)
        stretched: Tensor = inv_freq * (kept_share + (1.0 - kept_share) / factor)
        return stretched


def apply_rotary(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn channels i and i + head_dim / 2 of each head by the angle of their position.

    `states` has shape (batch, heads, time, head_dim).
    """
    first, second = states.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
