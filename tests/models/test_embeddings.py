"""Embeddings against formulas written out."""

import math

import pytest
import torch
from fgc_models.embeddings import LearnedPositions, ScaledEmbedding, SinusoidalPositions


def test_scaled_embeddings_are_rows_times_the_scale() -> None:
    module = ScaledEmbedding(10, 4, scale=3.0)
    torch.testing.assert_close(module(torch.tensor([[7, 2]])), module.weight[[7, 2]][None] * 3.0)


def test_the_scale_is_rounded_as_the_weight_is() -> None:
    module = ScaledEmbedding(10, 4, scale=math.sqrt(3072)).to(torch.bfloat16)
    expected = module.weight[3] * torch.tensor(55.5, dtype=torch.bfloat16)
    assert torch.equal(module(torch.tensor(3)), expected)


def test_learned_positions_are_rows() -> None:
    module = LearnedPositions(8, 4)
    assert torch.equal(module(torch.tensor([[0, 5]])), module.weight[[0, 5]][None])


def test_sinusoidal_positions_are_sines_and_cosines_in_turns() -> None:
    found = SinusoidalPositions(6)(torch.tensor([[0, 1, 1000]]))
    for row, position in zip(found[0].tolist(), (0, 1, 1000), strict=True):
        angles = [position / 10000 ** (2 * i / 6) for i in range(3)]
        expected = [function(angle) for angle in angles for function in (math.sin, math.cos)]
        assert row == pytest.approx(expected, abs=1e-4)


def test_frequencies_survive_half_precision_and_uninitialised_buffers() -> None:
    module = SinusoidalPositions(6).to(torch.bfloat16)
    module.frequencies.fill_(math.nan)
    module.init_buffers()
    assert torch.equal(module.frequencies, SinusoidalPositions(6).frequencies)


def test_an_odd_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"hidden_size \(5\) must be even"):
        SinusoidalPositions(5)
