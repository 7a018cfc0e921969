"""Checks how weights begin: spreads measured, coverage enforced."""

import gc
import sys
import weakref
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
import torch
from fgc_models.initializers import normal, ones, truncated_normal, uniform_fan_in, xavier_normal, zeros
from torch import Tensor, nn
from transformers import PreTrainedModel

Construct = Callable[..., PreTrainedModel]


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


RULES = """\
-- extends 'models/llama/llama-test.yaml'
[initializer]
.define: &initializer !partial:.initializers:Initializer
    rules:
        "layers.0.self_attn.?_proj.weight": !partial:.initializers:normal { std: 0.5 }
        "layers*norm.weight": !partial:.initializers:zeros
        "layers.1*": !partial:.initializers:normal { std: 0.25 }
        "*.[gu]*_proj.weight": !partial:.initializers:truncated_normal
            std: !call:operator:pow [ !var hidden_size, -0.5 ]
        "*.down_proj.weight": !partial:.initializers:uniform_fan_in {}
        "norm.weight": !partial:.initializers:ones
        "lm_head*": &near !partial:torch.nn.init:normal_ { std: !var initializer_range }
        "*.o_proj.*": *near
[model_code_generator]
    == super()
    name: ruled
"""
EXPECTED: dict[str, Callable[[Tensor], object]] = {  # the same, for `begin_by_table`
    "layers.0.self_attn.?_proj.weight": partial(normal, std=0.5),
    "layers*norm.weight": zeros,
    "layers.1*": partial(normal, std=0.25),
    "*.[gu]*_proj.weight": partial(truncated_normal, std=64**-0.5),
    "*.down_proj.weight": uniform_fan_in,
    "norm.weight": ones,
    "lm_head*": partial(nn.init.normal_, std=0.02),
    "*.o_proj.*": partial(nn.init.normal_, std=0.02),
    "*": partial(normal, std=1.0),
}


def begin_by_table(model: PreTrainedModel, rules: dict[str, Callable[[Tensor], object]]) -> None:
    """Fills each parameter by the first pattern that its name matches, in the order in which transformers would."""
    names = {module: name for name, module in model.named_modules()}
    torch.manual_seed(0)
    model.apply(lambda module: _fill(module, names[module].removeprefix("model."), rules))


def _fill(module: nn.Module, path: str, rules: dict[str, Callable[[Tensor], object]]) -> None:
    for name, parameter in module.named_parameters(path, recurse=False):
        with torch.no_grad():
            next(rule for pattern, rule in rules.items() if fnmatchcase(name, pattern))(parameter)


@pytest.fixture(scope="module")
def ruled(
    tmp_path_factory: pytest.TempPathFactory, write: Callable[[str, Path], None]
) -> Callable[[str], PreTrainedModel]:
    """The model whose weights begin by RULES and a text behind them."""

    def make(last: str) -> PreTrainedModel:
        folder = tmp_path_factory.mktemp("ruled")
        write(RULES.replace("[model_code_generator]", f"{last}\n[model_code_generator]"), folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(folder))
            for name in [name for name in sys.modules if name.startswith("ruled")]:
                del sys.modules[name]
            package = import_module("ruled")
        torch.manual_seed(0)
        model = package.RuledForCausalLM(package.RuledConfig())
        assert isinstance(model, PreTrainedModel)
        return model

    return make


def test_weights_begin_bit_for_bit_as_by_the_table(ruled: Callable[[str], PreTrainedModel]) -> None:
    model = ruled('        "*": !partial:.initializers:normal { std: 1.0 }')
    for item in (*model.modules(), *model.parameters()):
        item._is_hf_initialized = False  # type: ignore[union-attr]
    torch.manual_seed(0)
    model.initialize_weights()
    found = {name: parameter.clone() for name, parameter in model.state_dict().items()}
    for parameter in model.parameters():
        parameter._is_hf_initialized = False  # type: ignore[attr-defined]
    begin_by_table(model, EXPECTED)
    assert all(torch.equal(found[name], parameter) for name, parameter in model.state_dict().items())
    assert len({parameter.std().item() for parameter in found.values()}) > len(EXPECTED)


def test_the_names_of_modules_are_listed_once_and_not_for_each_module(
    ruled: Callable[[str], PreTrainedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ruled('        "*": !partial:.initializers:normal { std: 1.0 }')
    for item in (*model.modules(), *model.parameters()):
        item._is_hf_initialized = False  # type: ignore[union-attr]
    model._paths.clear()  # type: ignore[operator, union-attr]
    listed: list[object] = []
    names = nn.Module.named_modules
    monkeypatch.setattr(
        type(model), "named_modules", lambda self, *a, **given: listed.append(self) or names(self, *a, **given)
    )
    model.initialize_weights()
    assert 0 < len(listed) < 4 and len(list(model.modules())) > 20


def test_a_parameter_that_no_rule_matches_is_an_error(ruled: Callable[[str], PreTrainedModel]) -> None:
    with pytest.raises(ValueError, match="no rule of the initializer matches the parameter embed_tokens"):
        ruled("")


@pytest.mark.parametrize("architecture", ["gpt2", "deepone", "gemma", "mixtral"])
def test_a_model_keeps_no_module_alive_that_it_lost(construct: Construct, architecture: str) -> None:
    model = construct(architecture)
    layer = weakref.ref(model.model.layers[1])
    model.model.layers[1] = nn.Identity()
    gc.collect()
    assert layer() is None


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
