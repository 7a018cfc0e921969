"""Packed sequences: what their ids become for masks and for FlashAttention."""

import pytest
import torch
from fgc_models.packing import flash_sequences, packed_positions
from transformers import PreTrainedConfig


def config(implementation: str) -> PreTrainedConfig:
    found = PreTrainedConfig()
    found._attn_implementation = implementation
    return found


IDS = torch.tensor([[0, 0, 0, 1, 1, 2], [5, 5, 3, 3, 3, 3]])
RESTARTING = torch.tensor([[0, 1, 2, 0, 1, 0], [0, 1, 0, 1, 2, 3]])


def test_positions_restart_with_each_sequence() -> None:
    assert torch.equal(packed_positions(config("sdpa"), IDS, None, None), RESTARTING)


def test_a_mask_of_ones_changes_nothing_and_padding_is_a_sequence_of_its_own() -> None:
    mask = torch.ones_like(IDS)
    assert torch.equal(packed_positions(config("sdpa"), IDS, None, mask), RESTARTING)
    assert torch.equal(packed_positions(config("sdpa"), None, RESTARTING, mask), RESTARTING)
    mask[1, 4:] = 0
    expected = torch.tensor([[0, 1, 2, 0, 1, 0], [0, 1, 0, 1, 0, 1]])
    assert torch.equal(packed_positions(config("sdpa"), IDS, None, mask), expected)


def test_what_transformers_masks_see_themselves_is_left_to_them() -> None:
    positions = torch.arange(6)[None]
    assert packed_positions(config("sdpa"), None, RESTARTING, None) is None
    assert packed_positions(config("sdpa"), None, positions, torch.ones(2, 6)) is None
    assert packed_positions(config("sdpa"), None, positions, torch.ones(2, 1, 6, 6)) is None


def test_flash_attention_is_told_the_sequences_of_all_rows() -> None:
    positions = packed_positions(config("flash_attention_2"), None, RESTARTING, None)
    assert positions is not None
    found = flash_sequences(config("flash_attention_2"), positions)
    assert found["cu_seq_lens_q"].tolist() == found["cu_seq_lens_k"].tolist() == [0, 3, 5, 6, 8, 12]
    assert int(found["max_length_q"]) == int(found["max_length_k"]) == 4
    assert flash_sequences(config("sdpa"), positions) == {}


def test_a_mask_made_by_hand_does_not_go_with_ids() -> None:
    with pytest.raises(ValueError, match=r"attention_mask must have the shape \(batch, time\)"):
        packed_positions(config("sdpa"), IDS, None, torch.ones(2, 1, 6, 6))
