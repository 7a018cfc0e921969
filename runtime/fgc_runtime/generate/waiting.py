"""Prompts that wait or are being read, and the order in which a turn reads them."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from fgc_runtime.generate.job import Ticket
from fgc_runtime.generate.prefill import Prefill
from fgc_runtime.generate.reply import Reply


@dataclass(slots=True, eq=False)
class Waiting:
    """A job whose prompt is not fully read, or whose choices do not all have a row yet.

    `resumed` is a text that stepped back: it is read again together with the tokens it had generated.
    """

    ticket: Ticket
    prefill: Prefill | None = None
    choices: deque[int] = field(default_factory=deque)
    resumed: Reply | None = None

    @property
    def ids(self) -> tuple[int, ...]:
        return self.ticket.job.prompt + (() if self.resumed is None else tuple(self.resumed.ids))

    @property
    def num_left(self) -> int:
        """Returns the number of tokens that are not read yet."""
        return len(self.ids) if self.prefill is None else self.prefill.num_left


def reading_order(waiting: Sequence[Waiting], chunk_size: int) -> list[tuple[Waiting, int]]:
    """Returns prompts in order, with the number of tokens that each may read in a turn of `chunk_size`.

    The oldest gets half of the chunk, so that it is never starved. Then the shortest come first, so that a long prompt
    does not block them. What is left goes to the oldest again.
    """
    if len(waiting) < 2:
        return [(head, chunk_size) for head in waiting]
    oldest, *others = waiting
    others.sort(key=lambda each: each.num_left)
    return [(oldest, max(1, chunk_size // 2)), *((other, chunk_size) for other in others), (oldest, chunk_size)]
