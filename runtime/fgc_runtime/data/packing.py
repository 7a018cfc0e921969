"""Documents and a tokenizer to a map-style data set of examples: packed blocks, or one example per document."""

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

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
from fgc_runtime.data.encoding import Encoded, Encoder, Ids, Marks, TextEncoder
from fgc_runtime.data.pieces import Example, Piece, assembled, check_cutting, cut

_ENCODED_AT_ONCE = 64  # documents; enough to keep the tokenizer's threads busy, little enough to hold in memory

Ranges = NDArray[numpy.int64]


class _Part(NamedTuple):
    """A range of the corpus's tokens, of which the first `num_context` are context and not labels."""

    first: int
    last: int
    num_context: int


Block = list[_Part]


class Rule(Protocol):
    """A rule that divides the tokens of a corpus into examples."""

    @property
    def isolate(self) -> bool:
        """Returns True if no token attends to another document of its example."""

    def blocks(self, ends: Sequence[int]) -> list[Block]:
        """Returns the parts of each example, for documents that end at the token positions `ends`."""


@dataclass(frozen=True, slots=True)
class Packing:
    """The rule of `PackedDataset`."""

    block_size: int
    strategy: Strategy = "greedy"
    isolate: bool = True
    truncation: bool = False
    max_tokens: int | None = None
    stride: int = 0
    min_length: int = 1

    def blocks(self, ends: Sequence[int]) -> list[Block]:
        """Returns the parts of each block. Raises ValueError if no block has two tokens."""
        documents = _bounds(ends, self.max_tokens, longest=self.block_size if self.truncation else None)
        make = _greedy if self.strategy == "greedy" else _fitted
        blocks = make(documents, self.block_size, self.strategy, stride=self.stride, min_length=self.min_length)
        # a block of one token has nothing to predict
        kept = [block for block in blocks if sum(last - first for first, last, _ in block) > 1]
        if not kept:
            problem = f"min_length ({self.min_length}) leaves all documents out"
            raise ValueError(f"texts hold no block to learn from: {problem}")
        return kept


@dataclass(frozen=True, slots=True)
class Cutting:
    """The rule of `TokenizedDataset`: one example per document."""

    max_length: int
    isolate: bool = False

    def blocks(self, ends: Sequence[int]) -> list[Block]:
        """Returns one part for each document."""
        return [[_Part(first, last, 0)] for first, last in _bounds(ends, None, longest=self.max_length)]


@dataclass(frozen=True, slots=True)
class Recipe:
    """The documents, encoder and rule that a data set of examples is made of."""

    documents: Sequence[Any]
    encoder: Encoder
    rule: Rule

    def corpus_key(self) -> str:
        """Returns a hash of all documents and of the encoder. Raises ValueError if there are no documents."""
        if len(self.documents) == 0:
            raise ValueError("texts must not be empty")
        return content_key([self.encoder.key, *map(canonical, self.documents)])

    def fingerprint(self, corpus_key: str) -> str:
        """Returns a hash of everything the examples depend on."""
        return content_key([corpus_key, repr(self.rule)])


_ARE_RECIPES_ENOUGH: ContextVar[bool] = ContextVar("are_recipes_enough", default=False)


def are_recipes_enough() -> bool:
    """Returns True within `only_recipes`."""
    return _ARE_RECIPES_ENOUGH.get()


@contextmanager
def only_recipes() -> Iterator[None]:
    """Makes data sets that are constructed in this context keep only their `recipe` and encode nothing."""
    token = _ARE_RECIPES_ENOUGH.set(True)
    try:
        yield
    finally:
        _ARE_RECIPES_ENOUGH.reset(token)


