"""Transformer layers: how attention, feed-forward, norms and the residual stream are joined."""

# a module called is of type Any, and transformers is typed in parts only
# mypy: disable-error-code="no-any-return, no-untyped-call"

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer


class PreNormLayer(GradientCheckpointingLayer):
    """h = x + attention(norm(x)); y = h + feed_forward(norm(h)).

    The residual stream itself is never normalised (Xiong et al. 2020, arXiv:2002.04745,
    figure 1b).
    """

    def __init__(
        self,
        layer_idx: int,
        *,
        attention: Callable[[int], nn.Module],
        feed_forward: Callable[[], nn.Module],
        norm: Callable[[], nn.Module],
    ) -> None:
        super().__init__()
        self.self_attn = attention(layer_idx)
        self.mlp = feed_forward()
        self.input_layernorm = norm()
        self.post_attention_layernorm = norm()

    def forward(self, hidden_states: Tensor, **kwargs: Any) -> Tensor:
        attended, _ = self.self_attn(self.input_layernorm(hidden_states), **kwargs)
        hidden_states = hidden_states + attended
        return hidden_states + self.mlp(self.post_attention_layernorm(hidden_states))
