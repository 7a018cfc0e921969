"""Collates examples: `input_ids`, `labels`, and `position_ids` with `sequence_ids`, or an `attention_mask`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

from fgc_runtime.data.draws import draws_nothing

Batch = dict[str, Tensor]

IGNORED_LABEL = -100  # ignored by torch's cross entropy
_MOST_COMPARED = 4  # batches whose labels are compared with their tokens; later ones are made the same way
_FEWEST_LABELS = 4  # of a row: fewer may equal the next tokens by chance


@draws_nothing
class DataCollatorForCausalLM:
    """Pads on the right to the longest example, with labels of -100, so that padding is never learnt.

    The tokenizer's pad token must differ from eos, because a text can end with eos. Labels are the input ids unless an
    example has its own. Padding inside an example, by its `attention_mask` or as pad tokens at its ends, is not a label
    and is not attended to. Examples of equal length without padding need no mask.

    Packed examples have `position_ids` and `sequence_ids`; their padding becomes a separate document. All others get an
    `attention_mask` for the padding. Any other field of an example is dropped.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase | None = None, *, pad_to_multiple_of: int = 1) -> None:
        if tokenizer is not None and tokenizer.pad_token_id is None:
            raise ValueError("tokenizer must have a pad_token; a token of its own, so that eos can still be learnt")
        if tokenizer is not None and tokenizer.pad_token_id == tokenizer.eos_token_id:
            raise ValueError(
                f"tokenizer's pad_token ({tokenizer.pad_token!r}) must differ from its eos_token, or padding reads as "
                "the end of a text; give it one of its own: fgc_runtime.data:with_pad_token"
            )
        self.pad_token_id = 0 if tokenizer is None else int(tokenizer.pad_token_id)
        self.pad_to_multiple_of = pad_to_multiple_of
        is_told_apart = tokenizer is not None and tokenizer.pad_token_id != tokenizer.bos_token_id
        self._known_padding = self.pad_token_id if is_told_apart else None  # a token with no other use

    def __call__(self, examples: Sequence[Mapping[str, Tensor | Sequence[int]]]) -> Batch:
        """Returns tensors of shape (B, T) for B examples of up to T tokens."""
        rows = [torch.as_tensor(example["input_ids"]).long() for example in examples]
        masks = [self._own_mask(example, row) for example, row in zip(examples, rows, strict=True)]
        labels = [_labels(*one) for one in zip(examples, rows, masks, strict=True)]
        batch = {
            "input_ids": self._pad(rows, self.pad_token_id),
            "labels": self._pad(labels, IGNORED_LABEL),
        }
        if not batch["input_ids"].numel():
            raise ValueError(f"input_ids: none of the {len(rows)} examples of a batch has a token")
        if any("position_ids" in example for example in examples):
            positions = [_positions(example, row) for example, row in zip(examples, rows, strict=True)]
            batch["position_ids"] = self._pad(positions, 0)
            if any("sequence_ids" in example for example in examples):
                ids = [_sequences(*one) for one in zip(examples, rows, positions, strict=True)]
                batch["sequence_ids"] = self._pad(ids, -1)
        elif batch["input_ids"].numel() > sum(len(row) for row in rows) or any(mask is not None for mask in masks):
            whole = [torch.ones_like(row) if mask is None else mask for row, mask in zip(rows, masks, strict=True)]
            batch["attention_mask"] = self._pad(whole, 0)
        return batch

    def _own_mask(self, example: Mapping[str, Tensor | Sequence[int]], row: Tensor) -> Tensor | None:
        """Returns 0 for padding in an example, 1 for other tokens; None if there is no padding."""
        if example.get("attention_mask") is not None:
            mask = _beside(example, "attention_mask", row)
            return None if bool(mask.all()) else mask
        pad = self._known_padding
        if "labels" in example or pad is None or not len(row) or pad not in (int(row[0]), int(row[-1])):
            return None
        is_text = row != pad
        # 0 before the first token of the text and after the last one
        return ((is_text.cumsum(0) > 0) & (is_text.flip(0).cumsum(0).flip(0) > 0)).to(row.dtype)

    def _pad(self, rows: list[Tensor], value: int) -> Tensor:
        padded = pad_sequence(rows, batch_first=True, padding_value=value)
        missing = -padded.shape[1] % self.pad_to_multiple_of
        return torch.nn.functional.pad(padded, (0, missing), value=value) if missing else padded


def _beside(example: Mapping[str, Tensor | Sequence[int]], name: str, row: Tensor) -> Tensor:
    """Returns a field with a number for each token. Raises ValueError if its length differs."""
    numbers = torch.as_tensor(example[name]).long()
    if len(numbers) != len(row):
        raise ValueError(f"{name} ({len(numbers)} numbers) must be as many as the example's input_ids ({len(row)})")
    return numbers


