"""Runs a model for all jobs on one worker thread; each turn reads some prompts, then steps the running texts.

Any thread may submit jobs. Events are delivered once per turn through `deliver`, on the worker thread. A prompt that
fails ends alone; a step that fails ends the texts of its batch. Out of memory, the youngest text steps back and is
read again when others have ended. The package's docstring has an example.
"""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count

import torch
from torch import Tensor
from transformers import PreTrainedModel

from fgc_runtime.generate.budget import max_tokens
from fgc_runtime.generate.detokenizer import Vocabulary
from fgc_runtime.generate.forward import Forward
from fgc_runtime.generate.job import Computation, Computed, Event, Failure, Job, PromptScores, Sink, Ticket
from fgc_runtime.generate.memory import give_back
from fgc_runtime.generate.prefill import Prefill
from fgc_runtime.generate.prefixes import MIN_TOKENS, Prefixes
from fgc_runtime.generate.probe import RowsKind, fitting_rows
from fgc_runtime.generate.reply import Reply
from fgc_runtime.generate.rows import PackedRows, Rows
from fgc_runtime.generate.sampling import choose
from fgc_runtime.generate.scores import ScoredToken, scored
from fgc_runtime.generate.waiting import Waiting, reading_order

Deliver = Callable[[Sequence[tuple[Sink, Event]]], None]

_FEW = 4  # a batch with at most a quarter of the rows of the largest steps less often: it costs about as much
_RAREST = 4  # every batch steps at least every fourth turn
_READS_BESIDE = 4  # while texts are running, a turn reads only this fraction of a chunk

_log = logging.getLogger(__name__)


def deliver_directly(events: Sequence[tuple[Sink, Event]]) -> None:
    """Calls the sinks on the worker thread."""
    for sink, event in events:
        sink(event)


@dataclass(slots=True)
class Load:
    """Counts of the engine's work, for other threads to read."""

    num_running: int = 0
    num_waiting: int = 0
    num_prompt_tokens: int = 0
    num_generated_tokens: int = 0
    num_preemptions: int = 0


