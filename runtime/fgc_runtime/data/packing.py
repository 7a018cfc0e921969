"""Texts and a tokenizer to a map-style data set of examples: packed blocks, or one example per document.

Every document becomes `<bos> tokens <eos>`. Special tokens are put in here and never read from the text: a document
that contains the letters `<|eos|>` does not end there.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from fgc_runtime.data.cache import cache_folder, cached_file, content_key
from fgc_runtime.data.collator import IGNORED_LABEL

Example = dict[str, Tensor]

_ENCODED_AT_ONCE = 64  # documents; enough to keep the tokenizer's threads busy, little enough to hold in memory


class PackedDataset(Dataset[Example]):
    """Documents end to end, cut into blocks of `block_size` tokens; no padding, and only the last block may be short.

    With `isolate_documents`, no token attends to another document: `position_ids` restart at 0 with each, which is how
    transformers' masks recognise packed text, and the first token of a document is not a label, because nothing before
    it could tell it. Without, positions are left to the model and attention crosses from one document into the next.
    """

    def __init__(
        self,
        texts: Sequence[str],
        tokenizer: PreTrainedTokenizerFast,
        block_size: int,
        *,
        isolate_documents: bool = True,
        max_tokens: int | None = None,
        cache_dir: str | Path | None = None,
    ) -> None:
        if block_size < 2:
            raise ValueError(
                f"block_size ({block_size}) must be at least 2: the first token of a block predicts nothing"
            )
        encoded = _encode_cached(texts, tokenizer, cache_dir)
        self.block_size = block_size
        self.isolate_documents = isolate_documents
        self._tokens = encoded["tokens"][:max_tokens]
        self._document_starts = encoded["document_starts"]

    def __len__(self) -> int:
        whole, rest = divmod(len(self._tokens), self.block_size)
        return whole + (rest > 1)  # a rest of one token has nothing to predict

    def __getitem__(self, index: int) -> Example:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index ({index}) must be below the number of blocks ({len(self)})")
        first = index % len(self) * self.block_size
        input_ids = self._tokens[first : first + self.block_size].long()
        if not self.isolate_documents:
            return {"input_ids": input_ids, "labels": input_ids.clone()}
        starts = self._starts_within(first, first + len(input_ids))
        labels = input_ids.clone()
        labels[starts] = IGNORED_LABEL
        return {"input_ids": input_ids, "labels": labels, "position_ids": _positions(starts, len(input_ids))}

    @property
    def num_tokens(self) -> int:
        """Tokens in all blocks together."""
        return len(self._tokens)

    def _starts_within(self, first: int, last: int) -> Tensor:
        """Where in the block documents begin."""
        low, high = torch.searchsorted(self._document_starts, torch.tensor([first, last])).tolist()
        return self._document_starts[low:high] - first


class TokenizedDataset(Dataset[Example]):
    """One example per document, cut off after `max_length` tokens; the collator pads them to a common length."""

    def __init__(
        self,
        texts: Sequence[str],
        tokenizer: PreTrainedTokenizerFast,
        max_length: int,
        *,
        cache_dir: str | Path | None = None,
    ) -> None:
        if max_length < 2:
            raise ValueError(f"max_length ({max_length}) must be at least 2: the first token predicts nothing")
        encoded = _encode_cached(texts, tokenizer, cache_dir)
        self.max_length = max_length
        self._tokens = encoded["tokens"]
        self._bounds = [*encoded["document_starts"].tolist(), len(self._tokens)]

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def __getitem__(self, index: int) -> Example:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index ({index}) must be below the number of documents ({len(self)})")
        first, last = self._bounds[index % len(self)], self._bounds[index % len(self) + 1]
        input_ids = self._tokens[first : min(last, first + self.max_length)].long()
        return {"input_ids": input_ids, "labels": input_ids.clone()}


def _positions(starts: Tensor, length: int) -> Tensor:
    """0, 1, 2 ... from the beginning of the block and again from each start: starts [2], length 4 -> 0 1 0 1."""
    begin = torch.zeros(length, dtype=torch.long)
    begin[starts] = starts
    return torch.arange(length) - begin.cummax(0).values


def _encode_cached(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, cache_dir: str | Path | None
) -> dict[str, Tensor]:
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    if bos is None or eos is None:
        raise ValueError("tokenizer must have a bos_token and an eos_token: they mark where documents begin and end")
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    key = content_key([backend.to_str(), str(bos), str(eos), *texts])
    folder = Path(cache_dir) if cache_dir is not None else cache_folder() / "tokens"
    path = cached_file(folder / f"{key}.safetensors", lambda path: save_file(_encode(texts, backend, bos, eos), path))
    return load_file(path)


def _encode(texts: Sequence[str], backend: Tokenizer, bos: int, eos: int) -> dict[str, Tensor]:
    """All documents end to end as int32 `tokens`, and the position of each one's <bos> as int64 `document_starts`."""
    backend.encode_special_tokens = True  # the text's own "<|eos|>" is letters, not the end
    backend.no_truncation()
    documents = [
        numpy.array([bos, *encoding.ids, eos], dtype=numpy.int32)
        for batch in _batches(texts)
        for encoding in backend.encode_batch_fast(batch, add_special_tokens=False)
    ]
    ends = numpy.cumsum([len(document) for document in documents])
    return {
        "tokens": torch.from_numpy(numpy.concatenate(documents)),
        "document_starts": torch.from_numpy(numpy.concatenate([[0], ends[:-1]]).astype(numpy.int64)),
    }


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == _ENCODED_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
