"""Components against independent formulas."""

import math
from functools import partial

import pytest
import torch
from fgc_models.attention import Attention
from fgc_models.feed_forward import GatedMLP
from fgc_models.layers import PreNormLayer
from fgc_models.norms import RMSNorm
from fgc_models.rotary import Llama3RotaryEmbedding, RotaryEmbedding, apply_rotary
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig, PreTrainedConfig
from transformers.cache_utils import DynamicCache
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

ROPE = {"rope_type": "default", "rope_theta": 10000.0}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def config(implementation: str = "sdpa") -> PreTrainedConfig:
    found = PreTrainedConfig()
    found._attn_implementation = implementation
    return found


def attention(num_kv_heads: int = 2, implementation: str = "sdpa", **options: object) -> Attention:
    sizes = {"hidden_size": 32, "num_heads": 4, "num_kv_heads": num_kv_heads, "head_dim": 16}
    return Attention(0, config=config(implementation), **{**sizes, **options})  # type: ignore[arg-type]


def angles(time: int, head_dim: int = 16) -> tuple[Tensor, Tensor]:
    return RotaryEmbedding(LlamaConfig(), head_dim, ROPE)(torch.zeros(1), torch.arange(time)[None])


def test_rms_norm_is_l2_normalisation_scaled_by_sqrt_of_the_size() -> None:
    x = torch.randn(3, 8)
    torch.testing.assert_close(RMSNorm(8, eps=0.0)(x), functional.normalize(x, dim=-1) * 8**0.5)


def test_rms_norm_multiplies_by_its_weight_and_adds_eps_under_the_root() -> None:
    norm = RMSNorm(4, eps=0.5)
    nn.init.uniform_(norm.weight)
    x = torch.randn(2, 4)
    expected = torch.stack([row / math.sqrt(row.pow(2).sum().item() / 4 + 0.5) for row in x]) * norm.weight
    torch.testing.assert_close(norm(x), expected)


def test_rotation_is_multiplication_by_a_unit_complex_number() -> None:
    states = torch.randn(2, 3, 5, 16)
    cos, sin = angles(5)
    turned = apply_rotary(states, cos, sin)
    numbers = torch.complex(states[..., :8], states[..., 8:])
    frequencies = 10000.0 ** (-torch.arange(8) / 8)
    phases = torch.arange(5)[:, None] * frequencies
    expected = numbers * torch.polar(torch.ones_like(phases), phases)
    torch.testing.assert_close(turned, torch.cat((expected.real, expected.imag), dim=-1))


def test_rotated_products_depend_only_on_the_distance() -> None:
    q, k = torch.randn(16), torch.randn(16)
    cos, sin = angles(50)
    qs, ks = (apply_rotary(x.expand(1, 1, 50, 16), cos, sin)[0, 0] for x in (q, k))
    torch.testing.assert_close(qs[10] @ ks[3], qs[47] @ ks[40])


def test_angles_of_far_positions_stay_exact_in_half_precision() -> None:
    far = torch.tensor([[100_000]])
    exact, _ = RotaryEmbedding(LlamaConfig(), 16, ROPE)(torch.zeros(1), far)
    half, _ = RotaryEmbedding(LlamaConfig(), 16, ROPE).to(torch.bfloat16)(torch.zeros(1, dtype=torch.bfloat16), far)
    torch.testing.assert_close(half, exact.to(torch.bfloat16), atol=0.0, rtol=0.0)


def test_llama3_frequencies_are_those_of_transformers() -> None:
    llama = LlamaConfig(
        hidden_size=64, num_attention_heads=4, max_position_embeddings=512, rope_parameters=dict(LLAMA3_ROPE)
    )
    expected, _ = ROPE_INIT_FUNCTIONS["llama3"](llama, torch.device("cpu"))
    torch.testing.assert_close(Llama3RotaryEmbedding(LlamaConfig(), 16, LLAMA3_ROPE).inv_freq, expected)


def test_odd_head_dim_is_refused_with_its_value() -> None:
    with pytest.raises(ValueError, match=r"head_dim \(7\) must be even"):
        RotaryEmbedding(LlamaConfig(), 7, ROPE)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("num_kv_heads", [1, 2, 4])
