"""Packed sequences: several in one row, none of which sees another."""

# transformers is typed in parts only
# mypy: disable-error-code="no-untyped-call"

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.masking_utils import find_packed_sequence_indices
from transformers.modeling_flash_attention_utils import prepare_fa_kwargs_from_position_ids
from transformers.utils.generic import is_flash_attention_requested


def packed_positions(
    config: PreTrainedConfig, sequence_ids: Tensor | None, position_ids: Tensor | None, attention_mask: Tensor | None
) -> Tensor | None:
    """Positions that restart with each sequence, padding being one of its own; None if transformers' masks will do.

    All have the shape (batch, time). Sequences are runs of equal `sequence_ids`; without these, they
    begin where `position_ids` do not go on by 1, which transformers sees itself unless there is a
    mask, or several rows for FlashAttention.
    """
    is_padded = isinstance(attention_mask, Tensor) and attention_mask.dim() == 2
    if attention_mask is not None and not is_padded:
        if sequence_ids is not None:
            raise ValueError("beside sequence_ids, attention_mask must have the shape (batch, time)")
        return None
    if sequence_ids is None and position_ids is not None and (is_padded or is_flash_attention_requested(config)):
        sequence_ids = find_packed_sequence_indices(position_ids)
    if sequence_ids is None:
        return None
    if attention_mask is not None:
        sequence_ids = torch.where(attention_mask == 0, -1, sequence_ids)
    places = torch.arange(sequence_ids.shape[1], device=sequence_ids.device)
    is_first = torch.diff(sequence_ids, dim=1, prepend=sequence_ids[:, :1] - 1) != 0
    return places - torch.where(is_first, places, 0).cummax(dim=1).values


def flash_sequences(config: PreTrainedConfig, positions: Tensor) -> dict[str, Any]:
    """Returns what tells FlashAttention the sequences of all rows, end to end, by transformers' names."""
    if not is_flash_attention_requested(config):
        return {}
    bounds, longest = prepare_fa_kwargs_from_position_ids(positions)
    names = ("cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k")
    return dict(zip(names, (*bounds, *longest), strict=True))
