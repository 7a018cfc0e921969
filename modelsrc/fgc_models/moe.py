"""Mixture of experts: a router sends every token to a few of many feed-forward layers."""

# torch and transformers are typed in parts only; a module called is of type Any
# mypy: disable-error-code="no-any-return, no-untyped-call, untyped-decorator"

from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.integrations.moe import use_experts_implementation
from transformers.utils.output_capturing import CompileableContextVar

# a list that the routers of a forward pass add their logits to, layer by layer; None where nobody asked
recorded_logits = CompileableContextVar("recorded_logits")


class TopKRouter(nn.Module):
    """Scores of the experts, softmax(x W^T), and the k best of them with their scores.

    Shazeer et al. 2017 (arXiv:1701.06538, section 2.1). With `normalize`, the scores of a
    token's k experts sum to 1, as in Mixtral (Jiang et al. 2024, arXiv:2401.04088, section 2.1).
    """

    recorded_as = "router_logits"

    def __init__(self, *, hidden_size: int, num_experts: int, top_k: int, normalize: bool = True) -> None:
        super().__init__()
        if not 0 < top_k <= num_experts:
            raise ValueError(f"top_k ({top_k}) must be from 1 to the number of experts ({num_experts})")
        self.top_k = top_k
        self.normalize = normalize
        self.weight = nn.Parameter(torch.empty(num_experts, hidden_size))

    def forward(self, hidden_states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From (tokens, hidden_size): logits (tokens, experts); weights and indices (tokens, k)."""
        logits = nn.functional.linear(hidden_states, self.weight)
        if (recorded := recorded_logits.get()) is not None:
            recorded.append(logits)
        scores = nn.functional.softmax(logits, dim=-1, dtype=torch.float32)
        top_k_weights, top_k_index = scores.topk(self.top_k, dim=-1)
        if self.normalize:
            top_k_weights = top_k_weights / top_k_weights.sum(dim=-1, keepdim=True)
        return logits, top_k_weights, top_k_index


class GroupedSigmoidRouter(nn.Module):
    """The k experts with the best sigmoid(x W^T) + bias, and their sigmoids, which sum to `scaling`.

    DeepSeek-V3 (DeepSeek-AI 2024, arXiv:2412.19437, section 2.1.2, eq. 13 to 16). The bias decides
    which experts are chosen, not what they weigh: it evens out their load without a loss of its
    own. Only experts of the `num_kept_groups` best groups are chosen, a group by the sum of its
    two best. Computed in float32. With `normalize` false, the sigmoids are multiplied by `scaling`.
    Raises ValueError for groups of less than two experts, or of different sizes, or with too few.
    """

    recorded_as = "router_logits"
    kept_in_float32 = "e_score_correction_bias"
    e_score_correction_bias: Tensor

    def __init__(
        self,
        *,
        hidden_size: int,
        num_experts: int,
        top_k: int,
        num_groups: int,
        num_kept_groups: int,
        scaling: float,
        normalize: bool = True,
    ) -> None:
        super().__init__()
        if num_experts % num_groups or num_experts < 2 * num_groups or not 0 < num_kept_groups <= num_groups:
            raise ValueError(f"{num_kept_groups} of {num_groups} groups cannot be kept of {num_experts} experts")
        if not 0 < top_k <= num_experts // num_groups * num_kept_groups:
            raise ValueError(f"top_k ({top_k}) must be from 1 to the experts of {num_kept_groups} groups")
        self.top_k = top_k
        self.num_groups = num_groups
        self.num_kept_groups = num_kept_groups
        self.scaling = scaling
        self.normalize = normalize
        self.weight = nn.Parameter(torch.empty(num_experts, hidden_size))
        self.register_buffer("e_score_correction_bias", torch.zeros(num_experts))

    def init_buffers(self) -> None:
        """Fill the bias, unless a checkpoint did."""
        init.zeros_(self.e_score_correction_bias)

    def forward(self, hidden_states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From (tokens, hidden_size): logits (tokens, experts); weights and indices (tokens, k)."""
        logits = nn.functional.linear(hidden_states.float(), self.weight.float())
        scores = logits.sigmoid()
        biased = (scores + self.e_score_correction_bias).unflatten(-1, (self.num_groups, -1))
        group_scores = biased.topk(2, dim=-1).values.sum(dim=-1)
        kept = group_scores.topk(self.num_kept_groups, dim=-1, sorted=False).indices
        is_kept = torch.zeros_like(group_scores, dtype=torch.bool).scatter(1, kept, True)
        choosable = biased.masked_fill(~is_kept[..., None], -torch.inf).flatten(-2)
        top_k_index = choosable.topk(self.top_k, dim=-1, sorted=False).indices
        top_k_weights = scores.gather(1, top_k_index)
        if self.normalize:
            top_k_weights = top_k_weights / (top_k_weights.sum(dim=-1, keepdim=True) + 1e-20)
        return logits, top_k_weights * self.scaling, top_k_index


@use_experts_implementation
class Experts(nn.Module):
    """Gated feed-forward layers y = down(act(gate(x)) * up(x)), packed: one matrix holds those of all experts.

    Shapes: gate_up_proj (experts, 2 * intermediate_size, hidden_size), down_proj (experts,
    hidden_size, intermediate_size). `forward` is the plain way; by the decorator, transformers
    puts in faster ones (`set_experts_implementation`), and vLLM its own.
    """

    def __init__(
        self,
        config: PreTrainedConfig,
        *,
        num_experts: int,
        hidden_size: int,
        intermediate_size: int,
        activation: str,
    ) -> None:
        super().__init__()
        self.num_experts = num_experts
        self.gate_up_proj = nn.Parameter(torch.empty(num_experts, 2 * intermediate_size, hidden_size))
        self.down_proj = nn.Parameter(torch.empty(num_experts, hidden_size, intermediate_size))
        self.act_fn = ACT2FN[activation]

    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        """Weighted sum of the k experts of each token; hidden_states (tokens, hidden_size), the others (tokens, k)."""
        mixed = torch.zeros_like(hidden_states)
        for expert in range(self.num_experts):
            token, rank = torch.where(top_k_index == expert)
            gate, up = nn.functional.linear(hidden_states[token], self.gate_up_proj[expert]).chunk(2, dim=-1)
            transformed = nn.functional.linear(self.act_fn(gate) * up, self.down_proj[expert])
            weighted = transformed * top_k_weights[token, rank, None]
            mixed = mixed.index_add(0, token, weighted.to(mixed.dtype))
        return mixed


class MixtureOfExperts(nn.Module):
    """y = sum of weight_i * expert_i(x) over the experts i that the router chose (arXiv:2401.04088, section 2.1)."""

    def __init__(self, *, router: Callable[[], nn.Module], experts: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.gate = router()
        self.experts = experts()

    def forward(self, hidden_states: Tensor) -> Tensor:
        tokens = hidden_states.flatten(0, 1)
        _, top_k_weights, top_k_index = self.gate(tokens)
        return self.experts(tokens, top_k_index, top_k_weights).view_as(hidden_states)


class SharedMixtureOfExperts(nn.Module):
    """y = shared(x) + sum of weight_i * expert_i(x) over the experts i that the router chose.

    DeepSeekMoE (Dai et al. 2024, arXiv:2401.06066, eq. 9): `shared` sees every token.
    """

    def __init__(
        self,
        *,
        router: Callable[[], nn.Module],
        experts: Callable[[], nn.Module],
        shared: Callable[[], nn.Module],
    ) -> None:
        super().__init__()
        self.gate = router()
        self.experts = experts()
        self.shared_experts = shared()

    def forward(self, hidden_states: Tensor) -> Tensor:
        tokens = hidden_states.flatten(0, 1)
        _, top_k_weights, top_k_index = self.gate(tokens)
        routed = self.experts(tokens, top_k_index, top_k_weights).view_as(hidden_states)
        return routed + self.shared_experts(hidden_states)


class LoadBalancingLoss(nn.Module):
    """E * sum over experts of (share of the tokens it gets) * (its mean score): k if all get the same.

    Fedus et al. 2021 (arXiv:2101.03961, eq. 4 to 6), with k experts per token instead of one,
    over the tokens of all layers together.
    """

    def __init__(self, num_experts: int, top_k: int) -> None:
        super().__init__()
        self.num_experts = num_experts
        self.top_k = top_k

    def forward(self, router_logits: tuple[Tensor, ...], attention_mask: Tensor | dict[str, Tensor] | None) -> Tensor:
        """From logits (tokens, experts) of each layer; an attention mask (batch, time) leaves padding out.

        Masks of another shape, or one for each kind of layer, come from caches and know no padding.
        """
        scores = nn.functional.softmax(torch.cat(router_logits), dim=-1, dtype=torch.float32)
        chosen = torch.zeros_like(scores).scatter(1, scores.topk(self.top_k, dim=-1).indices, 1.0)
        if isinstance(attention_mask, Tensor) and attention_mask.dim() == 2:
            is_token = attention_mask.flatten().to(scores.dtype).repeat(len(router_logits))[:, None]
            num_tokens = is_token.sum()
            token_share = (chosen * is_token).sum(0) / num_tokens
            mean_score = (scores * is_token).sum(0) / num_tokens
        else:
            token_share, mean_score = chosen.mean(0), scores.mean(0)
        return self.num_experts * (token_share * mean_score).sum()


def require_gradient(model: nn.Module, router_logits: tuple[Tensor, ...]) -> None:
    """Raise ValueError if checkpointing cut the logits off from routers that learn, as the reentrant kind does."""
    routers = [module for module in model.modules() if hasattr(module, "recorded_as")]
    learn = any(parameter.requires_grad for router in routers for parameter in router.parameters())
    if learn and not any(logits.requires_grad for logits in router_logits):
        raise ValueError(
            "reentrant checkpointing keeps the balancing loss from the routers: "
            'gradient_checkpointing_enable({"use_reentrant": False}) does not'
        )


def share_of_items(labels: Tensor, num_items_in_batch: int | Tensor | None) -> Tensor | float:
    """The part that these labels are of all items of an optimizer step, which may add up several losses."""
    if num_items_in_batch is None:
        return 1.0
    return (labels[..., 1:] != -100).sum() / num_items_in_batch
