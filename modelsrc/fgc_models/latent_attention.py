"""Self-attention whose keys and values come from one short vector a position, which is all that a cache holds."""

# torch is typed in parts only
# mypy: disable-error-code="no-any-return, no-untyped-call"

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers.cache_utils import Cache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from fgc_models.attention import eager_attention
from fgc_models.rotary import apply_rotary


def interleaved(states: Tensor) -> Tensor:
    """Channels 0, 2, 4, ... and then 1, 3, 5, ...: pairs that lie side by side, as `apply_rotary` takes them."""
    return torch.cat((states[..., 0::2], states[..., 1::2]), dim=-1)


def yarn_score_factor(rope_parameters: Mapping[str, Any]) -> float:
    """Returns the factor of scores where YaRN stretches the context: (0.1 mscale_all_dim ln(factor) + 1)^2.

    Peng et al. 2023 (arXiv:2309.00071, section 3.4, eq. 22). 1 without `mscale_all_dim`.
    """
    mscale = rope_parameters.get("mscale_all_dim")
    if rope_parameters["rope_type"] == "default" or not mscale:
        return 1.0
    return (0.1 * mscale * math.log(max(rope_parameters["factor"], 1.0)) + 1.0) ** 2


class LatentAttention(nn.Module):
    """Multi-head latent attention (MLA): a position's keys and values, of all heads, are read from one vector.

    DeepSeek-V2 (DeepSeek-AI 2024, arXiv:2405.04434, section 2.1.2). The cache holds that vector,
    and one key with rotary positions that all heads share. Queries come from a short vector too,
    unless `query_rank` is None.
    """

    def __init__(
        self,
        layer_idx: int,
        *,
        config: PreTrainedConfig,
        hidden_size: int,
        num_heads: int,
        query_rank: int | None,
        kv_rank: int,
        plain_head_dim: int,
        rope_head_dim: int,
        value_head_dim: int,
        rope_parameters: Mapping[str, Any],
        norm: Callable[[int], nn.Module],
        is_interleaved: bool = True,
        bias: bool = False,
        dropout: float = 0.0,
    ) -> None:
        """A head's query and key have `plain_head_dim` channels without positions and `rope_head_dim` with them."""
        super().__init__()
        self.config = config
        self.layer_idx = layer_idx
        self.kv_rank = kv_rank
        self.plain_head_dim = plain_head_dim
        self.rope_head_dim = rope_head_dim
        self.value_head_dim = value_head_dim
        self.is_interleaved = is_interleaved
        self.num_key_value_groups = 1
        self.scaling = (plain_head_dim + rope_head_dim) ** -0.5 * yarn_score_factor(rope_parameters)
        self.attention_dropout = dropout
        self.is_causal = True
        self.query_rank = query_rank
        query_size = num_heads * (plain_head_dim + rope_head_dim)
        if query_rank is None:
            self.q_proj = nn.Linear(hidden_size, query_size, bias=False)
        else:
            self.q_a_proj = nn.Linear(hidden_size, query_rank, bias=bias)
            self.q_a_layernorm = norm(query_rank)
            self.q_b_proj = nn.Linear(query_rank, query_size, bias=False)
        self.kv_a_proj_with_mqa = nn.Linear(hidden_size, kv_rank + rope_head_dim, bias=bias)
        self.kv_a_layernorm = norm(kv_rank)
        self.kv_b_proj = nn.Linear(kv_rank, num_heads * (plain_head_dim + value_head_dim), bias=False)
        self.o_proj = nn.Linear(num_heads * value_head_dim, hidden_size, bias=bias)

    def queries(self, hidden_states: Tensor) -> Tensor:
        """From (batch, time, hidden_size), before rotation: (batch, heads, time, plain + rope channels)."""
        if self.query_rank is None:
            query = self.q_proj(hidden_states)
        else:
            query = self.q_b_proj(self.q_a_layernorm(self.q_a_proj(hidden_states)))
        return query.unflatten(-1, (-1, self.plain_head_dim + self.rope_head_dim)).transpose(1, 2)

    def keys_and_values(self, latent: Tensor, shared_key: Tensor) -> tuple[Tensor, Tensor]:
        """From (batch, 1, time, rank) and the rotated key (batch, 1, time, rope): those of all heads."""
        read = self.kv_b_proj(latent[:, 0]).unflatten(-1, (-1, self.plain_head_dim + self.value_head_dim))
        key, value = read.transpose(1, 2).split((self.plain_head_dim, self.value_head_dim), dim=-1)
        return torch.cat((key, shared_key.expand(-1, key.shape[1], -1, -1)), dim=-1), value

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_embeddings: tuple[Tensor, Tensor] | None = None,
        past_key_values: Cache | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        assert position_embeddings is not None, "the angles are missing"
        query, turning = self.queries(hidden_states).split((self.plain_head_dim, self.rope_head_dim), dim=-1)
        latent, shared_key = self.kv_a_proj_with_mqa(hidden_states).split((self.kv_rank, self.rope_head_dim), dim=-1)
        latent, shared_key = self.kv_a_layernorm(latent)[:, None], shared_key[:, None]
        if self.is_interleaved:
            turning, shared_key = interleaved(turning), interleaved(shared_key)
        turning = apply_rotary(turning, *position_embeddings)
        shared_key = apply_rotary(shared_key, *position_embeddings)
        if past_key_values is not None:
            latent, shared_key = past_key_values.update(latent, shared_key, self.layer_idx)
        key, value = self.keys_and_values(latent, shared_key)

        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention)
        attended, weights = attend(
            self,
            torch.cat((query, turning), dim=-1),
            key,
            value,
            attention_mask,
            dropout=self.attention_dropout if self.training else 0.0,
            scaling=self.scaling,
            **kwargs,
        )
        return self.o_proj(attended.flatten(2)), weights
