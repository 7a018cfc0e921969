"""Examples to one batch: `input_ids`, `labels`, and `position_ids` with `sequence_ids`, or an `attention_mask`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

from fgc_runtime.data.draws import draws_nothing

Batch = dict[str, Tensor]

IGNORED_LABEL = -100  # what torch's cross entropy leaves out


@draws_nothing
class DataCollatorForCausalLM:
    """Pads on the right to the longest example; labels are -100 there, so that padding is never learnt.

    The tokenizer's pad token must be none that a text can end with: another id than eos. Labels are the input ids
    unless an example brings its own. Equally long examples need no mask. Packed examples bring `position_ids` and
    `sequence_ids`; their padding becomes a document of its own. All others get an `attention_mask` with the padding.
    Whatever else an example has is left out.
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

    def __call__(self, examples: Sequence[Mapping[str, Tensor | Sequence[int]]]) -> Batch:
        """B examples of up to T tokens to tensors of shape (B, T)."""
        rows = [torch.as_tensor(example["input_ids"]) for example in examples]
        labels = [torch.as_tensor(example.get("labels", row)) for example, row in zip(examples, rows, strict=True)]
        batch = {
            "input_ids": self._pad(rows, self.pad_token_id),
            "labels": self._pad(labels, IGNORED_LABEL),
        }
        if "position_ids" in examples[0]:
            batch["position_ids"] = self._pad([torch.as_tensor(example["position_ids"]) for example in examples], 0)
            if "sequence_ids" in examples[0]:
                ids = [torch.as_tensor(example["sequence_ids"]) for example in examples]
                batch["sequence_ids"] = self._pad(ids, -1)
        elif batch["input_ids"].numel() > sum(len(row) for row in rows):
            batch["attention_mask"] = self._pad([torch.ones_like(row) for row in rows], 0)
        return batch

    def _pad(self, rows: list[Tensor], value: int) -> Tensor:
        padded = pad_sequence(rows, batch_first=True, padding_value=value)
        missing = -padded.shape[1] % self.pad_to_multiple_of
        return torch.nn.functional.pad(padded, (0, missing), value=value) if missing else padded


class CheckedCollator:
    """A collator whose batches are looked through for token ids and positions that the model does not have.

    An embedding would fail on such ids with an index error on a CPU, and with an assertion of the whole process on a
    GPU. Rotary positions beyond the model's would be learnt without a word, and served by nobody. `num_positions` None:
    the model has no bound. `takes_packed` False: packed documents would see each other in the model.
    """

    def __init__(
        self,
        collate: Callable[[Any], Batch],
        vocab_size: int,
        num_positions: int | None = None,
        *,
        takes_packed: bool = True,
    ) -> None:
        self.collate = collate
        self.vocab_size = vocab_size
        self.num_positions = num_positions
        self.takes_packed = takes_packed

    def __call__(self, examples: Any) -> Batch:
        """Returns the batch. Raises ValueError if it has a token id or a position that the model does not have."""
        batch = self.collate(examples)
        for name, lowest in (("input_ids", 0), ("labels", IGNORED_LABEL)):
            tokens = batch.get(name)
            if tokens is not None and tokens.numel():
                self._check(name, tokens, lowest)
        self._check_positions(batch)
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
