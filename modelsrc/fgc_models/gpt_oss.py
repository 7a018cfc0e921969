"""The mixture of experts of gpt-oss: a router with a bias, and experts with biases and a clamped activation."""

# torch and transformers are typed in parts only; a module called is of type Any
# mypy: disable-error-code="no-any-return, no-untyped-call, untyped-decorator"

from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers.integrations.moe import use_experts_implementation

from fgc_models.moe import recorded_logits


class BiasedTopKRouter(nn.Module):
    """Scores x W^T + b of the experts, and the k best of them with the softmax over these k.

    gpt-oss (OpenAI 2025, arXiv:2508.10925, section 2.2).
    """

    recorded_as = "router_logits"

    def __init__(self, *, hidden_size: int, num_experts: int, top_k: int) -> None:
        super().__init__()
        if not 0 < top_k <= num_experts:
            raise ValueError(f"top_k ({top_k}) must be from 1 to the number of experts ({num_experts})")
        self.top_k = top_k
        self.weight = nn.Parameter(torch.empty(num_experts, hidden_size))
        self.bias = nn.Parameter(torch.empty(num_experts))

    def forward(self, hidden_states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From (tokens, hidden_size): logits (tokens, experts); weights and indices (tokens, k)."""
        logits = nn.functional.linear(hidden_states, self.weight, self.bias)
        if (recorded := recorded_logits.get()) is not None:
            recorded.append(logits)
        best, top_k_index = logits.topk(self.top_k, dim=-1)
        return logits, nn.functional.softmax(best, dim=-1), top_k_index


@use_experts_implementation(is_concatenated=False, is_transposed=True, has_bias=True)
class ClampedExperts(nn.Module):
    """y = down((up(x) + 1) * g * sigmoid(alpha * g)), g = gate(x), clamped: g <= limit, -limit <= up(x) <= limit.

    gpt-oss (OpenAI 2025, arXiv:2508.10925, section 2.2). Packed: one matrix holds those of all
    experts, gate and up by turns. Shapes: gate_up_proj (experts, hidden_size, 2 * intermediate_size),
    down_proj (experts, intermediate_size, hidden_size).
    """

    def __init__(
        self,
        config: PreTrainedConfig,
        *,
        num_experts: int,
        hidden_size: int,
        intermediate_size: int,
        alpha: float,
        limit: float,
    ) -> None:
        super().__init__()
        self.num_experts = num_experts
        self.gate_up_proj = nn.Parameter(torch.empty(num_experts, hidden_size, 2 * intermediate_size))
        self.gate_up_proj_bias = nn.Parameter(torch.empty(num_experts, 2 * intermediate_size))
        self.down_proj = nn.Parameter(torch.empty(num_experts, intermediate_size, hidden_size))
        self.down_proj_bias = nn.Parameter(torch.empty(num_experts, hidden_size))
        self.alpha = alpha
        self.limit = limit

    def _apply_gate(self, gate_up: Tensor) -> Tensor:
        """The activation; transformers' faster implementations call it by this name."""
        gate = gate_up[..., ::2].clamp(max=self.limit)
        up = gate_up[..., 1::2].clamp(min=-self.limit, max=self.limit)
        return (up + 1.0) * gate * torch.sigmoid(self.alpha * gate)

    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        """Weighted sum of the k experts of each token; hidden_states (tokens, hidden_size), the others (tokens, k)."""
        mixed = torch.zeros_like(hidden_states)
        for expert in range(self.num_experts):
            token, rank = torch.where(top_k_index == expert)
            gate_up = hidden_states[token] @ self.gate_up_proj[expert] + self.gate_up_proj_bias[expert]
            transformed = self._apply_gate(gate_up) @ self.down_proj[expert] + self.down_proj_bias[expert]
            weighted = transformed * top_k_weights[token, rank, None]
            mixed = mixed.index_add(0, token, weighted.to(mixed.dtype))
        return mixed


class RoutedExperts(nn.Module):
    """y = sum of weight_i * expert_i(x) over the experts i that the router chose."""

    def __init__(self, *, router: Callable[[], nn.Module], experts: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.router = router()
        self.experts = experts()

    def forward(self, hidden_states: Tensor) -> Tensor:
        tokens = hidden_states.flatten(0, 1)
        _, top_k_weights, top_k_index = self.router(tokens)
        return self.experts(tokens, top_k_index, top_k_weights).view_as(hidden_states)