@draws_nothing
class PackedDataset(Dataset[Example]):
    """Documents packed into blocks of at most `block_size` tokens.

    `greedy` concatenates documents and cuts where a block is full: there is no padding, and only the last block may be
    short. `first_fit` and `best_fit` place the longest documents first and cut only those longer than a block; the
    collator pads the blocks.

    With `isolate_documents`, no token attends to another document: `position_ids` restart at 0 with each document,
    which is how transformers' masks recognise packed text. The first token of a document is then never a label: no
    earlier token predicts it. Without, the model computes positions and attention crosses from one document into the
    next.

    A document that continues in another block repeats its last `stride` tokens there, as context. Parts with fewer than
    `min_length` tokens are left out. With `truncation`, tokens beyond one block are left out too. `encoder` turns
    documents into tokens: by default `TextEncoder(tokenizer)`; `ChatEncoder` for conversations.
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
        self.block_size = block_size
        self.isolate_documents = isolate_documents
        packing = Packing(block_size, strategy, isolate_documents, truncation, max_tokens, stride, min_length)
        self.recipe = Recipe(texts, encoder or TextEncoder(tokenizer), packing)
        if are_recipes_enough():
            return
        self._corpus = _Corpus.of(texts, self.recipe.encoder, cache_dir)
        self._blocks = packing.blocks(self._corpus.ends())

    def __len__(self) -> int:
        return len(self._blocks)

    def __getitem__(self, index: int) -> Example:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index ({index}) must be below the number of blocks ({len(self)})")
        pieces = [self._corpus.piece(*part) for part in self._blocks[index]]
        return assembled(pieces, isolate=self.isolate_documents)

    @property
    def fingerprint(self) -> str:
        """Returns a hash of the documents, the encoder and the rule, which a resumed run compares."""
        return self.recipe.fingerprint(self._corpus.key)

    @property
    def num_tokens(self) -> int:
        """Returns the number of tokens in all blocks."""
        return sum(last - first for block in self._blocks for first, last, _ in block)

    @property
    def efficiency(self) -> float:
        """Returns the fraction of the blocks' tokens that is not padding."""
        return self.num_tokens / (len(self) * self.block_size)


@draws_nothing
class TokenizedDataset(Dataset[Example]):
    """One example per document, truncated to `max_length` tokens; the collator pads a batch to a common length."""

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
        self.max_length = max_length
        self.recipe = Recipe(texts, encoder or TextEncoder(tokenizer), Cutting(max_length))
        if are_recipes_enough():
            return
        self._corpus = _Corpus.of(texts, self.recipe.encoder, cache_dir)
        self._blocks = self.recipe.rule.blocks(self._corpus.ends())

    def __len__(self) -> int:
        return len(self._blocks)

    def __getitem__(self, index: int) -> Example:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index ({index}) must be below the number of documents ({len(self)})")
        (part,) = self._blocks[index]
        return assembled([self._corpus.piece(*part)], isolate=False)


class _Corpus:
    """The tokens of all documents, concatenated, as the cache stores them."""

    def __init__(self, encoded: dict[str, Tensor], key: str) -> None:
        self.key = key  # a hash of the documents and the encoder
        self._tokens = encoded["tokens"].numpy()
        self._marks = encoded["is_label"].numpy() if "is_label" in encoded else None
        self._starts: list[int] = encoded["document_starts"].tolist()

    @classmethod
    def of(cls, documents: Sequence[Any], encoder: Encoder, cache_dir: str | Path | None) -> "_Corpus":
        """Encodes the documents on first use; later reads them from the cache."""
        key = Recipe(documents, encoder, Cutting(0)).corpus_key()
        return cls(cached_tensors(key, cache_dir, lambda: _encode(documents, encoder)), key)

    def ends(self) -> list[int]:
        """Returns the position after the last token of each document."""
        return [*self._starts[1:], len(self._tokens)]

    def piece(self, first: int, last: int, num_context: int) -> Piece:
        """Returns a range of the corpus as a piece of an example."""
        marks = None if self._marks is None else self._marks[first:last]
        return Piece(self._tokens[first:last], marks, num_context)


