"""Chunks of documents to files of tokens, and these to the pieces of blocks."""

import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from fgc_runtime.data.packing import Block, Recipe, encoded_documents
from fgc_runtime.data.pieces import Example, Piece, assembled

_CHUNK_CHARACTERS = 1 << 21  # a second or two of encoding
_USUAL_CONVERSATION = 2_000  # characters, where the length would have to be found


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some of the documents, and the files of their tokens."""

    folder: str
    number: int
    first: int
    num_documents: int

    def path(self, what: str) -> Path:
        """Returns the file of `tokens` (int32), `ends` (int64) or `marks` (bool)."""
        return Path(self.folder) / f"{self.number:05}.{what}"

    @property
    def is_done(self) -> bool:
        """Returns True if all its files are there: tokens come last."""
        return self.path("tokens").is_file()


def chunk_tasks(folder: Path, documents: Sequence[Any]) -> list[Chunk]:
    """Returns chunks that take about equally long; they depend on the documents alone, so that a later try has them."""
    chunks: list[Chunk] = []
    first = size = 0
    for number, document in enumerate(documents):
        size += len(document) if isinstance(document, str) else _USUAL_CONVERSATION
        if size >= _CHUNK_CHARACTERS or number + 1 == len(documents):
            chunks.append(Chunk(str(folder), len(chunks), first, number + 1 - first))
            first, size = number + 1, 0
    return chunks


def write_chunk(chunk: Chunk, recipe: Recipe) -> Chunk:
    """Encodes the documents of a chunk and writes them; returns the chunk.

    Raises what the encoder raises, with the document's place, and OSError, also for a full disk.
    """
    rows = range(chunk.first, chunk.first + chunk.num_documents)
    tokens, ends, marks = encoded_documents(recipe.documents, recipe.encoder, rows)
    if marks is not None:
        _write(chunk.path("marks"), marks)
    _write(chunk.path("ends"), ends)
    _write(chunk.path("tokens"), tokens)
    return chunk


class ChunkedCorpus:
    """All documents' tokens, as if end to end; `ends` says where documents end. Raises ValueError for no tokens."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self._chunks = chunks
        each = [_read(chunk.path("ends"), numpy.int64) for chunk in chunks]
        lengths = [int(ends[-1]) if len(ends) else 0 for ends in each]
        self._firsts = numpy.cumsum([0, *lengths]).tolist()
        self.ends: list[int] = numpy.concatenate(
            [ends + first for ends, first in zip(each, self._firsts, strict=False)]
        ).tolist()
        if not self.ends:
            raise ValueError("texts hold no tokens")
        self._open: dict[int, tuple[NDArray[Any], NDArray[Any] | None]] = {}

    def example(self, block: Block, *, isolate: bool) -> Example:
        """Returns the example of these parts."""
        return assembled([self._piece(*part) for part in block], isolate=isolate)

    def _piece(self, first: int, last: int, num_context: int) -> Piece:
        number = bisect_right(self._firsts, first) - 1
        if number not in self._open:
            self._open[number] = self._opened(self._chunks[number])
        tokens, marks = self._open[number]
        begin, end = first - self._firsts[number], last - self._firsts[number]
        return Piece(tokens[begin:end], None if marks is None else marks[begin:end], num_context)

    def _opened(self, chunk: Chunk) -> tuple[NDArray[Any], NDArray[Any] | None]:
        marks = chunk.path("marks")
        return _read(chunk.path("tokens"), numpy.int32), _read(marks, numpy.bool_) if marks.is_file() else None


def _write(path: Path, array: NDArray[Any]) -> None:
    """Writes a file that is complete or absent; not by numpy, whose error does not say that the disk is full."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            file.write(array.tobytes())
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _read(path: Path, dtype: type[Any]) -> NDArray[Any]:
    if path.stat().st_size == 0:  # nothing to map
        return numpy.zeros(0, dtype=dtype)
    return numpy.memmap(path, dtype=dtype, mode="r")
