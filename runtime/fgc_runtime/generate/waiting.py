"""Prompts that wait or are being read, and which of them read how much in a turn."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from fgc_runtime.generate.job import Ticket
from fgc_runtime.generate.prefill import Prefill
from fgc_runtime.generate.reply import Reply


@dataclass(slots=True, eq=False)
class Waiting:
    """A ticket whose prompt is being read, or whose choices do not all have a row yet.

    `resumed` is a text that gave its row back, and is read with what it had generated.
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
        """Tokens that are not read yet."""
        return len(self.ids) if self.prefill is None else self.prefill.num_left


def reading_order(waiting: Sequence[Waiting], chunk_size: int) -> list[tuple[Waiting, int]]:
    """Returns prompts with the tokens that each may read in a turn of `chunk_size`.

    The oldest has half, so that it is read some time; then the shortest come, which a long one would keep waiting.
    """
    if len(waiting) < 2:
        return [(head, chunk_size) for head in waiting]
    oldest, *others = waiting
    others.sort(key=lambda each: each.num_left)
    return [(oldest, max(1, chunk_size // 2)), *((other, chunk_size) for other in others), (oldest, chunk_size)]