def _labels(example: Mapping[str, Tensor | Sequence[int]], row: Tensor, mask: Tensor | None) -> Tensor:
    """Returns an example's own labels, or its tokens, with padding and the first token after it ignored."""
    if example.get("labels") is not None:
        return _beside(example, "labels", row)
    if mask is None:
        return row
    is_text = mask.bool()
    is_behind_text = torch.nn.functional.pad(is_text[:-1], (1, 0), value=True)
    return row.masked_fill(~(is_text & is_behind_text), IGNORED_LABEL)


def _positions(example: Mapping[str, Tensor | Sequence[int]], row: Tensor) -> Tensor:
    """Returns an example's positions; an example without any, among packed ones, is a single text."""
    return _beside(example, "position_ids", row) if "position_ids" in example else torch.arange(len(row))


def _sequences(example: Mapping[str, Tensor | Sequence[int]], row: Tensor, positions: Tensor) -> Tensor:
    """Returns the number of the text for each token; a new text begins where positions restart."""
    return _beside(example, "sequence_ids", row) if "sequence_ids" in example else (positions == 0).cumsum(0) - 1


class CheckedCollator:
    """A collator that checks batches for token ids and positions that the model does not have.

    An embedding fails on such ids with an index error on a CPU, and with an assertion that ends the process on a GPU.
    Rotary positions beyond the model's maximum would be learnt silently, and servers would refuse them. `num_positions`
    None: the model has no maximum. `takes_packed` False: packed documents would attend to each other in the model.
    `moves_labels`: the loss compares each token's logits with the next label, so labels must not be shifted already.
    """

    def __init__(
        self,
        collate: Callable[[Any], Batch],
        vocab_size: int,
        num_positions: int | None = None,
        *,
        takes_packed: bool = True,
        moves_labels: bool = False,
    ) -> None:
        self.collate = collate
        self.vocab_size = vocab_size
        self.num_positions = num_positions
        self.takes_packed = takes_packed
        self._num_to_compare = _MOST_COMPARED if moves_labels else 0  # batches

    def __call__(self, examples: Any) -> Batch:
        """Returns the batch. Raises ValueError if it has a token id or a position that the model does not have."""
        batch = self.collate(examples)
        for name, lowest in (("input_ids", 0), ("labels", IGNORED_LABEL)):
            tokens = batch.get(name)
            if tokens is not None and tokens.numel():
                self._check(name, tokens, lowest)
        self._check_positions(batch)
        if self._num_to_compare:
            self._num_to_compare -= 1
            _refuse_moved_labels(batch)
        if not self.takes_packed and "sequence_ids" in batch and (batch["sequence_ids"].diff(dim=1) != 0).any():
            raise ValueError(
                "input_ids: a row holds several documents, and the model does not keep them apart: it ignores "
                "position_ids. Train it on a data set that packs no documents, or train another model class"
            )
        return batch

    def _check_positions(self, batch: Batch) -> None:
        token_ids, positions = batch.get("input_ids"), batch.get("position_ids")
        if self.num_positions is None or token_ids is None or token_ids.shape[1] <= self.num_positions:
            return
        num_used = token_ids.shape[1] if positions is None else int(positions.max()) + 1
        if num_used > self.num_positions:
            raise ValueError(
                f"input_ids: a row of {token_ids.shape[1]} tokens needs {num_used} positions; the model has "
                f"{self.num_positions} (max_position_embeddings). Make rows shorter (block_size, max_length) or give "
                "the model more positions"
            )

    def _check(self, name: str, tokens: Tensor, lowest: int) -> None:
        smallest, largest = torch.aminmax(tokens)
        if smallest >= lowest and largest < self.vocab_size:
            return
        wrong = (tokens < lowest) | (tokens >= self.vocab_size)
        row, column = wrong.nonzero()[0].tolist()
        raise ValueError(
            f"{name}: token id {int(tokens[row, column])} (example {row} of its batch, place {column}) must be below "
            f"the model's vocab_size ({self.vocab_size}) and not negative; the model needs vocab_size: len(tokenizer), "
            "or the data another tokenizer"
        )


def _refuse_moved_labels(batch: Batch) -> None:
    """Raises ValueError if the labels of a row are its tokens shifted by one, because they would be shifted again."""
    token_ids, labels = batch.get("input_ids"), batch.get("labels")
    if token_ids is None or labels is None or labels is token_ids or token_ids.shape != labels.shape:
        return
    is_label = labels[:, :-1] != IGNORED_LABEL
    is_moved = ((labels[:, :-1] == token_ids[:, 1:]) | ~is_label).all(1) & (is_label.sum(1) >= _FEWEST_LABELS)
    is_in_place = ((labels == token_ids) | (labels == IGNORED_LABEL)).all(1)
    wrong = (is_moved & ~is_in_place).nonzero()
    if len(wrong) and not bool(is_in_place.any()):
        raise ValueError(
            f"labels: those of example {int(wrong[0])} of its batch are its input_ids moved by one place. The loss "
            "moves them itself: it would learn the token after the next one. Give labels in the places of their tokens"
        )
