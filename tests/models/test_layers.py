"""Layers against torch.nn, and against formulas written out."""

from functools import partial
from typing import Any

import pytest
import torch
from fgc_models.attention import Attention, softcapped_eager_attention
from fgc_models.feed_forward import MLP
from fgc_models.layers import DeepNetLayer, PostNormLayer, PreNormLayer, SandwichNormLayer
from fgc_models.norms import RMSNorm, ZeroCentredRMSNorm
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedConfig


class Doubled(nn.Module):
    """Stands for attention."""

    def forward(self, x: Tensor, **_: object) -> tuple[Tensor, None]:
        return 2 * x, None


def layer_of(kind: Any, **options: Any) -> Any:
    torch.manual_seed(0)
    layer = kind(
        0,
        attention=lambda _: Doubled(),
        feed_forward=lambda: nn.Linear(4, 4),
        norm=lambda: RMSNorm(4),
        **options,
    )
    for parameter in layer.parameters():
        nn.init.uniform_(parameter)
    return layer


@pytest.mark.parametrize("is_pre_norm", [True, False])
def test_pre_and_post_norm_are_those_of_torch(is_pre_norm: bool) -> None:
    torch.manual_seed(0)
    theirs = nn.TransformerEncoderLayer(
        32, 4, 64, dropout=0.0, activation="relu", batch_first=True, norm_first=is_pre_norm, bias=True
    )
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.3)
    config = PreTrainedConfig()
    config._attn_implementation = "sdpa"
    sizes: dict[str, Any] = {"hidden_size": 32, "num_heads": 4, "num_kv_heads": 4, "head_dim": 8}
    ours: Any = (PreNormLayer if is_pre_norm else PostNormLayer)(
        0,
        attention=partial(Attention, config=config, bias=True, rotary=False, **sizes),
        feed_forward=partial(MLP, hidden_size=32, intermediate_size=64, activation="relu"),
        norm=partial(nn.LayerNorm, 32),
    )
    weights = theirs.state_dict()
    found = {f"self_attn.o_proj.{part}": weights[f"self_attn.out_proj.{part}"] for part in ("weight", "bias")}
    for part in ("weight", "bias"):
        for name, value in zip("qkv", weights[f"self_attn.in_proj_{part}"].chunk(3), strict=True):
            found[f"self_attn.{name}_proj.{part}"] = value
        found[f"mlp.up_proj.{part}"] = weights[f"linear1.{part}"]
        found[f"mlp.down_proj.{part}"] = weights[f"linear2.{part}"]
        first, second = ("input", "post_attention") if is_pre_norm else ("post_attention", "post_feedforward")
        found[f"{first}_layernorm.{part}"] = weights[f"norm1.{part}"]
        found[f"{second}_layernorm.{part}"] = weights[f"norm2.{part}"]
    ours.load_state_dict(found)
    x = torch.randn(2, 7, 32)
    causal = nn.Transformer.generate_square_subsequent_mask(7)
    torch.testing.assert_close(ours(x), theirs(x, src_mask=causal, is_causal=True), atol=1e-5, rtol=1e-4)


def test_deepnet_weighs_the_residual_stream_by_the_fourth_root_of_twice_its_layers() -> None:
    layer = layer_of(DeepNetLayer, num_layers=8)
    x = torch.randn(2, 3, 4)
    h = layer.post_attention_layernorm(2.0 * x + 2 * x)  # (2 * 8) ** 0.25 = 2
    torch.testing.assert_close(layer(x), layer.post_feedforward_layernorm(2.0 * h + layer.mlp(h)))


def test_sandwich_norms_stand_on_both_sides_of_each_branch() -> None:
    layer = layer_of(SandwichNormLayer)
    x = torch.randn(2, 3, 4)
    h = x + layer.post_attention_layernorm(2 * layer.input_layernorm(x))
    inner = layer.mlp(layer.pre_feedforward_layernorm(h))
    torch.testing.assert_close(layer(x), h + layer.post_feedforward_layernorm(inner))


@pytest.mark.parametrize("kind", [PreNormLayer, PostNormLayer, SandwichNormLayer, partial(DeepNetLayer, num_layers=8)])
def test_dropout_acts_on_both_branches_and_not_on_the_residual_stream(kind: Any) -> None:
    seen: list[Tensor] = []

    class Removed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x)
            return torch.zeros_like(x)

    layer, x = layer_of(kind, dropout=Removed), torch.randn(2, 3, 4)
    found = layer(x)
    assert len(seen) == 2
    if kind in (PreNormLayer, SandwichNormLayer):
        assert torch.equal(found, x)
    else:
        alpha = 2.0 if kind not in (PostNormLayer,) else 1.0
        h = layer.post_attention_layernorm(alpha * x)
        torch.testing.assert_close(found, layer.post_feedforward_layernorm(alpha * h))


def test_plain_mlp_is_down_of_activated_up() -> None:
    mlp = MLP(hidden_size=4, intermediate_size=6, activation="gelu_new")
    x = torch.randn(3, 4)
    up = x @ mlp.up_proj.weight.T + mlp.up_proj.bias
    expected = functional.gelu(up, approximate="tanh") @ mlp.down_proj.weight.T + mlp.down_proj.bias
    torch.testing.assert_close(mlp(x), expected)


def test_zero_centred_rms_norm_is_rms_norm_with_one_added_to_its_weight() -> None:
    norm, plain = ZeroCentredRMSNorm(6), RMSNorm(6)
    nn.init.normal_(norm.weight)
    plain.weight.data = norm.weight.data + 1.0
    x = torch.randn(2, 6)
    torch.testing.assert_close(norm(x), plain(x))
    assert torch.equal(ZeroCentredRMSNorm(6).weight, torch.zeros(6))


def test_soft_capped_scores_stay_below_the_cap() -> None:
    torch.manual_seed(0)
    q, k, v = (10 * torch.randn(1, 2, 5, 8) for _ in range(3))
    found, weights = softcapped_eager_attention(nn.Module(), q, k, v, None, scaling=1.0, softcap=2.0)
    scores = q @ k.transpose(2, 3)
    expected = (2.0 * (scores / 2.0).tanh()).softmax(dim=-1)
    torch.testing.assert_close(weights, expected)
    torch.testing.assert_close(found, (expected @ v).transpose(1, 2))
    assert scores.max() > 100  # which would have been all of the weight
    assert weights.max() < 1.0
