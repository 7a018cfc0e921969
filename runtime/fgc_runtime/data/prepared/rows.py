"""An example to the row that a shard holds, and back: ids, lengths of documents, and which labels count.

Positions, sequence numbers and most labels follow from these, so that a token takes two bytes or four. `example_of`
gives exactly what `row_of` got, or `row_of` raises.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from fgc_runtime.data.collator import IGNORED_LABEL
from fgc_runtime.data.pieces import Example

COLUMNS = ("input_ids", "labels", "position_ids", "sequence_ids")


class Row(NamedTuple):
    """N tokens in D documents. An empty `is_label`: all tokens but the first of each packed document."""

    ids: NDArray[Any]  # (N,)
    document_lengths: NDArray[Any]  # (D,), their sum is N; empty where documents are not told apart
    is_label: NDArray[Any]  # (N,) bool, or empty


def row_of(example: Mapping[str, Any]) -> Row:
    """Returns the row. Raises ValueError for an example with something that rows do not hold."""
    surplus = [name for name in example if name not in COLUMNS]
    if surplus or "input_ids" not in example:
        raise ValueError(f"an example must hold input_ids, and of {', '.join(COLUMNS)} only; it holds {[*example]}")
    arrays = {name: torch.as_tensor(values).numpy() for name, values in example.items()}
    ids, sequence_ids = arrays["input_ids"], arrays.get("sequence_ids")
    lengths = _run_lengths(sequence_ids) if sequence_ids is not None else _nothing(numpy.int32)
    row = Row(ids, lengths, _nothing(numpy.bool_))
    labels = arrays.get("labels")
    if labels is not None and not numpy.array_equal(labels, _labels(row)):
        row = Row(ids, lengths, labels != IGNORED_LABEL)
    again = example_of(row, list(example))
    wrong = [name for name, array in arrays.items() if not numpy.array_equal(again[name].numpy(), array)]
    if wrong:
        raise ValueError(f"{wrong[0]} of an example is none that follows from its ids and documents")
    return row


def example_of(row: Row, columns: Sequence[str]) -> Example:
    """Returns the example with these columns, each of shape (N,)."""
    example = {"input_ids": torch.from_numpy(row.ids.astype(numpy.int64))}
    if "labels" in columns:
        example["labels"] = torch.from_numpy(_labels(row))
    if "position_ids" in columns or "sequence_ids" in columns:
        example |= _places(row)
    return {name: example[name] for name in columns if name in example}


def _labels(row: Row) -> NDArray[Any]:
    labels = row.ids.astype(numpy.int64)
    if len(row.is_label):
        labels[~row.is_label] = IGNORED_LABEL
    elif len(row.document_lengths):
        labels[row.document_lengths.cumsum() - row.document_lengths] = IGNORED_LABEL
    return labels


def _places(row: Row) -> dict[str, Tensor]:
    """`position_ids` and `sequence_ids`, as `pieces.assembled` makes them."""
    lengths = row.document_lengths.astype(numpy.int64)
    numbers = numpy.repeat(numpy.arange(len(lengths)), lengths)
    starts = numpy.repeat(lengths.cumsum() - lengths, lengths)
    positions = numpy.arange(len(numbers)) - starts
    return {"position_ids": torch.from_numpy(positions), "sequence_ids": torch.from_numpy(numbers)}


def _run_lengths(numbers: NDArray[Any]) -> NDArray[Any]:
    edges = numpy.flatnonzero(numpy.diff(numbers, prepend=-1, append=-1))
    return numpy.diff(edges).astype(numpy.int32)


def _nothing(dtype: type[Any]) -> NDArray[Any]:
    return numpy.zeros(0, dtype=dtype)