def blocks_of(
    lengths: Sequence[int], block_size: int, strategy: Strategy, *, stride: int = 0, min_length: int = 1
) -> list[list[tuple[int, int, int, int]]]:
    """Returns blocks as lists of `(document, first, last, num_context)`; the range is within the document.

    `lengths` are those of the documents, in tokens; the strategies are those of `PackedDataset`.
    """
    ends = numpy.cumsum([0, *lengths]).tolist()
    make = _greedy if strategy == "greedy" else _fitted
    blocks = make(list(pairwise(ends)), block_size, strategy, stride=stride, min_length=min_length)
    return [[_in_document(part, ends) for part in block] for block in blocks if block]


def _in_document(part: _Part, ends: Sequence[int]) -> tuple[int, int, int, int]:
    document = bisect_right(ends, part.first) - 1
    return document, part.first - ends[document], part.last - ends[document], part.num_context


def _bounds(ends: Sequence[int], max_tokens: int | None, *, longest: int | None) -> list[tuple[int, int]]:
    """Returns the range of each document within the first `max_tokens`, truncated to `longest` tokens."""
    total = ends[-1] if max_tokens is None else min(max_tokens, ends[-1])
    return [
        (first, min(last, total, last if longest is None else first + longest))
        for first, last in pairwise([0, *ends])
        if first < total
    ]


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


def cached_tensors(key: str, cache_dir: str | Path | None, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """Returns the tensors cached under `key`, calling `make` on first use."""
    folder = Path(cache_dir) if cache_dir is not None else cache_folder() / "tokens"
    return load_file(cached_file(folder / f"{key}.safetensors", lambda path: save_file(make(), path)))


def canonical(document: Any) -> str:
    """Returns a text that identifies a document."""
    return document if isinstance(document, str) else json.dumps(document, sort_keys=True, default=str)


def _encode(documents: Sequence[Any], encoder: Encoder) -> dict[str, Tensor]:
    """Returns `tokens` (int32), `document_starts` (int64), and `is_label` (bool) if the encoder marks labels."""
    tokens, ends, marks = encoded_documents(documents, encoder)
    if not len(ends):
        raise ValueError("texts hold no tokens")
    tensors = {"tokens": torch.from_numpy(tokens), "document_starts": torch.from_numpy(numpy.append(0, ends[:-1]))}
    return tensors if marks is None else {**tensors, "is_label": torch.from_numpy(marks)}


def encoded_documents(
    documents: Sequence[Any], encoder: Encoder, rows: range | None = None
) -> tuple[Ids, Ranges, Marks | None]:
    """Returns concatenated tokens (int32), the end of each document in them, and label marks if the encoder has them.

    Encodes all documents, or those in `rows`. Documents without tokens are left out.
    """
    encoded = [item for batch in _encoded(documents, encoder, rows) for item in batch if len(item.ids)]
    ends = numpy.cumsum([len(item.ids) for item in encoded], dtype=numpy.int64)
    marks = [item.is_label for item in encoded if item.is_label is not None]
    assert len(marks) in (0, len(encoded)), "an encoder marks all documents or none"
    tokens = numpy.concatenate([numpy.zeros(0, numpy.int32), *(item.ids for item in encoded)])
    return tokens, ends, numpy.concatenate(marks) if marks else None


def _encoded(documents: Sequence[Any], encoder: Encoder, rows: range | None) -> Iterator[list[Encoded]]:
    """Yields encoded documents batch by batch; an error of the encoder is raised again with the document's place."""
    first = 0 if rows is None else rows.start
    for batch in _batches(documents if rows is None else (documents[row] for row in rows)):
        try:
            yield encoder.encode(batch)
        except (TypeError, ValueError) as error:
            place = first + _first_bad(batch, encoder)
            told = documents.place_of(place) if hasattr(documents, "place_of") else f"texts, document {place + 1}"
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{told}: {error}") from error
        first += len(batch)


def _first_bad(batch: Sequence[Any], encoder: Encoder) -> int:
    for number, document in enumerate(batch):
        try:
            encoder.encode([document])
        except (TypeError, ValueError):
            return number
    return 0


def _batches(documents: Iterable[Any]) -> Iterator[list[Any]]:
    remaining = iter(documents)
    while batch := list(islice(remaining, _ENCODED_AT_ONCE)):
        yield batch
