"""Angles of positions against transformers' formulas, and against formulas written out."""

import math
from typing import Any

import pytest
import torch
from fgc_models.rotary import (
    DynamicRotaryEmbedding,
    LinearRotaryEmbedding,
    Llama3RotaryEmbedding,
    LongRotaryEmbedding,
    RotaryEmbedding,
    YarnRotaryEmbedding,
    apply_rotary,
)
from torch import Tensor
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

HEAD_DIM = 16
MAX_POSITIONS = 512
LONG = {"short_factor": [1.0 + 0.1 * i for i in range(8)], "long_factor": [2.0 + i for i in range(8)]}
PARAMETERS: dict[str, dict[str, Any]] = {
    "linear": {"factor": 4.0},
    "dynamic": {"factor": 4.0},
    "yarn": {"factor": 8.0, "original_max_position_embeddings": 64},
    "yarn untruncated": {"factor": 8.0, "original_max_position_embeddings": 64, "truncate": False, "beta_fast": 4.0},
    "yarn mscale": {"factor": 8.0, "original_max_position_embeddings": 64, "mscale": 0.7, "mscale_all_dim": 1.0},
    "llama3": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    },
    "longrope": {**LONG, "original_max_position_embeddings": 64},
}
CLASSES = {
    "linear": LinearRotaryEmbedding,
    "yarn": YarnRotaryEmbedding,
    "llama3": Llama3RotaryEmbedding,
    "dynamic": DynamicRotaryEmbedding,
    "longrope": LongRotaryEmbedding,
}


def parameters(name: str) -> dict[str, Any]:
    return {"rope_type": name.split()[0], "rope_theta": 10000.0, **PARAMETERS[name]}


def embedding(name: str) -> RotaryEmbedding:
    kind = name.split()[0]
    more = (MAX_POSITIONS,) if kind in ("dynamic", "longrope") else ()
    return CLASSES[kind](LlamaConfig(), HEAD_DIM, parameters(name), *more)


def positions(length: int) -> Tensor:
    return torch.arange(length)[None]


def complex_angles(rotary: RotaryEmbedding, length: int) -> Tensor:
    """e^(i angle) times the attention factor: (length, head_dim / 2)."""
    cos, sin = rotary(torch.zeros(1), positions(length))
    return torch.complex(cos, sin)[0, 0]


@pytest.mark.parametrize("length", [30, 700])
@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_cosine_and_sine_are_those_of_transformers(name: str, length: int) -> None:
    config = LlamaConfig(
        hidden_size=64,
        num_attention_heads=4,
        max_position_embeddings=MAX_POSITIONS,
        rope_parameters=parameters(name),
    )
    inv_freq, factor = ROPE_INIT_FUNCTIONS[name.split()[0]](config, torch.device("cpu"), seq_len=length)
    angles = positions(length)[0, :, None] * inv_freq
    torch.testing.assert_close(
        complex_angles(embedding(name), length), torch.polar(torch.full_like(angles, factor), angles), atol=1e-4, rtol=0
    )


def test_linear_positions_are_those_of_a_shorter_sequence() -> None:
    plain = RotaryEmbedding(LlamaConfig(), HEAD_DIM, {"rope_type": "default", "rope_theta": 10000.0})
    torch.testing.assert_close(complex_angles(embedding("linear"), 40)[::4], complex_angles(plain, 10))


def test_dynamic_positions_are_plain_up_to_the_context_and_keep_the_slowest_channel_within_it_beyond() -> None:
    plain = RotaryEmbedding(LlamaConfig(), HEAD_DIM, {"rope_type": "default", "rope_theta": 10000.0})
    torch.testing.assert_close(
        complex_angles(embedding("dynamic"), MAX_POSITIONS), complex_angles(plain, MAX_POSITIONS)
    )
    slowest = complex_angles(embedding("dynamic"), 2 * MAX_POSITIONS)[1, -1]
    stretch = 4.0 * 2 - 3.0  # NTK-aware scaling slows the slowest channel by just this
    assert slowest.angle().item() == pytest.approx(10000.0 ** (-14 / 16) / stretch)


