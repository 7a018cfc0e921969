"""Turns documents that can only be read in order into examples: packed blocks, or one example per document.

The documents `aaaaa`, `bbb`, `cccc` and `d` (a letter is a token) in blocks of 6 tokens:

    greedy                            best_fit, open_blocks=2
    aaaaab                            aaaaa·      closed when cccc opens a third block: it is the fullest
    bbcccc                            bbb···      closed at the end of the pass
    d                                 ccccd·      d goes to the fullest open block with room

(A last block of one token, as `d`, is dropped, because one token predicts nothing.)

Three stages pull from one another, each an iterator with a state that JSON can hold (`fgc_runtime.data.stage`):

    source (documents)  ->  EncodedStream (tokens of each document)  ->  PackedStream (blocks)

To resume exactly, each stage saves the least that it needs. `EncodedStream` reads blocks of 64 documents. It saves the
state of the source at the beginning of the current block and the number of documents used from it, then encodes the
block again. `PackedStream` saves the pieces in its open blocks, which no source would give a second time, and closed
blocks that it has not yielded yet. After `aaaaab` above, that is: 2 documents used, and an open block `b`.

With `encoding_in_processes`, blocks of documents are encoded by a pool, some blocks ahead. The saved state is still
that of the block whose documents are being yielded, so the number of processes never changes what is read.
"""

import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from multiprocessing import get_context
from typing import Any

from transformers import PreTrainedTokenizerFast

from fgc_runtime.data.bins import OpenBins, Strategy, check_strategy
from fgc_runtime.data.encoding import Encoded, Encoder, TextEncoder
from fgc_runtime.data.pieces import Example, Piece, assembled, check_cutting, pieces_of
from fgc_runtime.data.stage import BlockStage, Stage, State, joint_fingerprint

_ENCODED_AT_ONCE = 64  # documents: enough to keep the tokenizer's threads busy, few enough to encode again on resuming


_num_processes: ContextVar[int] = ContextVar("num_processes", default=1)


@contextmanager
def encoding_in_processes(count: int) -> Iterator[None]:
    """Makes streams that are read in this context encode documents in `count` processes; the order stays the same."""
    token = _num_processes.set(count)
    try:
        yield
    finally:
        _num_processes.reset(token)


class EncodedStream(BlockStage[Encoded]):
    """The tokens of each document, in order."""

    def __init__(self, source: Iterable[Any], encoder: Encoder) -> None:
        super().__init__(source, block_length=_ENCODED_AT_ONCE)
        self.encoder = encoder

    @property
    def fingerprint(self) -> str | None:
        """Returns a hash of the source's fingerprint and of the encoder's tokenizer and settings."""
        return joint_fingerprint(self, [self.encoder.key], [self.source])

    def arranged(self, block: list[Any]) -> Sequence[Encoded]:
        """Returns the encoded documents of a block in the same order, without those that have no tokens."""
        return _encoded(self.encoder, block)

    def items(self) -> Iterator[Encoded]:
        """Yields the documents of one block after another; with several processes, blocks are encoded ahead."""
        count = _num_processes.get()
        if count == 1:
            yield from super().items()
            return
        with ProcessPoolExecutor(
            count, get_context("fork"), initializer=_begin_worker, initargs=(self.encoder,)
        ) as pool:
            try:
                yield from self._items_of(pool, most_ahead=4 * count)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _items_of(self, pool: Executor, *, most_ahead: int) -> Iterator[Encoded]:
        if self._before is not None:
            self.source.load_state_dict(self._before)
        source = iter(self.source)
        waiting: deque[tuple[State, Future[list[Encoded]]]] = deque()
        before = self.source.state_dict()
        while True:
            while len(waiting) < most_ahead and (block := list(islice(source, self.block_length))):
                waiting.append((before, pool.submit(_encode_in_worker, block)))
                before = self.source.state_dict()
            self._before = waiting[0][0] if waiting else before
            if not waiting:
                return
            arranged = waiting.popleft()[1].result()
            while self._used < len(arranged):
                self._used += 1
                yield arranged[self._used - 1]
            self.number, self._used = self.number + 1, 0


def _encoded(encoder: Encoder, block: Sequence[Any]) -> list[Encoded]:
    return [encoded for encoded in encoder.encode(block) if len(encoded.ids)]


_of_worker: list[Encoder] = []


def _begin_worker(encoder: Encoder) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Ctrl-C, the main process ends this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _of_worker[:] = [encoder]


def _encode_in_worker(block: Sequence[Any]) -> list[Encoded]:
    return _encoded(_of_worker[0], block)


class TokenizedStream(Stage[Example]):
    """One example per document, truncated to `max_length` tokens."""

    def __init__(
        self,
        texts: Iterable[Any],
        tokenizer: PreTrainedTokenizerFast,
        max_length: int,
        *,
        encoder: Encoder | None = None,
    ) -> None:
        if max_length < 2:
            raise ValueError(f"max_length ({max_length}) must be at least 2: the first token predicts nothing")
        self.max_length = max_length
        self._documents = EncodedStream(texts, encoder or TextEncoder(tokenizer))

    @property
    def fingerprint(self) -> str | None:
        """Returns a hash of the documents' fingerprint and of the length."""
        return joint_fingerprint(self, [self.max_length], [self._documents])

    @property
    def file_hashes(self) -> dict[str, str]:
        """The documents'."""
        return self._documents.file_hashes

    def set_epoch(self, epoch: int) -> None:
        """For the documents too."""
        super().set_epoch(epoch)
        self._documents.set_epoch(epoch)

    def begin(self) -> None:
        """From the first document."""
        self._documents.begin()

    def items(self) -> Iterator[Example]:
        """Yields one example for each document."""
        for document in self._documents.items():
            marks = None if document.is_label is None else document.is_label[: self.max_length]
            yield assembled([Piece(document.ids[: self.max_length], marks)], isolate=False)

    def own_state(self) -> State:
        """The documents'."""
        return {"documents": self._documents.state_dict()}

    def take_state(self, state: Mapping[str, Any]) -> None:
        """The documents'."""
        self._documents.load_state_dict(state["documents"])


