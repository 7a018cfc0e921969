"""One worker thread that runs a model for all jobs: each turn reads some prompt, then steps the running batch.

Jobs come in from any thread; events go out once per turn through `deliver`, on the worker thread. A failing job
ends alone; a failing step ends the running batch; neither ends the engine.
"""

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from fgc_runtime.generate.detokenizer import Vocabulary
from fgc_runtime.generate.forward import Forward
from fgc_runtime.generate.job import Computation, Computed, Event, Failure, Job, PromptScores, Sink, Ticket
from fgc_runtime.generate.prefill import Prefill
from fgc_runtime.generate.probe import RowsKind, fitting_rows
from fgc_runtime.generate.reply import Reply
from fgc_runtime.generate.sampling import choose
from fgc_runtime.generate.scores import ScoredToken, scored

Deliver = Callable[[Sequence[tuple[Sink, Event]]], None]

_log = logging.getLogger(__name__)


def deliver_directly(events: Sequence[tuple[Sink, Event]]) -> None:
    """Call the sinks on the worker thread."""
    for sink, event in events:
        sink(event)


@dataclass(slots=True)
class Load:
    """What the engine has to do and has done; read by other threads, never written by them."""

    num_running: int = 0
    num_waiting: int = 0
    num_prompt_tokens: int = 0
    num_generated_tokens: int = 0


@dataclass(slots=True)
class _Waiting:
    """A ticket whose prompt is being read, or whose choices do not all have a row yet."""

    ticket: Ticket
    prefill: Prefill | None = None
    choices: deque[int] = field(default_factory=deque)


class Engine:
    """Continues prompts with one model. `end_ids` end a text; at most `max_batch_size` sequences step together."""

    def __init__(
        self,
        forward: Forward,
        vocabulary: Vocabulary,
        *,
        end_ids: frozenset[int] = frozenset(),
        max_batch_size: int = 32,
        chunk_size: int = 512,
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
        self._inbox: queue.SimpleQueue[Ticket | Computation | None] = queue.SimpleQueue()
        self._waiting: deque[_Waiting] = deque()
        self._computations: deque[Computation] = deque()
        self._running: list[Reply] = []
        self._rows = self.rows_kind(forward)
        self._outbox: list[tuple[Sink, Event]] = []
        self._is_stopping = False
        self._thread = threading.Thread(target=self._work, name="generate", daemon=True)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive() and not self._is_stopping

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Fail what runs and waits, then end; safe in a signal handler. `join` waits for it."""
        self._is_stopping = True
        self._inbox.put(None)

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def submit(self, job: Job, sink: Sink) -> Ticket:
        """Queue a job; its events go to `sink`. Raises ValueError if the prompt is empty."""
        if not job.prompt:
            raise ValueError("prompt must have at least one token")
        ticket = Ticket(job, sink)
        self._inbox.put(ticket)
        return ticket

    def submit_computation(self, computation: Computation) -> None:
        """Queue a computation; its one event goes to its sink."""
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
        """Take new tickets; sleep while there is nothing else to do."""
        if not self._waiting and not self._running and not self._computations:
            self._accept(self._inbox.get())
        self._receive_all()

    def _receive_all(self) -> None:
        while not self._inbox.empty():
            self._accept(self._inbox.get())

    def _accept(self, ticket: Ticket | Computation | None) -> None:
        if isinstance(ticket, Computation):
            self._computations.append(ticket)
        elif ticket is not None:
            self._waiting.append(_Waiting(ticket, choices=deque(range(ticket.job.num_choices))))

    def _compute(self) -> None:
        """One computation a turn, so that texts go on between two."""
        if not self._computations:
            return
        computation = self._computations.popleft()
        try:
            event: Event = Computed(computation.compute(self._forward))
        except Exception as error:  # the model failed on this one: the others go on
            _log.exception("a computation failed")
            event = Failure(f"{type(error).__name__}: {error}")
        self._outbox.append((computation.sink, event))

    def _drop_cancelled(self) -> None:
        self._waiting = deque(waiting for waiting in self._waiting if not waiting.ticket.is_cancelled)
        for row in range(len(self._running) - 1, -1, -1):
            if self._running[row].ticket.is_cancelled:
                self._leave(row)

    def _leave(self, row: int) -> None:
        self._rows.leave(row)
        self._running[row] = self._running[-1]
        self._running.pop()

    def _read_prompts(self) -> None:
        """Read prompts in the order they came, up to a chunk of tokens, while rows are free."""
        budget = self._chunk_size
        while budget > 0 and self._waiting and len(self._running) < self._max_batch_size:
            head = self._waiting[0]
            try:
                budget -= self._read(head)
            except Exception as error:  # the model failed on this prompt: the others go on
                _log.exception("reading a prompt failed")
                self._waiting.popleft()
                self._fail([head.ticket], f"{type(error).__name__}: {error}")
                continue
            if not head.choices:
                self._waiting.popleft()

    def _read(self, head: _Waiting) -> int:
        job, num_read = head.ticket.job, 0
        if head.prefill is None:
            num_top = (job.num_top or 0) if job.scores_prompt else None
            head.prefill = Prefill(self._forward, self._rows, job.prompt, num_top=num_top)
        if not head.prefill.is_done:
            num_read = head.prefill.advance(self._chunk_size)
            self.load.num_prompt_tokens += num_read
            if head.prefill.is_done and job.scores_prompt:
                self._tell(head.ticket, PromptScores(tuple(head.prefill.scores)))
        if head.prefill.is_done:
            self._begin(head, head.prefill)
        return num_read

    def _begin(self, head: _Waiting, prefill: Prefill) -> None:
        """Give as many choices as there are free rows their first token."""
        num_free = self._max_batch_size - len(self._running)
        choices = [head.choices.popleft() for _ in range(min(num_free, len(head.choices)))]
        replies = [Reply(head.ticket, choice, self._vocabulary, self._end_ids) for choice in choices]
        if head.ticket.job.max_tokens == 0:
            for reply in replies:
                self._tell(head.ticket, reply.empty())
            return
        assert prefill.logits_V is not None, "a prompt that is read has logits"
        self._advance(prefill.logits_V.repeat(len(replies), 1), replies)
        for reply in replies:
            if reply.finish is None:
                self._rows.join(prefill.cache, prefill.ids)
                self._running.append(reply)

    def _step(self) -> None:
        """One token for each running row."""
        if not self._running:
            return
        try:
            logits_BV = self._rows.step([reply.last_token for reply in self._running])
            self._advance(logits_BV, self._running)
        except Exception as error:  # out of memory, say: the batch is lost, the engine is not
            _log.exception("a step failed")
            self._fail_running(f"{type(error).__name__}: {error}")
            return
        for row in range(len(self._running) - 1, -1, -1):
            if self._running[row].finish is not None:
                self._leave(row)

    def _advance(self, logits_BV: Tensor, replies: Sequence[Reply]) -> None:
        """Choose a token for each reply and tell what it adds."""
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
                self._fail([reply.ticket], f"The grammar of the answer cannot be followed: {reply.error}")
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

    def _tell(self, ticket: Ticket, event: Event) -> None:
        self._outbox.append((ticket.sink, event))

    def _send(self) -> None:
        self.load.num_running, self.load.num_waiting = len(self._running), len(self._waiting)
        if self._outbox:
            self._deliver(self._outbox)
            self._outbox = []