def test_yarn_slows_seldom_turning_channels_keeps_often_turning_ones_and_sharpens() -> None:
    once = complex_angles(embedding("yarn"), 2)[1]
    assert once.abs().tolist() == pytest.approx([0.1 * math.log(8.0) + 1.0] * 8)
    assert once[0].angle().item() == pytest.approx(1.0)
    assert once[-1].angle().item() == pytest.approx(10000.0 ** (-14 / 16) / 8.0)


def test_longrope_changes_its_divisors_where_a_sequence_outgrows_the_original_context() -> None:
    rotary = embedding("longrope")
    for length, divisors in ((64, LONG["short_factor"]), (65, LONG["long_factor"])):
        found = complex_angles(rotary, length)[1].angle()
        expected = torch.tensor([10000.0 ** (-2 * i / 16) / divisors[i] for i in range(8)])
        torch.testing.assert_close(found, expected)
    assert complex_angles(rotary, 2).abs()[0, 0].item() == pytest.approx(math.sqrt(1 + math.log(8) / math.log(64)))


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_frequencies_survive_half_precision_and_uninitialised_buffers(name: str) -> None:
    rotary, loaded = embedding(name), embedding(name).to(torch.bfloat16)
    loaded.inv_freq.fill_(7.0)
    loaded.init_buffers()
    assert loaded.inv_freq.dtype == torch.float32
    assert torch.equal(loaded.inv_freq, rotary.inv_freq)


@pytest.mark.parametrize("length", [30, 700])
@pytest.mark.parametrize("name", ["default", *sorted(PARAMETERS), "proportional"])
def test_a_class_computes_another_type_by_the_formula_of_transformers(name: str, length: int) -> None:
    kind = name.split()[0]
    given = {"rope_type": kind, "rope_theta": 10000.0, **PARAMETERS.get(name, {}), "partial_rotary_factor": 1.0}
    config = LlamaConfig(head_dim=HEAD_DIM, max_position_embeddings=MAX_POSITIONS)
    own = (
        embedding(name) if name in PARAMETERS else RotaryEmbedding(config, HEAD_DIM, {**given, "rope_type": "default"})
    )
    plain, llama3 = RotaryEmbedding(config, HEAD_DIM, given), Llama3RotaryEmbedding(config, HEAD_DIM, given)
    for other in (plain, llama3):
        torch.testing.assert_close(complex_angles(other, length), complex_angles(own, length), atol=1e-4, rtol=0)
    assert config.rope_parameters["rope_type"] == "default"


def test_a_type_that_nobody_computes_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match="rope_type is 'spiral'; transformers knows default, linear, "):
        RotaryEmbedding(LlamaConfig(), HEAD_DIM, {"rope_type": "spiral", "rope_theta": 1e4})


@pytest.mark.parametrize("kind", ["default", "yarn"])
def test_a_part_of_the_channels_turns_by_the_angles_of_a_smaller_head_and_the_rest_is_kept(kind: str) -> None:
    given = {"rope_type": kind, "rope_theta": 10000.0, **PARAMETERS.get(kind, {})}
    rotary_class = CLASSES.get(kind, RotaryEmbedding)
    part = rotary_class(LlamaConfig(), HEAD_DIM, {**given, "partial_rotary_factor": 0.5})
    whole = rotary_class(LlamaConfig(), HEAD_DIM // 2, given)
    assert torch.equal(complex_angles(part, 40), complex_angles(whole, 40))
    states = torch.randn(2, 3, 40, HEAD_DIM, generator=torch.Generator().manual_seed(0))
    turned = apply_rotary(states, *part(states, positions(40)))
    assert torch.equal(turned[..., :8], apply_rotary(states[..., :8], *whole(states, positions(40))))
    assert torch.equal(turned[..., 8:], states[..., 8:])


def test_longrope_divisors_of_the_wrong_number_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must have head_dim / 2 \(4\) numbers each"):
        LongRotaryEmbedding(LlamaConfig(), 8, parameters("longrope"), MAX_POSITIONS)
