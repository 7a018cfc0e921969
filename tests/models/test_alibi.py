"""Linear biases against the paper's slopes, and against the sum written out."""

import math

import pytest
import torch
from fgc_models.alibi import AlibiBias, alibi_slopes
from torch import Tensor


def test_slopes_of_eight_heads_halve_from_one_half() -> None:
    assert alibi_slopes(8).tolist() == [2.0**-i for i in range(1, 9)]


def test_slopes_of_sixteen_heads_are_the_geometric_sequence_of_the_paper() -> None:
    torch.testing.assert_close(alibi_slopes(16), torch.tensor([2 ** (-8 * i / 16) for i in range(1, 17)]))


def test_slopes_of_twelve_heads_are_those_of_eight_and_every_second_of_sixteen() -> None:
    assert alibi_slopes(12).tolist() == alibi_slopes(8).tolist() + alibi_slopes(16).tolist()[::2][:4]


@pytest.mark.parametrize("num_heads", [1, 2, 3, 6])
def test_there_is_one_slope_for_every_head(num_heads: int) -> None:
    assert alibi_slopes(num_heads).shape == (num_heads,)
    assert len(set(alibi_slopes(num_heads).tolist())) == num_heads


def causal(num_queries: int, num_keys: int, kind: str) -> Tensor:
    seen = torch.ones(num_queries, num_keys, dtype=torch.bool).tril(num_keys - num_queries)[None, None]
    return seen if kind == "bool" else torch.where(seen, 0.0, torch.finfo(torch.float32).min)


@pytest.mark.parametrize("kind", ["bool", "float"])
def test_the_bias_is_the_slope_times_the_distance_and_unseen_keys_stay_unseen(kind: str) -> None:
    bias = AlibiBias(2)(causal(3, 5, kind), torch.float32, 2)
    assert bias.shape == (1, 2, 3, 5)
    for head, slope in enumerate((2.0**-4, 2.0**-8)):
        for query in range(3):
            row = bias[0, head, query].tolist()
            position = query + 2
            assert row[: position + 1] == [-slope * (position - key) for key in range(position + 1)]
            assert all(value < -1e38 for value in row[position + 1 :])


def test_padding_is_not_brought_back_by_the_bias() -> None:
    mask = causal(4, 4, "bool").clone()
    mask[..., 0] = False
    weights = (AlibiBias(2)(mask, torch.float32, 0) + 0.0).softmax(dim=-1)
    assert weights[..., 1:, 0].max() == 0.0


def test_slopes_survive_half_precision_and_uninitialised_buffers() -> None:
    module = AlibiBias(12).to(torch.bfloat16)
    module.slopes.fill_(math.nan)
    module.init_buffers()
    assert torch.equal(module.slopes, alibi_slopes(12))


def test_an_implementation_without_a_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="choose attn_implementation eager or sdpa"):
        AlibiBias(2)(None, torch.float32, 0)
