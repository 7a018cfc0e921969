"""Documents and a tokenizer to a map-style data set of examples: packed blocks, or one example per document."""

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from fgc_runtime.data.bins import Strategy, best_fit_decreasing, check_strategy, first_fit_decreasing
from fgc_runtime.data.cache import cache_folder, cached_file, content_key
from fgc_runtime.data.draws import draws_nothing
from fgc_runtime.data.encoding import Encoder, TextEncoder
from fgc_runtime.data.pieces import Example, Piece, assembled, check_cutting, cut

_ENCODED_AT_ONCE = 64  # documents; enough to keep the tokenizer's threads busy, little enough to hold in memory

Ranges = NDArray[numpy.int64]


@draws_nothing
class PackedDataset(Dataset[Example]):
    """Documents in blocks of at most `block_size` tokens.

    `greedy` puts them end to end and cuts where a block is full: no padding, and only the last block may be short.
    `first_fit` and `best_fit` keep documents whole, the longest placed first, and cut only those longer than a block;
    blocks end with padding, which the collator adds.

    With `isolate_documents`, no token attends to another document: `position_ids` restart at 0 with each, which is how
    transformers' masks recognise packed text, and the first token of a document is not a label, because nothing before
    it could tell it. Without, positions are left to the model and attention crosses from one document into the next.

    A document that goes on in another block begins there with its last `stride` tokens, as context. Parts with fewer
    than `min_length` tokens are left out. With `truncation`, what exceeds a block is left out too. `encoder` makes
    tokens of documents: by default `TextEncoder(tokenizer)`; `ChatEncoder` for conversations.
    """

    def __init__(
        self,
        texts: Sequence[Any],
        tokenizer: PreTrainedTokenizerFast,
        block_size: int,
        *,
        strategy: Strategy = "greedy",
        isolate_documents: bool = True,
        min_length: int = 1,
        stride: int = 0,
        truncation: bool = False,
        max_tokens: int | None = None,
        encoder: Encoder | None = None,
        cache_dir: str | Path | None = None,
    ) -> None:
        check_strategy(strategy)
        check_cutting(block_size, stride=stride, min_length=min_length)
        self._corpus = _Corpus.of(texts, encoder or TextEncoder(tokenizer), cache_dir)
        self.block_size = block_size
        self.isolate_documents = isolate_documents
        documents = self._corpus.bounds(max_tokens, longest=block_size if truncation else None)
        settings: dict[str, int] = {"stride": stride, "min_length": min_length}
        self._settings = [block_size, strategy, isolate_documents, truncation, max_tokens, settings]
        make = _greedy if strategy == "greedy" else _fitted
        blocks = make(documents, block_size, strategy, **settings)
        # a block of one token has nothing to predict
        self._blocks = [block for block in blocks if sum(last - first for first, last, _ in block) > 1]
        if not self._blocks:
            raise ValueError(f"texts hold no block to learn from: min_length ({min_length}) leaves all documents out")

    def __len__(self) -> int:
        return len(self._blocks)

    def __getitem__(self, index: int) -> Example:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index ({index}) must be below the number of blocks ({len(self)})")
        pieces = [self._corpus.piece(*part) for part in self._blocks[index]]
        return assembled(pieces, isolate=self.isolate_documents)

    @property
    def fingerprint(self) -> str:
        """A hash of all documents, their encoding and how blocks are made: a resumed run compares it."""
        return content_key([self._corpus.key, repr(self._settings)])

    @property
    def num_tokens(self) -> int:
        """Tokens in all blocks together."""
        return sum(last - first for block in self._blocks for first, last, _ in block)

    @property
    def efficiency(self) -> float:
        """The share of the blocks that is no padding."""
        return self.num_tokens / (len(self) * self.block_size)


@draws_nothing
class TokenizedDataset(Dataset[Example]):
    """One example per document, cut off after `max_length` tokens; the collator pads them to a common length."""

    def __init__(
        self,
        texts: Sequence[Any],
        tokenizer: PreTrainedTokenizerFast,
        max_length: int,
        *,
        encoder: Encoder | None = None,
        cache_dir: str | Path | None = None,
    ) -> None:
        if max_length < 2:
            raise ValueError(f"max_length ({max_length}) must be at least 2: the first token predicts nothing")
        self._corpus = _Corpus.of(texts, encoder or TextEncoder(tokenizer), cache_dir)
        self.max_length = max_length
        self._bounds = self._corpus.bounds(None, longest=max_length)

    def __len__(self) -> int:
        return len(self._bounds)

    def __getitem__(self, index: int) -> Example:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index ({index}) must be below the number of documents ({len(self)})")
        first, last = self._bounds[index]
        return assembled([self._corpus.piece(first, last, 0)], isolate=False)


class _Part(NamedTuple):
    """Of the corpus: `num_context` of the tokens are there to be looked at."""

    first: int
    last: int
    num_context: int


Block = list[_Part]


