"""Rotary position embeddings: angles for positions, and the rotation of queries and keys by them."""

# torch is typed in parts only
# mypy: disable-error-code="no-untyped-call"

import math
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers import initialization as init
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS


class RotaryEmbedding(nn.Module):
    """Cosine and sine of the angles position * theta^(-2i / head_dim), 0 <= i < head_dim / 2.

    RoPE (Su et al. 2021, arXiv:2104.09864, eq. 15). Computed in float32: in half
    precision, neighbouring positions beyond a few hundred would share their angles. With a
    `partial_rotary_factor`, head_dim is that share of a head: its first channels turn.
    A model that is loaded with another `rope_type` computes that by transformers' formula.
    """

    rope_type = "default"
    inv_freq: Tensor

    def __init__(self, config: PreTrainedConfig, head_dim: int, rope_parameters: Mapping[str, Any]) -> None:
        super().__init__()
        self.rope_parameters = dict(rope_parameters)
        self.head_dim = int(head_dim * rope_parameters.get("partial_rotary_factor", 1.0))
        if self.head_dim % 2:
            raise ValueError(f"head_dim ({self.head_dim}) must be even: channels turn in pairs")
        self.other_config: PreTrainedConfig | None = None
        if rope_parameters["rope_type"] not in (self.rope_type, "default"):
            if rope_parameters["rope_type"] not in ROPE_INIT_FUNCTIONS:
                known = ", ".join(["default", *ROPE_INIT_FUNCTIONS])
                raise ValueError(f"rope_type is {rope_parameters['rope_type']!r}; transformers knows {known}")
            self.other_config = copy(config)
            self.other_config.head_dim = head_dim
            self.other_config.rope_parameters = self.rope_parameters
        self.register_buffer("inv_freq", self.own_inv_freq(), persistent=False)

    def plain_inv_freq(self) -> Tensor:
        """Radians per position, for each pair of channels: (head_dim / 2,)."""
        theta: float = self.rope_parameters["rope_theta"]
        channels = torch.arange(0, self.head_dim, 2, dtype=torch.float32)
        return 1.0 / torch.pow(theta, channels / self.head_dim)

    def compute_inv_freq(self) -> Tensor:
        """Radians per position by the formula of the class."""
        return self.plain_inv_freq()

    def own_inv_freq(self) -> Tensor:
        """Radians per position if the class computes the `rope_type`; for another one, the plain ones."""
        is_own = self.rope_parameters["rope_type"] == self.rope_type
        return self.compute_inv_freq() if is_own else self.plain_inv_freq()

    def init_buffers(self) -> None:
        """Fill the buffers that checkpoints do not hold."""
        init.copy_(self.inv_freq, self.own_inv_freq())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        # bfloat16() and half() must not round the frequencies
        self.inv_freq = self.own_inv_freq().to(self.inv_freq.device)
        return self

    def frequencies(self, position_ids: Tensor) -> tuple[Tensor, float]:
        """Radians per position for these positions, and what multiplies cosine and sine."""
        return self.inv_freq, 1.0

    @torch.no_grad()
    def forward(self, hidden_states: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine in the dtype of `hidden_states`: (batch, 1, time, head_dim / 2)."""
        if self.rope_parameters["rope_type"] == self.rope_type:
            inv_freq, factor = self.frequencies(position_ids)
        elif self.other_config is None:
            inv_freq, factor = self.inv_freq, 1.0
        else:
            compute = ROPE_INIT_FUNCTIONS[self.rope_parameters["rope_type"]]
            inv_freq, factor = compute(self.other_config, position_ids.device, seq_len=position_ids.max() + 1)
        angles = position_ids[:, None, :, None].float() * inv_freq
        cos, sin = angles.cos() * factor, angles.sin() * factor
        return cos.to(hidden_states.dtype), sin.to(hidden_states.dtype)


class LinearRotaryEmbedding(RotaryEmbedding):
    """RoPE stretched to longer contexts: positions count 1 / factor (Chen et al. 2023, arXiv:2306.15595, eq. 4)."""

    rope_type = "linear"

    def compute_inv_freq(self) -> Tensor:
        """Radians per position by the formula of the class."""
        factor: float = self.rope_parameters["factor"]
        return self.plain_inv_freq() / factor


class DynamicRotaryEmbedding(RotaryEmbedding):
    """RoPE whose base grows with the sequence, once that is longer than `max_positions`.

    Dynamic NTK-aware scaling (Peng et al. 2023, arXiv:2309.00071, section 3.3): with s the
    length over `max_positions`, theta is multiplied by (factor s - factor + 1)^(d / (d - 2)).
    The length is the largest position of the batch at hand, plus one.
    """

    rope_type = "dynamic"

    def __init__(
        self, config: PreTrainedConfig, head_dim: int, rope_parameters: Mapping[str, Any], max_positions: int
    ) -> None:
        super().__init__(config, head_dim, rope_parameters)
        self.max_positions = max_positions

    def frequencies(self, position_ids: Tensor) -> tuple[Tensor, float]:
        """Radians per position for these positions, and what multiplies cosine and sine."""
        factor: float = self.rope_parameters["factor"]
        stretch = ((position_ids.max() + 1) / self.max_positions).clamp(min=1.0)
        base_growth = (factor * stretch - factor + 1.0) ** (self.head_dim / (self.head_dim - 2))
        channels = torch.arange(0, self.head_dim, 2, dtype=torch.float32, device=position_ids.device)
        return self.inv_freq / base_growth ** (channels / self.head_dim), 1.0


class YarnRotaryEmbedding(RotaryEmbedding):
    """RoPE stretched by parts: channels that turn seldom are slowed by `factor`, those that turn often are kept.

    YaRN (Peng et al. 2023, arXiv:2309.00071, sections 3.2 and 3.4). Over the original context,
    a channel that turns less than `beta_slow` times is slowed, one that turns more than
    `beta_fast` times is kept, between the two frequencies are mixed. Cosine and sine are
    multiplied by 0.1 ln(factor) + 1, which sharpens attention.
    """

    rope_type = "yarn"

    def compute_inv_freq(self) -> Tensor:
        """Radians per position by the formula of the class."""
        inv_freq = self.plain_inv_freq()
        factor: float = self.rope_parameters["factor"]
        first = self._pair_that_turns(self.rope_parameters.get("beta_fast") or 32.0)
        last = self._pair_that_turns(self.rope_parameters.get("beta_slow") or 1.0)
        if self.rope_parameters.get("truncate", True):
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0), min(last, self.head_dim - 1)
        pairs = torch.arange(self.head_dim // 2, dtype=torch.float32)
        slowed_share = ((pairs - first) / max(last - first, 0.001)).clamp(0.0, 1.0)
        mixed: Tensor = inv_freq * (slowed_share / factor + 1.0 - slowed_share)
        return mixed

    def _pair_that_turns(self, count: float) -> float:
        """The index of the pair of channels that turns `count` times over the original context."""
        theta: float = self.rope_parameters["rope_theta"]
        original_length: int = self.rope_parameters["original_max_position_embeddings"]
        return self.head_dim * math.log(original_length / (count * 2 * math.pi)) / (2 * math.log(theta))

    def attention_factor(self) -> float:
        """Returns the factor of cosine and sine by the formula of the class."""
        given: float | None = self.rope_parameters.get("attention_factor")
        if given is not None:
            return given
        log_factor = 0.1 * math.log(max(self.rope_parameters["factor"], 1.0))
        mscale, mscale_all_dim = (self.rope_parameters.get(name) for name in ("mscale", "mscale_all_dim"))
        if mscale and mscale_all_dim:
            return float((mscale * log_factor + 1.0) / (mscale_all_dim * log_factor + 1.0))
        return log_factor + 1.0

    def frequencies(self, position_ids: Tensor) -> tuple[Tensor, float]:
        """Radians per position for these positions, and what multiplies cosine and sine."""
        return self.inv_freq, self.attention_factor()


class Llama3RotaryEmbedding(RotaryEmbedding):
    """RoPE stretched to longer contexts: slow rotations are slowed by `factor`, fast ones kept.

    Llama 3.1 (Grattafiori et al. 2024, arXiv:2407.21783, section 3.2). A rotation of
    wavelength w is slow if w > L / low_freq_factor and fast if w < L / high_freq_factor,
    with L the original context; between the two, the frequency is interpolated.
    """

    rope_type = "llama3"

    def compute_inv_freq(self) -> Tensor:
        """Radians per position by the formula of the class."""
        inv_freq = self.plain_inv_freq()
        factor: float = self.rope_parameters["factor"]
        low = self.rope_parameters["low_freq_factor"]
        high = self.rope_parameters["high_freq_factor"]
        original_length = self.rope_parameters["original_max_position_embeddings"]
        turns = original_length * inv_freq / (2 * math.pi)
        kept_share = ((turns - low) / (high - low)).clamp(0.0, 1.0)
        stretched: Tensor = inv_freq * (kept_share + (1.0 - kept_share) / factor)
        return stretched


class LongRotaryEmbedding(RotaryEmbedding):
    """RoPE with a divisor for each pair of channels, found by search: one set for short sequences, one for long.

    LongRoPE (Ding et al. 2024, arXiv:2402.13753, section 3). A sequence is long if it is longer
    than the original context. Cosine and sine are multiplied by
    sqrt(1 + ln(factor) / ln(original context)), with `factor` the new over the old context.
    """

    rope_type = "longrope"

    def __init__(
        self, config: PreTrainedConfig, head_dim: int, rope_parameters: Mapping[str, Any], max_positions: int
    ) -> None:
        super().__init__(config, head_dim, rope_parameters)
        self.max_positions = max_positions

    def compute_inv_freq(self) -> Tensor:
        """Radians per position, for short and for long sequences: (2, head_dim / 2)."""
        divisors = [self.rope_parameters["short_factor"], self.rope_parameters["long_factor"]]
        if any(len(row) != self.head_dim // 2 for row in divisors):
            raise ValueError(f"short_factor and long_factor must have head_dim / 2 ({self.head_dim // 2}) numbers each")
        return self.plain_inv_freq() / torch.tensor(divisors, dtype=torch.float32)

    def attention_factor(self) -> float:
        """Returns the factor of cosine and sine by the formula of the class."""
        given: float | None = self.rope_parameters.get("attention_factor")
        if given is not None:
            return given
        original_length: int = self.rope_parameters["original_max_position_embeddings"]
        factor: float = self.rope_parameters.get("factor") or self.max_positions / original_length
        return math.sqrt(1.0 + math.log(max(factor, 1.0)) / math.log(original_length))

    def frequencies(self, position_ids: Tensor) -> tuple[Tensor, float]:
        """Radians per position for these positions, and what multiplies cosine and sine."""
        is_long = position_ids.max() >= self.rope_parameters["original_max_position_embeddings"]
        return torch.where(is_long, self.inv_freq[1], self.inv_freq[0]), self.attention_factor()


def apply_rotary(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn channels i and i + n of each head by the angle of their position, 0 <= i < n; further channels are kept.

    `states` has shape (batch, heads, time, head_dim), cosine and sine (batch, 1, time, n).
    """
    num_pairs = cos.shape[-1]
    first, second = states[..., :num_pairs], states[..., num_pairs : 2 * num_pairs]
    kept = states[..., 2 * num_pairs :]
    return torch.cat((first * cos - second * sin, second * cos + first * sin, kept), dim=-1)
