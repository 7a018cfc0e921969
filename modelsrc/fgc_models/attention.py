"""Self-attention over the positions so far, by whichever implementation the configuration names."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers.cache_utils import Cache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from fgc_models.rotary import apply_rotary


def eager_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[Tensor, Tensor]:
    """softmax(q k^T * scaling + mask) v, one step at a time; also the attention weights.

    Shapes: query (batch, heads, time, head_dim), key and value (batch, kv_heads, time,
    head_dim), result (batch, time, heads, head_dim).
    """
    group_size = query.shape[1] // key.shape[1]
    key = key.repeat_interleave(group_size, dim=1)
    value = value.repeat_interleave(group_size, dim=1)
    scores = query @ key.transpose(2, 3) * scaling
    if attention_mask is not None:
        scores = scores + attention_mask
    weights = nn.functional.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    weights = nn.functional.dropout(weights, p=dropout, training=module.training)
    return (weights @ value).transpose(1, 2).contiguous(), weights


def softcapped_eager_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    softcap: float = math.inf,
    **kwargs: Any,
) -> tuple[Tensor, Tensor]:
    """As plain attention, with scores s pressed into (-softcap, softcap) by softcap * tanh(s / softcap).

    Gemma 2 (Gemma Team 2024, arXiv:2408.00118, section 2). Shapes: query (batch, heads,
    time, head_dim), key and value (batch, kv_heads, time, head_dim), result (batch, time,
    heads, head_dim).
    """
    group_size = query.shape[1] // key.shape[1]
    key = key.repeat_interleave(group_size, dim=1)
    value = value.repeat_interleave(group_size, dim=1)
    scores = query @ key.transpose(2, 3) * scaling
    scores = softcap * torch.tanh(scores / softcap)
    if attention_mask is not None:
        scores = scores + attention_mask
    weights = nn.functional.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    weights = nn.functional.dropout(weights, p=dropout, training=module.training)
    return (weights @ value).transpose(1, 2).contiguous(), weights


def sink_eager_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    s_aux: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor]:
    """As plain attention, with one more score for each head, `s_aux`, that takes its share and has no value.

    Attention sinks (Xiao et al. 2023, arXiv:2309.17453, section 3.3), as in gpt-oss. Shapes: query
    (batch, heads, time, head_dim), key and value (batch, kv_heads, time, head_dim), `s_aux` (heads,),
    result (batch, time, heads, head_dim).
    """
    assert s_aux is not None, "the sinks are missing"
    group_size = query.shape[1] // key.shape[1]
    key = key.repeat_interleave(group_size, dim=1)
    value = value.repeat_interleave(group_size, dim=1)
    scores = query @ key.transpose(2, 3) * scaling
    if attention_mask is not None:
        scores = scores + attention_mask
    sinks = s_aux.view(1, -1, 1, 1).expand(*scores.shape[:3], 1)
    weights = nn.functional.softmax(torch.cat((scores, sinks), dim=-1), dim=-1, dtype=torch.float32)[..., :-1]
    weights = nn.functional.dropout(weights.to(query.dtype), p=dropout, training=module.training)
    return (weights @ value).transpose(1, 2).contiguous(), weights


class Attention(nn.Module):
    """Multi-head attention: softmax(q k^T / sqrt(head_dim)) v, then the output projection.

    Vaswani et al. 2017 (arXiv:1706.03762, section 3.2). With fewer key and value heads
    than query heads, groups of query heads share them: GQA (Ainslie et al. 2023,
    arXiv:2305.13245); with one, MQA (Shazeer 2019, arXiv:1911.02150).
    """

    def __init__(
        self,
        layer_idx: int,
        *,
        config: PreTrainedConfig,
        hidden_size: int,
        num_heads: int,
        num_kv_heads: int,
        head_dim: int,
        bias: bool = False,
        output_bias: bool | None = None,
        dropout: float = 0.0,
        rotary: bool = True,
        rope_layers: Sequence[int] | None = None,
        qk_norm: Callable[[], nn.Module] | None = None,
        q_norm: Callable[[], nn.Module] | None = None,
        k_norm: Callable[[], nn.Module] | None = None,
        sinks: bool = False,
        scaling: float | None = None,
        softcap: float | None = None,
        sliding_window: int | None = None,
        layer_types: Sequence[str] | None = None,
    ) -> None:
        """Takes the usual value for None: for `output_bias` that of `bias`, for `scaling` 1 / sqrt(head_dim).

        With a `sliding_window`, a position sees the last so many, itself included (Child et al.
        2019, arXiv:1904.10509): the mask that comes in says so, and implementations that work
        without a mask are told the window. `layer_types` says which layers have it: those that it
        calls "sliding_attention", not "full_attention". `softcap` presses scores s into
        softcap * tanh(s / softcap). `rope_layers` has 1 for each layer whose queries and keys turn,
        and 0 for each without positions. `qk_norm` is a norm of each head, `q_norm` and `k_norm` are
        norms over all heads together. With `sinks`, each head has a score that no position takes.
        """
        super().__init__()
        if num_heads % num_kv_heads:
            raise ValueError(f"{num_kv_heads} kv heads do not divide {num_heads} heads")
        if (q_norm is not None and (k_norm is None or qk_norm is not None)) or (k_norm is not None and q_norm is None):
            raise ValueError("give qk_norm, or q_norm and k_norm together")
        if sinks and softcap is not None:
            raise ValueError("sinks and softcap do not go together")
        self.config = config
        self.layer_idx = layer_idx
        self.head_dim = head_dim
        self.num_key_value_groups = num_heads // num_kv_heads
        self.scaling = scaling if scaling is not None else head_dim**-0.5
        self.attention_dropout = dropout
        self.is_causal = True
        self.rotary = rotary if rope_layers is None else bool(rope_layers[layer_idx])
        self.softcap = softcap
        if layer_types is None:
            self.sliding_window = sliding_window
        else:
            self.sliding_window = sliding_window if layer_types[layer_idx] == "sliding_attention" else None
        query_size = num_heads * head_dim
        kv_size = num_kv_heads * head_dim
        self.q_proj = nn.Linear(hidden_size, query_size, bias=bias)
        self.k_proj = nn.Linear(hidden_size, kv_size, bias=bias)
        self.v_proj = nn.Linear(hidden_size, kv_size, bias=bias)
        self.o_proj = nn.Linear(query_size, hidden_size, bias=output_bias if output_bias is not None else bias)
        self.norms_all_heads = q_norm is not None
        self.norms_each_head = qk_norm is not None
        if q_norm is not None and k_norm is not None:
            self.q_norm = q_norm()
            self.k_norm = k_norm()
        elif qk_norm is not None:
            # each head by itself, before they are compared (Dehghani et al. 2023, arXiv:2302.05442)
            self.q_norm = qk_norm()
            self.k_norm = qk_norm()
        self.has_sinks = sinks
        if sinks:
            self.sinks = nn.Parameter(torch.empty(num_heads))

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_embeddings: tuple[Tensor, Tensor] | None = None,
        past_key_values: Cache | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        batch_and_time = hidden_states.shape[:-1]
        by_head = (*batch_and_time, -1, self.head_dim)
        query, key = self.q_proj(hidden_states), self.k_proj(hidden_states)
        if self.norms_all_heads:
            query, key = self.q_norm(query), self.k_norm(key)
        query = query.view(by_head).transpose(1, 2)
        key = key.view(by_head).transpose(1, 2)
        value = self.v_proj(hidden_states).view(by_head).transpose(1, 2)
        if self.norms_each_head:
            query, key = self.q_norm(query), self.k_norm(key)
        if self.rotary:
            assert position_embeddings is not None, "the angles are missing"
            query = apply_rotary(query, *position_embeddings)
            key = apply_rotary(key, *position_embeddings)
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer_idx)
        if self.sliding_window is not None:
            kwargs["sliding_window"] = self.sliding_window
        if self.softcap is not None:
            kwargs["softcap"] = self.softcap
        if self.has_sinks:
            kwargs["s_aux"] = self.sinks

        attend = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation,
            sink_eager_attention
            if self.has_sinks
            else eager_attention
            if self.softcap is None
            else softcapped_eager_attention,
        )
        attended, weights = attend(
            self,
            query,
            key,
            value,
            attention_mask,
            dropout=self.attention_dropout if self.training else 0.0,
            scaling=self.scaling,
            **kwargs,
        )
        return self.o_proj(attended.reshape(*batch_and_time, -1)), weights
