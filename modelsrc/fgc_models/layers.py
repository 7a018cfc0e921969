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
    figure 1b). What the branches add is multiplied by `residual_scale`, as in Granite. The
    first `num_dense_layers` have a feed-forward part of their own, as in DeepSeek-V3.
    """

    def __init__(
        self,
        layer_idx: int,
        *,
        attention: Callable[[int], nn.Module],
        feed_forward: Callable[[], nn.Module],
        norm: Callable[[], nn.Module],
        dropout: Callable[[], nn.Module] | None = None,
        residual_scale: float | None = None,
        dense_feed_forward: Callable[[], nn.Module] | None = None,
        num_dense_layers: int = 0,
    ) -> None:
        super().__init__()
        self.residual_scale = residual_scale
        self.self_attn = attention(layer_idx)
        self.mlp = (
            dense_feed_forward() if dense_feed_forward is not None and layer_idx < num_dense_layers else feed_forward()
        )
        self.input_layernorm = norm()
        self.post_attention_layernorm = norm()
        self.dropout = dropout() if dropout is not None else None

    def forward(self, hidden_states: Tensor, **kwargs: Any) -> Tensor:
        attended, _ = self.self_attn(self.input_layernorm(hidden_states), **kwargs)
        if self.dropout is not None:
            attended = self.dropout(attended)
        if self.residual_scale is not None:
            attended = attended * self.residual_scale
        hidden_states = hidden_states + attended
        transformed = self.mlp(self.post_attention_layernorm(hidden_states))
        if self.dropout is not None:
            transformed = self.dropout(transformed)
        if self.residual_scale is not None:
            transformed = transformed * self.residual_scale
        return hidden_states + transformed


class PostNormLayer(GradientCheckpointingLayer):
    """h = norm(x + attention(x)); y = norm(h + feed_forward(h)).

    The original Transformer (Vaswani et al. 2017, arXiv:1706.03762, section 3.1).
    """

    def __init__(
        self,
        layer_idx: int,
        *,
        attention: Callable[[int], nn.Module],
        feed_forward: Callable[[], nn.Module],
        norm: Callable[[], nn.Module],
        dropout: Callable[[], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.self_attn = attention(layer_idx)
        self.mlp = feed_forward()
        self.post_attention_layernorm = norm()
        self.post_feedforward_layernorm = norm()
        self.dropout = dropout() if dropout is not None else None

    def forward(self, hidden_states: Tensor, **kwargs: Any) -> Tensor:
        attended, _ = self.self_attn(hidden_states, **kwargs)
        if self.dropout is not None:
            attended = self.dropout(attended)
        hidden_states = self.post_attention_layernorm(hidden_states + attended)
        transformed = self.mlp(hidden_states)
        if self.dropout is not None:
            transformed = self.dropout(transformed)
        return self.post_feedforward_layernorm(hidden_states + transformed)


class DeepNetLayer(GradientCheckpointingLayer):
    """h = norm(alpha * x + attention(x)); y = norm(alpha * h + feed_forward(h)).

    Post-norm that stays stable over a thousand layers (Wang et al. 2022, arXiv:2203.00555,
    section 2.2). A decoder of M layers takes alpha = (2 M)^(1/4), and begins with feed-forward,
    value and output weights scaled by beta = (8 M)^(-1/4).
    """

    def __init__(
        self,
        layer_idx: int,
        *,
        attention: Callable[[int], nn.Module],
        feed_forward: Callable[[], nn.Module],
        norm: Callable[[], nn.Module],
        num_layers: int,
        dropout: Callable[[], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.self_attn = attention(layer_idx)
        self.mlp = feed_forward()
        self.post_attention_layernorm = norm()
        self.post_feedforward_layernorm = norm()
        self.dropout = dropout() if dropout is not None else None
        self.alpha = (2 * num_layers) ** 0.25

    def forward(self, hidden_states: Tensor, **kwargs: Any) -> Tensor:
        attended, _ = self.self_attn(hidden_states, **kwargs)
        if self.dropout is not None:
            attended = self.dropout(attended)
        hidden_states = self.post_attention_layernorm(self.alpha * hidden_states + attended)
        transformed = self.mlp(hidden_states)
        if self.dropout is not None:
            transformed = self.dropout(transformed)
        return self.post_feedforward_layernorm(self.alpha * hidden_states + transformed)


class SandwichNormLayer(GradientCheckpointingLayer):
    """h = x + norm(attention(norm(x))); y = h + norm(feed_forward(norm(h))).

    Norms on both sides of each branch (Ding et al. 2021, arXiv:2105.13290, section 2.4), as
    in Gemma 2.
    """

    def __init__(
        self,
        layer_idx: int,
        *,
        attention: Callable[[int], nn.Module],
        feed_forward: Callable[[], nn.Module],
        norm: Callable[[], nn.Module],
        dropout: Callable[[], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.self_attn = attention(layer_idx)
        self.mlp = feed_forward()
        self.input_layernorm = norm()
        self.post_attention_layernorm = norm()
        self.pre_feedforward_layernorm = norm()
        self.post_feedforward_layernorm = norm()
        self.dropout = dropout() if dropout is not None else None

    def forward(self, hidden_states: Tensor, **kwargs: Any) -> Tensor:
        attended, _ = self.self_attn(self.input_layernorm(hidden_states), **kwargs)
        attended = self.post_attention_layernorm(attended)
        if self.dropout is not None:
            attended = self.dropout(attended)
        hidden_states = hidden_states + attended
        transformed = self.mlp(self.pre_feedforward_layernorm(hidden_states))
        transformed = self.post_feedforward_layernorm(transformed)
        if self.dropout is not None:
            transformed = self.dropout(transformed)
        return hidden_states + transformed


class OutputNormLayer(GradientCheckpointingLayer):
    """h = x + norm(attention(x)); y = h + norm(feed_forward(h)).

    Norms of what each branch adds, and none before it, as in OLMo 2 (Team OLMo 2025,
    arXiv:2501.00656, section 3.3; Liu et al. 2022, arXiv:2111.09883, section 3.2).
    """

    def __init__(
        self,
        layer_idx: int,
        *,
        attention: Callable[[int], nn.Module],
        feed_forward: Callable[[], nn.Module],
        norm: Callable[[], nn.Module],
        dropout: Callable[[], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.self_attn = attention(layer_idx)
        self.mlp = feed_forward()
        self.post_attention_layernorm = norm()
        self.post_feedforward_layernorm = norm()
        self.dropout = dropout() if dropout is not None else None

    def forward(self, hidden_states: Tensor, **kwargs: Any) -> Tensor:
        attended, _ = self.self_attn(hidden_states, **kwargs)
        attended = self.post_attention_layernorm(attended)
        if self.dropout is not None:
            attended = self.dropout(attended)
        hidden_states = hidden_states + attended
        transformed = self.post_feedforward_layernorm(self.mlp(hidden_states))
        if self.dropout is not None:
            transformed = self.dropout(transformed)
        return hidden_states + transformed
