"""How weights begin: spreads measured, coverage enforced."""

from collections.abc import Callable

import pytest
import torch
from fgc_models.initializers import (
    Initializer,
    normal,
    truncated_normal,
    uniform_fan_in,
    xavier_normal,
    zeros,
)
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

Construct = Callable[..., PreTrainedModel]


class TinyModel(PreTrainedModel):
    base_model_prefix = "model"

    def __init__(self) -> None:
        super().__init__(PreTrainedConfig())
        self.up = nn.Linear(3, 2)
        self.norm = nn.LayerNorm(2)


def filled(rule: Callable[..., None], **options: float) -> Tensor:
    torch.manual_seed(0)
    matrix = torch.empty(200, 300)
    rule(matrix, **options)
    return matrix


def test_normal_has_the_given_spread() -> None:
    assert filled(normal, std=0.3).std().item() == pytest.approx(0.3, rel=0.02)


def test_truncated_normal_is_cut_at_so_many_standard_deviations() -> None:
    matrix = filled(truncated_normal, std=0.3, cutoff=1.0)
    assert matrix.abs().max().item() == pytest.approx(0.3, rel=0.01)


def test_uniform_fan_in_ends_at_one_over_the_root_of_the_inputs() -> None:
    matrix = filled(uniform_fan_in)
    assert matrix.abs().max().item() == pytest.approx(300**-0.5, rel=0.01)
    assert matrix.std().item() == pytest.approx(300**-0.5 / 3**0.5, rel=0.02)


def test_xavier_spreads_by_inputs_and_outputs_and_gain() -> None:
    assert filled(xavier_normal, gain=0.5).std().item() == pytest.approx(0.5 * (2 / 500) ** 0.5, rel=0.02)


def test_the_first_pattern_that_matches_is_used() -> None:
    model = TinyModel()
    initializer = Initializer({"up.bias": lambda p: p.data.fill_(5.0), "up.*": zeros, "*": lambda p: p.data.fill_(7.0)})
    initializer.check(model)
    for module in model.modules():
        initializer(model, module)
    assert [p.unique().tolist() for p in (model.up.weight, model.up.bias, model.norm.weight)] == [[0.0], [5.0], [7.0]]


def test_a_parameter_that_no_pattern_matches_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"matches the parameter up.bias; `\*` would match any"):
        Initializer({"*weight": zeros}).check(TinyModel())


def test_a_pattern_that_is_left_with_no_parameter_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"pattern 'norm\.bias' is left with no parameter"):
        Initializer({"*": zeros, "norm.bias": zeros}).check(TinyModel())


def test_gpt2_begins_with_smaller_residual_weights(construct: Construct) -> None:
    model = construct("gpt2")
    layer = model.model.layers[1]
    assert layer.self_attn.q_proj.weight.std().item() == pytest.approx(0.02, rel=0.05)
    for projection in (layer.self_attn.o_proj, layer.mlp.down_proj):
        assert projection.weight.std().item() == pytest.approx(0.02 / 2, rel=0.05)  # sqrt(2 * 2 layers)
        assert not projection.bias.any()
    assert torch.equal(layer.input_layernorm.weight, torch.ones(64))


def test_deepone_begins_with_beta_in_feed_forward_value_and_output(construct: Construct) -> None:
    model = construct("deepone")
    layer = model.model.layers[2]
    beta = (8 * 4) ** -0.25
    expected = {
        "self_attn.q_proj": (2 / (48 + 48)) ** 0.5,
        "self_attn.v_proj": beta * (2 / (48 + 16)) ** 0.5,
        "self_attn.o_proj": beta * (2 / (48 + 48)) ** 0.5,
        "mlp.up_proj": beta * (2 / (48 + 96)) ** 0.5,
    }
    for name, std in expected.items():
        assert layer.get_submodule(name).weight.std().item() == pytest.approx(std, rel=0.1), name
    assert model.lm_head.weight.std().item() == pytest.approx((2 / (48 + 256)) ** 0.5, rel=0.05)


def test_gemma_norms_begin_at_zero_and_the_row_of_the_padding_token_too(construct: Construct) -> None:
    model = construct("gemma")
    assert not model.model.layers[0].input_layernorm.weight.any()
    assert not model.model.embed_tokens.weight[0].any()
    assert model.model.embed_tokens.weight[1].any()


def test_new_tokens_of_a_resized_model_are_filled_and_old_ones_kept(construct: Construct) -> None:
    model = construct("gpt2")
    before = model.model.embed_tokens.weight.detach().clone()
    model.resize_token_embeddings(300, mean_resizing=False)
    after = model.model.embed_tokens.weight
    assert torch.equal(after[:256], before)
    assert after[256:].std().item() == pytest.approx(0.02, rel=0.1)
    assert model.lm_head.weight is after
