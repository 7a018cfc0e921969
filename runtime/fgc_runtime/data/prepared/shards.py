"""Rows to an Arrow file that is complete or absent, and an Arrow file to rows that stay on the disk.

A shard is one record batch in Arrow's stream format, which `datasets.Dataset.from_file` and pyarrow read too.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from fgc_runtime.data.prepared.rows import Row
from fgc_runtime.packages import require_package

_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Shard:
    """Describes a file, as the manifest has it; `size_bytes` and `sha256` are those of the whole file."""

    name: str
    num_examples: int
    num_tokens: int
    size_bytes: int
    sha256: str


def dtype_of(vocab_size: int) -> str:
    """Returns what ids are kept in: two bytes where they are enough."""
    return "uint16" if vocab_size <= 1 << 16 else "int32"


def write_shard(path: Path, rows: Sequence[Row], dtype: str) -> Shard:
    """Writes a file as a whole. Raises OSError, also for a full disk; what was begun is removed then."""
    require_package("pyarrow", "a prepared data set")
    import pyarrow  # 0.2 s

    columns = {
        "input_ids": _list_array([row.ids for row in rows], dtype),
        "document_lengths": _list_array([row.document_lengths for row in rows], "int32"),
        "is_label": _list_array([row.is_label for row in rows], "bool"),
    }
    batch = pyarrow.RecordBatch.from_pydict(columns)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            with pyarrow.ipc.new_stream(file, batch.schema) as stream:
                stream.write_batch(batch)
            file.flush()
            os.fsync(file.fileno())
        shard = Shard(
            path.name, len(rows), sum(len(row.ids) for row in rows), unfinished.stat().st_size, digest_of(unfinished)
        )
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return shard


def digest_of(path: Path) -> str:
    """Returns the SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_READ_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


class OpenShard:
    """The rows of a file by number; the operating system reads what is asked for."""

    def __init__(self, path: Path) -> None:
        import pyarrow  # 0.2 s

        batch: Any = pyarrow.ipc.open_stream(pyarrow.memory_map(str(path))).read_next_batch()
        batch.validate()  # lists that end outside of the file
        self._ids, self._id_ends = _arrays(batch.column(0))
        self._lengths, self._length_ends = _arrays(batch.column(1))
        self._marks = batch.column(2)
        self._has_marks = len(self._marks.values) > 0

    def row(self, number: int) -> Row:
        """Returns a row, whose arrays lie in the file."""
        ids = self._ids[self._id_ends[number] : self._id_ends[number + 1]]
        lengths = self._lengths[self._length_ends[number] : self._length_ends[number + 1]]
        marks = self._marks[number].values.to_numpy(zero_copy_only=False) if self._has_marks else _NO_MARKS
        return Row(ids, lengths, marks.astype(numpy.bool_))


_NO_MARKS = numpy.zeros(0, dtype=numpy.bool_)


def _arrays(column: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """The values of a list column, and where lists end."""
    return column.values.to_numpy(), column.offsets.to_numpy()


def _list_array(lists: Sequence[NDArray[Any]], dtype: str) -> Any:
    import pyarrow

    ends = numpy.cumsum([0, *map(len, lists)], dtype=numpy.int64)
    values = numpy.concatenate(lists).astype(dtype)
    return pyarrow.ListArray.from_arrays(pyarrow.array(ends.astype(numpy.int32)), pyarrow.array(values))
