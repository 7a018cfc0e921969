"""What the processes of a run tell each other before a step and between the batches of an evaluation: one sum."""

from collections.abc import Sequence
from signal import Signals
from typing import NamedTuple

from fgc_runtime.callbacks import TrainerControl
from fgc_runtime.distributed import World
from fgc_runtime.trainers.interrupts import Interrupts


class Requests(NamedTuple):
    """Holds what any process was asked for, known to all."""

    should_stop: bool
    should_save: bool
    should_evaluate: bool
    should_pause: bool
    should_abort: bool
    intervals: dict[str, int]
    received: Signals | None

    @property
    def should_leave(self) -> bool:
        """Returns True if no further step will be done."""
        return self.should_stop or self.should_pause or self.should_abort or self.received is not None


def agree(
    world: World, control: TrainerControl, interrupts: Interrupts, counts: Sequence[int] = ()
) -> tuple[list[int], Requests]:
    """The sums of `counts` over all processes, and the requests of all. What is done once is forgotten here."""
    asked = [
        control.should_stop,
        control.should_save,
        control.should_evaluate,
        control.should_pause,
        control.should_abort,
        bool(control.intervals),
    ]
    intervals = control.intervals
    control.should_save = control.should_evaluate = False
    control.intervals = {}
    sums = world.sum([*counts, *map(int, asked), *interrupts.flags])
    first, last = len(counts), len(counts) + len(asked)
    stop, save, evaluate, pause, abort, change = (bool(number) for number in sums[first:last])
    if change:
        intervals = world.from_main(intervals)
    received = interrupts.agreed(sums[last:])
    return sums[:first], Requests(stop, save, evaluate, pause, abort, intervals, received)
