"""Cuts documents into pieces of at most one block, and joins pieces to examples.

Every token of a document is a label in exactly one example, unless no earlier token in its block can predict it.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from torch import Tensor

from fgc_runtime.data.collator import IGNORED_LABEL
from fgc_runtime.data.encoding import Encoded, Ids, Marks

Example = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a document. The first `num_context` tokens are context and not labels."""

    ids: Ids
    is_label: Marks | None = None
    num_context: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    def state(self) -> dict[str, Any]:
        """Returns the piece for JSON, with arrays as base64."""
        marks = None if self.is_label is None else _as_text(self.is_label)
        return {"ids": _as_text(self.ids), "is_label": marks, "num_context": self.num_context}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Piece":
        """Returns the piece from which `state` was made."""
        marks = None if state["is_label"] is None else _from_text(state["is_label"], numpy.bool_)
        return cls(_from_text(state["ids"], numpy.int32), marks, state["num_context"])


def cut(length: int, longest: int, *, stride: int = 0, min_length: int = 1) -> Iterator[tuple[int, int, int]]:
    """Yields `(first, last, num_context)` of the pieces of a document of `length` tokens.

    Each piece after the first begins with the last `stride` tokens of the one before, as context. A last piece with
    fewer than `min_length` new tokens is left out, and so is a document that is shorter.

    A document of 10 tokens with `longest=6, stride=2` gives (0, 6, 0) and (4, 10, 2): tokens 4 and 5 are context.
    """
    first = context = 0
    while first + context < length:
        last = min(length, first + longest)
        if last - first - context >= min_length:
            yield first, last, context
        first, context = last - stride, stride


def pieces_of(document: Encoded, longest: int, *, stride: int, min_length: int) -> Iterator[Piece]:
    """Yields a document's pieces as views."""
    for first, last, num_context in cut(len(document.ids), longest, stride=stride, min_length=min_length):
        marks = None if document.is_label is None else document.is_label[first:last]
        yield Piece(document.ids[first:last], marks, num_context)


def assembled(pieces: Sequence[Piece], *, isolate: bool) -> Example:
    """Returns one example with the pieces concatenated.

    With `isolate`, `position_ids` restart at 0 with each piece, `sequence_ids` number the pieces from 0, and the first
    token of a piece is not a label. Without, the model computes positions, and only context and unmarked tokens are not
    labels.
    """
    input_ids = torch.from_numpy(numpy.concatenate([piece.ids for piece in pieces])).long()
    labels = input_ids.clone()
    first = 0
    for piece in pieces:
        last = first + len(piece)
        if piece.is_label is not None:
            labels[first:last][torch.from_numpy(~piece.is_label)] = IGNORED_LABEL
        labels[first : first + max(piece.num_context, int(isolate))] = IGNORED_LABEL
        first = last
    if not isolate:
        return {"input_ids": input_ids, "labels": labels}
    lengths = torch.tensor([len(piece) for piece in pieces])
    starts = lengths.cumsum(0) - lengths
    sequence_ids = torch.repeat_interleave(torch.arange(len(pieces)), lengths)
    positions = torch.arange(first) - starts[sequence_ids]
    return {"input_ids": input_ids, "labels": labels, "position_ids": positions, "sequence_ids": sequence_ids}


def check_cutting(block_size: int, *, stride: int, min_length: int) -> None:
    """Raises ValueError for parameters that cannot be combined."""
    if block_size < 2:
        raise ValueError(f"block_size ({block_size}) must be at least 2: the first token of a block predicts nothing")
    if not 0 <= stride < block_size:
        raise ValueError(f"stride ({stride}) must be at least 0 and below block_size ({block_size})")
    if not 1 <= min_length <= block_size - stride:
        rule = f"must be at least 1 and at most block_size - stride ({block_size - stride})"
        raise ValueError(f"min_length ({min_length}) {rule}")


def _as_text(array: Any) -> str:
    return base64.b64encode(numpy.ascontiguousarray(array).tobytes()).decode("ascii")


def _from_text(text: str, dtype: type[Any]) -> Any:
    return numpy.frombuffer(base64.b64decode(text), dtype=dtype)