class _Corpus:
    """All documents' tokens end to end, as the cache holds them."""

    def __init__(self, encoded: dict[str, Tensor], key: str) -> None:
        self.key = key  # a hash of all documents and of how they are encoded
        self._tokens = encoded["tokens"].numpy()
        self._marks = encoded["is_label"].numpy() if "is_label" in encoded else None
        self._starts: list[int] = encoded["document_starts"].tolist()

    @classmethod
    def of(cls, documents: Sequence[Any], encoder: Encoder, cache_dir: str | Path | None) -> "_Corpus":
        """Encoded on first use, later read from the cache."""
        if len(documents) == 0:
            raise ValueError("texts must not be empty")
        key = content_key([encoder.key, *map(_canonical, documents)])
        folder = Path(cache_dir) if cache_dir is not None else cache_folder() / "tokens"
        path = cached_file(folder / f"{key}.safetensors", lambda path: save_file(_encode(documents, encoder), path))
        return cls(load_file(path), key)

    def bounds(self, max_tokens: int | None, *, longest: int | None) -> list[tuple[int, int]]:
        """Returns where documents begin and end in the first `max_tokens`; ends moved to at most `longest` tokens."""
        total = len(self._tokens) if max_tokens is None else min(max_tokens, len(self._tokens))
        ends = [*self._starts[1:], len(self._tokens)]
        return [
            (first, min(last, total, last if longest is None else first + longest))
            for first, last in zip(self._starts, ends, strict=True)
            if first < total
        ]

    def piece(self, first: int, last: int, num_context: int) -> Piece:
        """A part of the corpus."""
        marks = None if self._marks is None else self._marks[first:last]
        return Piece(self._tokens[first:last], marks, num_context)


def blocks_of(
    lengths: Sequence[int], block_size: int, strategy: Strategy, *, stride: int = 0, min_length: int = 1
) -> list[list[tuple[int, int, int, int]]]:
    """Returns blocks of parts of documents: the document's number, where the part begins and ends in it, its context.

    `lengths` are those of the documents, in tokens; the strategies are those of `PackedDataset`.
    """
    ends = numpy.cumsum([0, *lengths]).tolist()
    make = _greedy if strategy == "greedy" else _fitted
    blocks = make(list(pairwise(ends)), block_size, strategy, stride=stride, min_length=min_length)
    return [[_in_document(part, ends) for part in block] for block in blocks if block]


def _in_document(part: _Part, ends: Sequence[int]) -> tuple[int, int, int, int]:
    document = bisect_right(ends, part.first) - 1
    return document, part.first - ends[document], part.last - ends[document], part.num_context


def _greedy(
    documents: Sequence[tuple[int, int]], block_size: int, strategy: Strategy, *, stride: int, min_length: int
) -> list[Block]:
    blocks: list[Block] = [[]]
    room = block_size
    for begin, end in documents:
        first, context = begin, 0
        while end - first - context >= min_length:
            if room < context + min_length:
                blocks.append([])
                room = block_size
            last = min(end, first + room)
            blocks[-1].append(_Part(first, last, context))
            room -= last - first
            first, context = (last - stride, stride) if last < end else (end, 0)
    return blocks


def _fitted(
    documents: Sequence[tuple[int, int]], block_size: int, strategy: Strategy, *, stride: int, min_length: int
) -> list[Block]:
    parts = [
        _Part(begin + first, begin + last, context)
        for begin, end in documents
        for first, last, context in cut(end - begin, block_size, stride=stride, min_length=min_length)
    ]
    place = first_fit_decreasing if strategy == "first_fit" else best_fit_decreasing
    bins = place([part.last - part.first for part in parts], block_size)
    return [[parts[item] for item in sorted(chosen)] for chosen in bins]


def _canonical(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document, sort_keys=True, default=str)


def _encode(documents: Sequence[Any], encoder: Encoder) -> dict[str, Tensor]:
    """`tokens` (int32), where documents start in them (int64), and `is_label` (bool) where the encoder says it."""
    encoded = [item for batch in _batches(documents) for item in encoder.encode(batch) if len(item.ids)]
    if not encoded:
        raise ValueError("texts hold no tokens")
    ends = numpy.cumsum([len(item.ids) for item in encoded])
    tensors = {
        "tokens": torch.from_numpy(numpy.concatenate([item.ids for item in encoded])),
        "document_starts": torch.from_numpy(numpy.concatenate([[0], ends[:-1]]).astype(numpy.int64)),
    }
    marks = [item.is_label for item in encoded if item.is_label is not None]
    if marks:
        assert len(marks) == len(encoded), "an encoder marks all documents or none"
        tensors["is_label"] = torch.from_numpy(numpy.concatenate(marks))
    return tensors


def _batches(documents: Sequence[Any]) -> Iterator[list[Any]]:
    remaining = iter(documents)
    while batch := list(islice(remaining, _ENCODED_AT_ONCE)):
        yield batch