class PackedStream(Stage[Example]):
    """`PackedDataset` for documents that arrive one after another; the state contains the open blocks.

    `greedy` fills one block at a time. `first_fit` and `best_fit` keep at most `open_blocks` open and put each document
    into one with room. A document that fits in none opens another block, and the fullest is closed if there are too
    many. At the end of a pass, the open blocks are closed.
    """

    def __init__(
        self,
        texts: Iterable[Any],
        tokenizer: PreTrainedTokenizerFast,
        block_size: int,
        *,
        strategy: Strategy = "greedy",
        open_blocks: int = 64,
        isolate_documents: bool = True,
        min_length: int = 1,
        stride: int = 0,
        truncation: bool = False,
        encoder: Encoder | None = None,
    ) -> None:
        check_strategy(strategy)
        check_cutting(block_size, stride=stride, min_length=min_length)
        if open_blocks < 1:
            raise ValueError(f"open_blocks ({open_blocks}) must be at least 1")
        self.block_size = block_size
        self.isolate_documents = isolate_documents
        self.strategy = strategy
        self.min_length = min_length
        self.stride = stride
        self.truncation = truncation
        most_open = 1 if strategy == "greedy" else open_blocks
        self._open: OpenBins[Piece] = OpenBins(block_size, strategy=strategy, most_open=most_open)
        self._ready: list[list[Piece]] = []  # closed blocks that are not yielded yet
        self._documents = EncodedStream(texts, encoder or TextEncoder(tokenizer))

    @property
    def fingerprint(self) -> str | None:
        """Returns a hash of the documents' fingerprint and of all settings."""
        settings = [self.block_size, self.strategy, self._open.most_open, self.isolate_documents]
        return joint_fingerprint(self, [*settings, self.min_length, self.stride, self.truncation], [self._documents])

    @property
    def file_hashes(self) -> dict[str, str]:
        """The documents'."""
        return self._documents.file_hashes

    def set_epoch(self, epoch: int) -> None:
        """For the documents too."""
        super().set_epoch(epoch)
        self._documents.set_epoch(epoch)

    def begin(self) -> None:
        """Starts with the first document and no open block."""
        self._documents.begin()
        self._open.close_all()
        self._ready = []

    def items(self) -> Iterator[Example]:
        """Yields one example for each closed block, and at the end those of the open blocks."""
        yield from self._closed()
        for document in self._documents.items():
            self._place(document)
            yield from self._closed()
        self._ready += self._open.close_all()
        yield from self._closed()

    def own_state(self) -> State:
        """Returns the position in the documents, and the pieces in open and ready blocks."""
        blocks = [[piece.state() for piece in block] for block in self._open.bins]
        ready = [[piece.state() for piece in block] for block in self._ready]
        return {"documents": self._documents.state_dict(), "open": blocks, "ready": ready}

    def take_state(self, state: Mapping[str, Any]) -> None:
        """Restores the position in the documents, and the open and ready blocks."""
        self._documents.load_state_dict(state["documents"])
        self._open.bins = [[Piece.from_state(piece) for piece in block] for block in state["open"]]
        self._open.rooms = [self.block_size - sum(map(len, block)) for block in self._open.bins]
        self._ready = [[Piece.from_state(piece) for piece in block] for block in state["ready"]]

    def _closed(self) -> Iterator[Example]:
        while self._ready:
            block = self._ready.pop(0)
            if sum(map(len, block)) > 1:  # one token has nothing to predict
                yield assembled(block, isolate=self.isolate_documents)

    def _place(self, document: Encoded) -> None:
        if self.truncation:
            marks = None if document.is_label is None else document.is_label[: self.block_size]
            document = Encoded(document.ids[: self.block_size], marks)
        if self.strategy == "greedy":
            self._place_greedily(document)
            return
        for piece in pieces_of(document, self.block_size, stride=self.stride, min_length=self.min_length):
            self._take(piece)

    def _place_greedily(self, document: Encoded) -> None:
        """Cuts a document where the block is full; closes a block with too little room for another part."""
        first, context, end = 0, 0, len(document.ids)
        while end - first - context >= self.min_length:
            room = self._open.rooms[0] if self._open.rooms else self.block_size
            if room < context + self.min_length:
                self._ready += self._open.close_all()
                continue
            last = min(end, first + room)
            marks = None if document.is_label is None else document.is_label[first:last]
            self._take(Piece(document.ids[first:last], marks, context))
            first, context = (last - self.stride, self.stride) if last < end else (end, 0)

    def _take(self, piece: Piece) -> None:
        closed = self._open.add(piece, len(piece))
        if closed is not None:
            self._ready.append(closed)
