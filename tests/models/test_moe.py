"""Mixtures of experts against the sums written out."""

from functools import partial

import pytest
import torch
from fgc_models.moe import (
    Experts,
    GroupedSigmoidRouter,
    LoadBalancingLoss,
    MixtureOfExperts,
    TopKRouter,
    share_of_items,
)
from torch import nn
from torch.nn import functional
from transformers import PreTrainedConfig


def mixture(implementation: str = "eager", *, normalize: bool = True) -> MixtureOfExperts:
    torch.manual_seed(0)
    config = PreTrainedConfig()
    config._experts_implementation = implementation
    experts = partial(Experts, config, num_experts=4, hidden_size=16, intermediate_size=8, activation="silu")
    router = partial(TopKRouter, hidden_size=16, num_experts=4, top_k=2, normalize=normalize)
    module = MixtureOfExperts(router=router, experts=experts)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module


@pytest.mark.parametrize("implementation", ["eager", "batched_mm", "grouped_mm"])
@pytest.mark.parametrize("normalize", [True, False])
def test_every_token_gets_the_weighted_sum_of_its_two_best_experts(implementation: str, normalize: bool) -> None:
    module = mixture(implementation, normalize=normalize)
    x = torch.randn(2, 5, 16)
    expected = torch.zeros(2, 5, 16)
    for batch, time in ((b, t) for b in range(2) for t in range(5)):
        token = x[batch, time]
        scores = torch.softmax(module.gate.weight @ token, dim=0)
        best = sorted(range(4), key=lambda expert: -scores[expert].item())[:2]
        total = sum(scores[expert] for expert in best) if normalize else 1.0
        for expert in best:
            gate, up = module.experts.gate_up_proj[expert].split(8)
            inner = functional.silu(gate @ token) * (up @ token)
            expected[batch, time] += scores[expert] / total * (module.experts.down_proj[expert] @ inner)
    torch.testing.assert_close(module(x), expected, atol=1e-5, rtol=1e-4)


def test_a_bias_decides_which_experts_of_the_best_groups_are_chosen_not_what_they_weigh() -> None:
    """DeepSeek-V3 (arXiv:2412.19437, section 2.1.2): of 3 groups the 2 with the best pair, of these the 3 best."""
    torch.manual_seed(0)
    router = GroupedSigmoidRouter(
        hidden_size=16, num_experts=9, top_k=3, num_groups=3, num_kept_groups=2, scaling=2.5, normalize=True
    )
    nn.init.normal_(router.weight)
    nn.init.normal_(router.e_score_correction_bias)
    x = torch.randn(20, 16)
    _, weights, chosen = router(x)
    for token, token_weights, token_chosen in zip(x, weights, chosen, strict=True):
        scores = torch.sigmoid(router.weight @ token).tolist()
        biased = [score + bias for score, bias in zip(scores, router.e_score_correction_bias.tolist(), strict=True)]
        pairs = [sum(sorted(biased[start : start + 3])[1:]) for start in (0, 3, 6)]
        worst = pairs.index(min(pairs))
        allowed = [expert for expert in range(9) if expert // 3 != worst]
        best = sorted(allowed, key=lambda expert: -biased[expert])[:3]
        assert set(token_chosen.tolist()) == set(best)
        total = sum(scores[expert] for expert in best)
        expected = [2.5 * scores[expert] / total for expert in token_chosen.tolist()]
        assert token_weights.tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_groups": 4}, "2 of 4 groups cannot be kept of 9 experts"),
        ({"num_groups": 9}, "2 of 9 groups cannot be kept of 9 experts"),
        ({"num_kept_groups": 4}, "4 of 3 groups cannot be kept"),
        ({"top_k": 7}, r"top_k \(7\) must be from 1 to the experts of 2 groups"),
    ],
    ids=["uneven groups", "groups of one", "too many groups", "too many experts"],
)
def test_groups_that_cannot_be_are_refused(changes: dict[str, int], message: str) -> None:
    sizes = {"hidden_size": 8, "num_experts": 9, "top_k": 3, "num_groups": 3, "num_kept_groups": 2}
    with pytest.raises(ValueError, match=message):
        GroupedSigmoidRouter(**{**sizes, **changes}, scaling=1.0)


def test_experts_have_the_packed_shapes_that_vllm_knows() -> None:
    shapes = {name: tuple(parameter.shape) for name, parameter in mixture().named_parameters()}
    assert shapes == {"gate.weight": (4, 16), "experts.gate_up_proj": (4, 16, 16), "experts.down_proj": (4, 16, 8)}


def test_more_experts_per_token_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match=r"top_k \(5\) must be from 1 to the number of experts \(4\)"):
        TopKRouter(hidden_size=8, num_experts=4, top_k=5)


def test_the_balancing_loss_is_k_where_all_experts_get_the_same() -> None:
    even = torch.eye(4) * 1e-3  # each token slightly prefers one expert, each expert one token
    loss = LoadBalancingLoss(4, top_k=1)((even,), None)
    assert loss.item() == pytest.approx(1.0, abs=1e-3)


def test_the_balancing_loss_grows_to_the_number_of_experts_where_one_gets_all() -> None:
    one = torch.tensor([[50.0, 0.0, 0.0, 0.0]]).repeat(6, 1)
    assert LoadBalancingLoss(4, top_k=1)((one,), None).item() == pytest.approx(4.0)


def test_the_balancing_loss_leaves_padding_out() -> None:
    torch.manual_seed(0)
    layers = tuple(torch.randn(6, 4) for _ in range(2))
    mask = torch.tensor([[1, 1, 0], [1, 1, 0]])
    kept = tuple(layer[[0, 1, 3, 4]] for layer in layers)
    loss = LoadBalancingLoss(4, top_k=2)
    torch.testing.assert_close(loss(layers, mask), loss(kept, None))


def test_parts_of_a_batch_share_the_balancing_loss_by_their_number_of_labels() -> None:
    labels = torch.tensor([[1, 2, 3, -100], [4, 5, -100, -100]])
    assert float(share_of_items(labels, 12)) == pytest.approx(3 / 12)
    assert share_of_items(labels, None) == 1.0