class Engine:
    """Continues prompts with one model. `end_ids` end a text; at most `max_batch_size` texts run at once.

    A turn reads at most `chunk_size` tokens of prompts. Keys and values get `kv_memory_bytes`, or the fraction
    `kv_share` of the free memory.
    """

    def __init__(
        self,
        forward: Forward,
        vocabulary: Vocabulary,
        *,
        end_ids: frozenset[int] = frozenset(),
        max_batch_size: int = 32,
        chunk_size: int = 512,
        kv_memory_bytes: int | None = None,
        kv_share: float = 0.5,
        deliver: Deliver = deliver_directly,
    ) -> None:
        self.load = Load()
        self.rows_kind: RowsKind = fitting_rows(forward)
        self._forward = forward
        self._vocabulary = vocabulary
        self._end_ids = end_ids
        self._max_batch_size = max_batch_size
        self._chunk_size = chunk_size
        self._deliver = deliver
        self._numbers = count()
        self._inbox: queue.SimpleQueue[Ticket | Computation | None] = queue.SimpleQueue()
        self._waiting: deque[Waiting] = deque()
        self._computations: deque[Computation] = deque()
        self._running: list[Reply] = []
        self._stepping_back: set[Reply] = set()
        self._turn = 0
        self._is_full = False  # memory ran out: no prompt is read until a text has ended
        self._rows: Rows = self.rows_kind(forward)
        self.max_tokens = max_tokens(forward, self._rows, kv_memory_bytes, kv_share)
        shares = self.max_tokens is not None and self.rows_kind is PackedRows
        self._prefixes = Prefixes(self.max_tokens // 2 if shares and self.max_tokens is not None else 0)
        self._outbox: list[tuple[Sink, Event]] = []
        self._is_stopping = False
        self._thread = threading.Thread(target=self._work, name="generate", daemon=True)

    @property
    def model(self) -> PreTrainedModel:
        return self._forward.model

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive() and not self._is_stopping

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Tells the worker to fail all jobs and end. Safe in a signal handler; `join` waits for the end."""
        self._is_stopping = True
        self._inbox.put(None)

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def submit(self, job: Job, sink: Sink) -> Ticket:
        """Queues a job, whose events go to `sink`. Raises ValueError if the prompt is empty."""
        if not job.prompt:
            raise ValueError("prompt must have at least one token")
        ticket = Ticket(job, sink, next(self._numbers))
        self._inbox.put(ticket)
        return ticket

    def submit_computation(self, computation: Computation) -> None:
        """Queues a computation, whose single event goes to its sink."""
        self._inbox.put(computation)

    @torch.inference_mode()
    def _work(self) -> None:
        while not self._is_stopping:
            self._receive()
            if not self._is_stopping:
                self._drop_cancelled()
                self._compute()
                self._read_prompts()
                self._step()
                self._send()
        self._receive_all()
        self._fail([waiting.ticket for waiting in self._waiting], "the server is shutting down", is_shutdown=True)
        self._fail_running("the server is shutting down", is_shutdown=True)
        for computation in self._computations:
            self._outbox.append((computation.sink, Failure("the server is shutting down", is_shutdown=True)))
        self._send()

    def _receive(self) -> None:
        """Takes new jobs from the inbox; waits for one if there is nothing else to do."""
        if not self._waiting and not self._running and not self._computations:
            if self._inbox.empty():
                give_back()
            self._accept(self._inbox.get())
        self._receive_all()

    def _receive_all(self) -> None:
        while not self._inbox.empty():
            self._accept(self._inbox.get())

    def _accept(self, ticket: Ticket | Computation | None) -> None:
        if isinstance(ticket, Computation):
            self._computations.append(ticket)
        elif ticket is not None:
            self._waiting.append(Waiting(ticket, choices=deque(range(ticket.job.num_choices))))

    def _compute(self) -> None:
        """Runs at most one computation, so that running texts step between two."""
        if not self._computations:
            return
        computation = self._computations.popleft()
        try:
            event: Event = Computed(computation.compute(self._forward))
        except Exception as error:  # this one fails; the others continue
            _log.exception("a computation failed")
            event = Failure(f"{type(error).__name__}: {error}")
        self._outbox.append((computation.sink, event))

    def _drop_cancelled(self) -> None:
        self._waiting = deque(waiting for waiting in self._waiting if not waiting.ticket.is_cancelled)
        for row in range(len(self._running) - 1, -1, -1):
            if self._running[row].ticket.is_cancelled:
                self._leave(row)

    def _leave(self, row: int) -> None:
        self._is_full = False
        self._rows.leave(row)
        self._running[row] = self._running[-1]
        self._running.pop()

    def _read_prompts(self) -> None:
        """Reads up to a chunk of prompt tokens while rows are free; less of a chunk while texts are running."""
        budget = max(1, self._chunk_size // _READS_BESIDE) if self._running else self._chunk_size
        for head, share in reading_order(self._waiting, budget):
            if head not in self._waiting:
                continue
            while budget > 0 and share > 0 and len(self._running) < self._max_batch_size and self._fits(head):
                try:
                    num_read = self._read(head, min(budget, share))
                except Exception as error:  # this prompt fails; the others continue
                    self._give_up(head, error)
                    break
                budget, share = budget - num_read, share - num_read
                if not head.choices and head.resumed is None:
                    self._waiting.remove(head)
                    break
                if num_read == 0:
                    break

    def _fits(self, head: Waiting) -> bool:
        """Returns True if a text fits into memory beside the running ones. Drops kept prefixes to make room."""
        if not self._running:
            return True
        if self._is_full or self.max_tokens is None:
            return not self._is_full
        room = self.max_tokens - self._num_held() - len(head.ids) - len(self._running)
        if head.prefill is None:
            self._prefixes.shrink(max(0, room))
        return room >= 0

    def _num_held(self) -> int:
        """Returns the number of tokens with keys and values in memory: of running texts, and of prompts being read."""
        running = sum(len(reply.ticket.job.prompt) + len(reply.ids) for reply in self._running)
        return running + sum(len(waiting.ids) for waiting in self._waiting if waiting.prefill is not None)

    def _give_up(self, head: Waiting, error: Exception) -> None:
        """Fails a prompt that cannot be read. Out of memory, it waits to be read again when a text has ended."""
        if _is_out_of_memory(error) and self._running:
            head.prefill = None
            self._prefixes.shrink(0)
            self._is_full = True
            return
        _log.error("reading a prompt failed", exc_info=error)
        self._waiting.remove(head)
        self._fail([head.ticket], f"{type(error).__name__}: {error}")

    def _read(self, head: Waiting, max_read: int) -> int:
        job, num_read = head.ticket.job, 0
        if head.prefill is None:
            num_top = (job.num_top or 0) if job.scores_prompt and head.resumed is None else None
            head.ticket.begun_s = head.ticket.begun_s or time.monotonic()
            known = self._prefixes.find(head.ids) if num_top is None else None
            head.prefill = Prefill(self._forward, self._rows, head.ids, num_top=num_top, known=known)
        prefill = head.prefill
        if not prefill.is_done:
            num_read = prefill.advance(max_read)
            self.load.num_prompt_tokens += num_read
            if prefill.is_done:
                self._prefixes.keep(head.ids, prefill.cache)
            if prefill.is_done and job.scores_prompt and head.resumed is None:
                self._tell(head.ticket, PromptScores(tuple(prefill.scores)))
        if prefill.is_done:
            self._begin(head, prefill)
        return num_read

    def _begin(self, head: Waiting, prefill: Prefill) -> None:
        """Starts as many choices of a job as there are free rows, with their first token."""
        assert prefill.logits_V is not None, "a prompt that is read has logits"
        if head.resumed is not None:
            replies, head.resumed = [head.resumed], None
        else:
            num_free = self._max_batch_size - len(self._running)
            choices = [head.choices.popleft() for _ in range(min(num_free, len(head.choices)))]
            replies = [Reply(head.ticket, choice, self._vocabulary, self._end_ids) for choice in choices]
        if head.ticket.job.max_tokens == 0:
            for reply in replies:
                self._tell(head.ticket, reply.empty())
            return
        ids = list(prefill.ids)
        self._advance(prefill.logits_V.repeat(len(replies), 1), replies)
        for reply in replies:
            if reply.finish is None:
                self._join(reply, prefill, ids)

    def _join(self, reply: Reply, prefill: Prefill, ids: Sequence[int]) -> None:
        """Gives a text a row. Out of memory, the text waits to be read again when another has ended."""
        try:
            self._rows.join(prefill.cache, ids)
        except Exception as error:
            if not (_is_out_of_memory(error) and self._running):
                raise
            self._prefixes.shrink(0)
            self._wait_again(reply)
            return
        self._running.append(reply)

    def _wait_again(self, reply: Reply) -> None:
        self._waiting.appendleft(Waiting(reply.ticket, resumed=reply))
        self._is_full = True
        self.load.num_preemptions += 1

    def _step(self) -> None:
        """Gives each running text one more token, and removes those that have ended."""
        for batch in self._due_batches():
            replies = [self._running[row] for row in batch]
            try:
                logits_BV = self._rows.step(batch, [reply.last_token for reply in replies])
                self._advance(logits_BV, replies)
            except Exception as error:
                self._step_failed(replies, error)
        for row in range(len(self._running) - 1, -1, -1):
            if (reply := self._running[row]).finish is not None:
                self._keep_text(row, reply)
                self._leave(row)
            elif reply in self._stepping_back:
                self._step_back(row, reply)
        self._stepping_back = set()
        if self.max_tokens is not None and len(self._running) > 1 and self._num_held() > self.max_tokens:
            self._step_back(*self._youngest(self._running))

    def _due_batches(self) -> list[list[int]]:
        """Returns the batches that step in this turn: small ones beside a large one skip some turns."""
        batches = self._rows.batches() if self._running else []
        largest = max(map(len, batches), default=0)
        self._turn += 1
        return [batch for batch in batches if self._turn % max(1, min(_RAREST, largest // (len(batch) * _FEW))) == 0]

    def _step_failed(self, replies: Sequence[Reply], error: Exception) -> None:
        """Fails the texts of a batch; out of memory, only its youngest steps back, unless it runs alone."""
        if _is_out_of_memory(error) and len(self._running) > 1:
            self._prefixes.shrink(0)
            self._stepping_back.add(self._youngest(replies)[1])
            return
        _log.error("a step failed", exc_info=error)
        self._fail({reply.ticket for reply in replies}, f"{type(error).__name__}: {error}")

    def _youngest(self, replies: Sequence[Reply]) -> tuple[int, Reply]:
        return max(enumerate(replies), key=lambda numbered: numbered[1].ticket.number)

    def _step_back(self, row: int, reply: Reply) -> None:
        """Takes a text's row; the text is the first to be read again when there is room."""
        self._leave(row)
        self._wait_again(reply)

    def _keep_text(self, row: int, reply: Reply) -> None:
        """Keeps a text's keys and values for a later prompt that begins with it."""
        ids = reply.ticket.job.prompt + tuple(reply.ids[:-1])
        if MIN_TOKENS <= len(ids) <= self._prefixes.max_tokens:
            try:
                self._prefixes.keep(ids, self._rows.prefix(row))
            except Exception as error:  # such as out of memory: nothing is kept then
                _log.info("a text is not kept: %s", error)

    def _advance(self, logits_BV: Tensor, replies: Sequence[Reply]) -> None:
        """Chooses a token for each reply and sends what it adds."""
        num_tops = {row: top for row, reply in enumerate(replies) if (top := reply.ticket.job.num_top) is not None}
        raw_BV = logits_BV[list(num_tops)].clone() if num_tops else None
        tokens = choose(logits_BV, [reply.chooser for reply in replies])
        scores: dict[int, ScoredToken] = {}
        if raw_BV is not None:
            found = scored(raw_BV, [tokens[row] for row in num_tops], num_top=max(num_tops.values()))
            cut = [replace(score, top=score.top[:top]) for score, top in zip(found, num_tops.values(), strict=True)]
            scores = dict(zip(num_tops, cut, strict=True))
        for row, (reply, token) in enumerate(zip(replies, tokens, strict=True)):
            delta = reply.take(token, scores.get(row))
            if reply.error is not None:
                self._refuse(reply.ticket, f"The grammar of the answer cannot be followed: {reply.error}")
            elif delta is not None:
                self._tell(reply.ticket, delta)
        self.load.num_generated_tokens += len(tokens)

    def _fail_running(self, message: str, *, is_shutdown: bool = False) -> None:
        self._fail({reply.ticket for reply in self._running}, message, is_shutdown=is_shutdown)
        self._running = []
        self._rows = self.rows_kind(self._forward)

    def _fail(self, tickets: Iterable[Ticket], message: str, *, is_shutdown: bool = False) -> None:
        for ticket in tickets:
            ticket.is_cancelled = True
            self._tell(ticket, Failure(message, is_shutdown))

    def _refuse(self, ticket: Ticket, message: str) -> None:
        ticket.is_cancelled = True
        self._tell(ticket, Failure(message, is_asked_for=True))

    def _tell(self, ticket: Ticket, event: Event) -> None:
        self._outbox.append((ticket.sink, event))

    def _send(self) -> None:
        self.load.num_running, self.load.num_waiting = len(self._running), len(self._waiting)
        if self._outbox:
            self._deliver(self._outbox)
            self._outbox = []


def _is_out_of_memory(error: Exception) -> bool:
    """Returns True for the errors that torch (GPU or CPU) and Python raise when memory runs out."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)
