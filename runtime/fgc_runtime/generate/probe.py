"""The kind of running batch that gives a model's own logits: measured on two short sequences when it is loaded.

Model code comes from anywhere; a model that ignores padding or positions would answer plausible nonsense in a batch.
"""

import logging

import torch
from torch import Tensor

from fgc_runtime.generate.forward import Forward
from fgc_runtime.generate.prefill import Prefill
from fgc_runtime.generate.rows import PackedRows, RecomputedRows, Rows, SeparateRows
from fgc_runtime.generate.scaled_rows import LoneScaledRows, ScaledRows

RowsKind = type[PackedRows] | type[SeparateRows] | type[ScaledRows] | type[RecomputedRows]

_log = logging.getLogger(__name__)

_PROMPT_LENGTHS = (2, 5)  # the second one is longer and joins later: the first must be padded afterwards
_NUM_STEPS = 2
# Relative to the spread of the logits. Float32 kernels differ by 1e-6 between batch sizes; 16 bits keep 8 of mantissa.
_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}
_TOLERANCE_16_BIT = 5e-2


@torch.inference_mode()
def fitting_rows(forward: Forward) -> RowsKind:
    """The fastest kind of rows that agrees with the model called on the whole text at once.

    Two short sequences do not tell how positions are scaled: what a model says of itself counts.
    """
    scaling = forward.scaling
    if scaling is not None and scaling.rereads and scaling.usual_length is None:
        return RecomputedRows  # nobody knows where a text must be read anew
    if scaling is not None:
        kinds: tuple[type[ScaledRows], ...] = (ScaledRows, LoneScaledRows)
        return next((kind for kind in kinds if _agrees(forward, kind(forward))), RecomputedRows)
    if _agrees(forward, PackedRows(forward)):
        return PackedRows
    return SeparateRows if _agrees(forward, SeparateRows(forward)) else RecomputedRows


def _agrees(forward: Forward, rows: Rows) -> bool:
    try:
        seen, logits_BV = _decode(forward, rows)
    except Exception as error:  # whatever foreign model code raises here, it says that these rows do not fit
        _log.info("%s do not fit this model: %s: %s", type(rows).__name__, type(error).__name__, error)
        return False
    expected_BV = torch.cat([forward([text]) for text in seen])
    tolerance = _TOLERANCE.get(forward.model.dtype, _TOLERANCE_16_BIT)
    difference = (logits_BV - expected_BV).abs().max()
    return bool(difference <= tolerance * expected_BV.std())


def _decode(forward: Forward, rows: Rows) -> tuple[list[list[int]], Tensor]:
    """Run two sequences that join at different times; their texts and the logits after each."""
    texts = [[(7919 * i + 13 * length) % forward.vocab_size for i in range(length)] for length in _PROMPT_LENGTHS]
    _join(forward, rows, texts[0])
    _step(rows, texts[:1])
    _join(forward, rows, texts[1])
    for _ in range(_NUM_STEPS):
        logits_BV = _step(rows, texts)
    return texts, logits_BV


def _join(forward: Forward, rows: Rows, ids: list[int]) -> None:
    prefill = Prefill(forward, rows, ids)
    while not prefill.is_done:
        prefill.advance(3)
    rows.join(prefill.cache, list(ids))


def _step(rows: Rows, texts: list[list[int]]) -> Tensor:
    tokens = [text[0] for text in texts]
    for text, token in zip(texts, tokens, strict=True):
        text.append(token)
    logits = {row: logits_V for batch in rows.batches() for row, logits_V in _batch_step(rows, batch, tokens)}
    return torch.stack([logits[row] for row in range(len(tokens))])


def _batch_step(rows: Rows, batch: list[int], tokens: list[int]) -> list[tuple[int, Tensor]]:
    return list(zip(batch, rows.step(batch, [tokens[row] for row in batch]), strict=True))
