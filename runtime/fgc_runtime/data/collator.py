"""Examples to one batch: `input_ids`, `labels`, and `position_ids` or `attention_mask` where they are needed."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

Batch = dict[str, Tensor]

IGNORED_LABEL = -100  # what torch's cross entropy leaves out


class DataCollatorForCausalLM:
    """Pads on the right to the longest example; labels are -100 there, so that padding is never learnt.

    Labels are the input ids unless an example brings its own. Equally long examples need no mask. Packed examples bring
    `position_ids`; their padding becomes a document of its own. All others get an `attention_mask` with the padding.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase | None = None, *, pad_to_multiple_of: int = 1) -> None:
        if tokenizer is not None and tokenizer.pad_token_id is None:
            raise ValueError("tokenizer must have a pad_token; a token of its own, so that eos can still be learnt")
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
        elif batch["input_ids"].numel() > sum(len(row) for row in rows):
            batch["attention_mask"] = self._pad([torch.ones_like(row) for row in rows], 0)
        return batch

    def _pad(self, rows: list[Tensor], value: int) -> Tensor:
        padded = pad_sequence(rows, batch_first=True, padding_value=value)
        missing = -padded.shape[1] % self.pad_to_multiple_of
        return torch.nn.functional.pad(padded, (0, missing), value=value) if missing else padded