def test_attention_is_the_written_out_sum_over_earlier_positions(num_kv_heads: int, implementation: str) -> None:
    module = attention(num_kv_heads, implementation, rotary=False)
    x = torch.randn(2, 6, 32)
    mask = torch.full((6, 6), -math.inf).triu(1)[None, None] if implementation == "eager" else None
    q = module.q_proj(x).view(2, 6, 4, 16)
    k = module.k_proj(x).view(2, 6, num_kv_heads, 16)
    v = module.v_proj(x).view(2, 6, num_kv_heads, 16)
    expected = torch.zeros(2, 6, 4, 16)
    for b, h, t in ((b, h, t) for b in range(2) for h in range(4) for t in range(6)):
        shared = h * num_kv_heads // 4
        weights = torch.softmax(k[b, : t + 1, shared] @ q[b, t, h] / 4.0, dim=0)
        expected[b, t, h] = weights @ v[b, : t + 1, shared]
    actual, _ = module(x, attention_mask=mask)
    torch.testing.assert_close(actual, module.o_proj(expected.reshape(2, 6, 64)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"q_norm": nn.Identity}, "give qk_norm, or q_norm and k_norm together"),
        ({"k_norm": nn.Identity}, "give qk_norm, or q_norm and k_norm together"),
        ({"q_norm": nn.Identity, "k_norm": nn.Identity, "qk_norm": nn.Identity}, "give qk_norm, or q_norm and k_norm"),
        ({"sinks": True, "softcap": 30.0}, "sinks and softcap do not go together"),
    ],
)
def test_attention_refuses_what_does_not_go_together(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attention(**options)


def test_qk_norm_acts_on_each_head() -> None:
    norm = partial(RMSNorm, 16)
    module = attention(rotary=False, qk_norm=norm)
    x = torch.randn(1, 5, 32)
    scaled = attention(rotary=False, qk_norm=norm)
    scaled.load_state_dict(module.state_dict())
    with torch.no_grad():
        scaled.q_proj.weight *= 7.0
    torch.testing.assert_close(module(x)[0], scaled(x)[0])


def test_attention_with_a_cache_equals_attention_without() -> None:
    module = attention()
    x, (cos, sin) = torch.randn(1, 6, 32), angles(6)
    whole, _ = module(x, position_embeddings=(cos, sin))
    cache = DynamicCache()
    steps = [
        module(
            x[:, t : t + 1], position_embeddings=(cos[:, :, t : t + 1], sin[:, :, t : t + 1]), past_key_values=cache
        )[0]
        for t in range(6)
    ]
    torch.testing.assert_close(torch.cat(steps, dim=1), whole)


def test_heads_that_cannot_be_shared_evenly_are_refused() -> None:
    with pytest.raises(ValueError, match="3 kv heads do not divide 4 heads"):
        attention(num_kv_heads=3)


def test_bias_reaches_all_four_projections() -> None:
    names = {name for name, _ in attention(bias=True).named_parameters() if name.endswith("bias")}
    assert names == {"q_proj.bias", "k_proj.bias", "v_proj.bias", "o_proj.bias"}


@pytest.mark.parametrize(("name", "function"), [("silu", functional.silu), ("gelu", functional.gelu)])
def test_gated_mlp_is_down_of_activated_gate_times_up(name: str, function: object) -> None:
    mlp = GatedMLP(hidden_size=4, intermediate_size=6, activation=name)
    x = torch.randn(3, 4)
    gate, up = x @ mlp.gate_proj.weight.T, x @ mlp.up_proj.weight.T
    assert callable(function)
    torch.testing.assert_close(mlp(x), (function(gate) * up) @ mlp.down_proj.weight.T)


def test_pre_norm_layer_adds_each_branch_to_the_unnormalised_stream() -> None:
    class Doubled(nn.Module):
        def forward(self, x: Tensor, **_: object) -> tuple[Tensor, None]:
            return 2 * x, None

    layer = PreNormLayer(
        0, attention=lambda _: Doubled(), feed_forward=lambda: nn.Linear(4, 4), norm=lambda: RMSNorm(4)
    )
    x = torch.randn(2, 3, 4)
    h = x + 2 * layer.input_layernorm(x)
    torch.testing.assert_close(layer(x), h + layer.mlp(layer.post_attention_layernorm(h)))
