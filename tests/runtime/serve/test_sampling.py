"""Choosing tokens: distributions against transformers' own filters, and independence of the batch."""

import random

import pytest
import torch
from fgc_runtime.generate.sampling import Chooser, Sampling, choose, filtered
from transformers.generation.logits_process import TopKLogitsWarper, TopPLogitsWarper


def chooser(seed: int, **settings: float) -> Chooser:
    return Chooser(Sampling(**settings), random.Random(seed))


@pytest.mark.parametrize(("top_k", "top_p"), [(5, 1.0), (0, 0.7), (7, 0.5), (0, 0.0), (1, 1.0)])
def test_filters_keep_what_transformers_keeps(top_k: int, top_p: float) -> None:
    logits_BV = torch.randn(4, 30, generator=torch.Generator().manual_seed(0)) * 2
    expected_BV = logits_BV
    if top_k:
        expected_BV = TopKLogitsWarper(top_k)(torch.empty(0), expected_BV)
    expected_BV = TopPLogitsWarper(max(top_p, 1e-9))(torch.empty(0), expected_BV).softmax(-1).sort(descending=True)[0]
    p_BV = logits_BV.softmax(-1).sort(descending=True)[0]
    kept_BV = filtered(p_BV, top_k=[top_k or 30] * 4, top_p=[top_p] * 4)
    torch.testing.assert_close(kept_BV / kept_BV.sum(-1, keepdim=True), expected_BV)


@pytest.mark.parametrize("settings", [{}, {"top_k": 3}, {"top_p": 0.8}, {"temperature": 0.5}])
def test_drawn_frequencies_are_the_probabilities(settings: dict[str, float]) -> None:
    logits_V = torch.tensor([2.0, 1.0, 0.5, 0.0, -1.0])
    p_V = (logits_V / settings.get("temperature", 1.0)).softmax(-1)
    p_V = filtered(p_V[None], top_k=[int(settings.get("top_k", 5))], top_p=[settings.get("top_p", 1.0)])[0]
    one = chooser(0, **settings)
    drawn = [choose(logits_V[None].clone(), [one])[0] for _ in range(3000)]
    frequencies = torch.bincount(torch.tensor(drawn), minlength=5) / len(drawn)
    # 3 standard deviations of a frequency of 1/2 over 3000 draws: 0.027
    torch.testing.assert_close(frequencies, p_V / p_V.sum(), atol=0.03, rtol=0)


def test_a_row_chooses_the_same_alone_and_among_others() -> None:
    logits_BV = torch.randn(6, 50, generator=torch.Generator().manual_seed(1))
    settings = [{}, {"top_p": 0.9}, {"temperature": 0.0}, {"top_k": 4}, {"temperature": 1.5}, {"presence_penalty": 1.0}]
    together = choose(logits_BV.clone(), [chooser(i, **each) for i, each in enumerate(settings)])
    alone = [choose(logits_BV[i : i + 1].clone(), [chooser(i, **each)])[0] for i, each in enumerate(settings)]
    assert together == alone


def test_penalties_lower_what_was_generated_by_count_and_presence() -> None:
    one = chooser(0, temperature=0.0, frequency_penalty=0.5, presence_penalty=0.25)
    logits_V = torch.tensor([1.0, 0.6, 0.0])
    # 0: 1.0; then 0 falls to 0.25 and 1 wins; then 1 falls to -0.15; then 0 falls to -0.25; then 2 wins at 0.0
    assert [choose(logits_V[None].clone(), [one])[0] for _ in range(4)] == [0, 1, 0, 2]


def test_bias_forces_and_bans_tokens() -> None:
    logits_V = torch.tensor([3.0, 2.0, 1.0])
    assert choose(logits_V[None].clone(), [chooser(0, logit_bias={2: 100.0}, temperature=1.0)]) == [2]
    assert choose(logits_V[None].clone(), [chooser(0, logit_bias={0: -100.0}, temperature=0.0)]) == [1]
