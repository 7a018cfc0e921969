"""Collects requests to a run, so that all processes act on them before the same step.

Requests come from signals, callbacks and other terminals. One sum over all processes per step, and per batch of an
evaluation, makes them known to all. `Control` then acts on them.
"""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType, TracebackType
from typing import NamedTuple

from fgc_runtime.callbacks import TrainerControl
from fgc_runtime.distributed import World
from fgc_runtime.output import leave_closed_terminal
from fgc_runtime.trainers.checkpoints.checkpoints import SaveFailed
from fgc_runtime.trainers.loop.log import Log
from fgc_runtime.trainers.loop.saving import Saves
from fgc_runtime.trainers.loop.session import Session

_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
_ONE_REQUEST_S = 0.5  # torchrun forwards a Ctrl-C that its processes have also received from the terminal
_NOTICE = b"\nStopping after this step, with a checkpoint. Interrupt again to stop at once.\n"


class TrainingInterrupted(SystemExit):
    """Training stopped before its last step; ends the program with `exit_code`.

    After a signal there is a checkpoint, and the code is the shell's convention: 130 for Ctrl-C, 143 for SIGTERM, 138
    for SIGUSR1, 129 for SIGHUP. 0 for a requested pause, with a checkpoint; 1 for an abort, without one.
    """

    def __init__(self, exit_code: int, checkpoint: Path | None) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code
        self.checkpoint = checkpoint


class Interrupts:
    """While entered, records the first signal; a second one ends the program.

    Outside the main thread Python delivers no signals, so none are handled. SIGHUP, which a closed terminal sends,
    perhaps twice, never ends the program at once, and stays ignored if it was (`nohup`).
    """

    def __init__(self, *, is_announced: bool) -> None:
        self._is_announced = is_announced
        self._process = os.getpid()
        self._received: signal.Signals | None = None
        self._received_s = 0.0
        self._is_followed = False
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "Interrupts":
        try:
            for number in _HANDLED:
                if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._receive)
        except ValueError:  # not the main thread
            self._previous = {}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # signal.signal takes back what it gave

    @property
    def flags(self) -> list[int]:
        """Returns one number per handled signal: 1 if it was received. Processes agree by adding them up."""
        return [int(self._received == number) for number in _HANDLED]

    @staticmethod
    def agreed(flags: Sequence[int]) -> signal.Signals | None:
        """Returns the signal that any process received, or None."""
        return next((number for number, count in zip(_HANDLED, flags, strict=True) if count), None)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            self._receive_in_worker(number)
            return
        if number == signal.SIGHUP:
            leave_closed_terminal(has_hung_up=True)
        if self._received is None:
            self._received, self._received_s = signal.Signals(number), time.monotonic()
            if self._is_announced:
                with suppress(OSError):  # no terminal
                    os.write(2, _NOTICE)  # print is not safe in a handler: it may interrupt another print
        elif self._received == signal.SIGUSR1 and not self._is_followed:
            self._is_followed = True  # a warning of Slurm to all processes, which `fgc train` passes on as SIGTERM
        elif number != signal.SIGHUP and time.monotonic() - self._received_s > _ONE_REQUEST_S:
            raise SystemExit(128 + number)

    def _receive_in_worker(self, number: int) -> None:
        """Ignores the signal in data loading processes, which inherit the handler and must run to the last step."""
        if number == signal.SIGTERM:
            raise SystemExit(128 + number)


class Requests(NamedTuple):
    """The requests to any process, known to all."""

    should_stop: bool
    should_save: bool
    should_evaluate: bool
    should_pause: bool
    should_abort: bool
    intervals: dict[str, int]
    received: signal.Signals | None

    @property
    def should_leave(self) -> bool:
        """Returns True if the run makes no further step."""
        return self.should_stop or self.should_pause or self.should_abort or self.received is not None


def agree(
    world: World, control: TrainerControl, interrupts: Interrupts, counts: Sequence[int] = ()
) -> tuple[list[int], Requests]:
    """Returns the sums of `counts` over all processes, and all requests. Clears requests that are answered once."""
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


class Control:
    """Collects the requests of all processes, and acts on them between two steps."""

    def __init__(self, session: Session, interrupts: Interrupts, log: Log, saves: Saves) -> None:
        self._session = session
        self._interrupts = interrupts
        self._log = log
        self._saves = saves

    def agree(self, counts: Sequence[int] = ()) -> tuple[list[int], Requests]:
        """Returns the sums of `counts` over all processes, and the requests to any of them, in one exchange."""
        session, meter = self._session, self._log.meter
        session.tell(lambda callback: callback.on_poll(session.run))
        own = [*counts, int(self._saves.is_done), int(meter.has_bad)]
        (*sums, num_saved, num_bad), requests = agree(session.world, session.run.control, self._interrupts, own)
        if num_bad:
            meter.settle()
        if num_saved == session.world.size:
            self._saves.finish()
        if requests.intervals:
            self._change_intervals(requests.intervals)
        return sums, requests

    def answer(self, requests: Requests) -> bool:
        """Saves if a save was requested. Returns True if the run should end as finished.

        Raises TrainingInterrupted if it should stop before it is finished.
        """
        session, control = self._session, self._session.run.control
        if requests.should_save:
            if session.state.global_step == 0:  # wait for the first step, because the optimizer has no state yet
                control.should_save = True
            else:
                self._saves.start()
        if not requests.should_leave:
            return False
        session.why_ended = control.reason if requests.received is None else None
        if requests.should_abort:
            session.say(f"Aborted at {session.position}; nothing more has been written")
            raise TrainingInterrupted(1, None)
        if requests.received is None and not requests.should_pause:
            return True
        raise self._leaving(128 + requests.received if requests.received else 0)

    def is_called_away(self) -> bool:
        """Returns True if an evaluation should stop early; saves at once if a save was requested."""
        _, requests = self.agree()
        if requests.should_save:
            self._saves.start()
        return requests.should_leave

    def _leaving(self, exit_code: int) -> TrainingInterrupted:
        """Writes a checkpoint; returns the exception that ends the run. Raises SaveFailed."""
        session = self._session
        if session.state.global_step == 0:
            session.say(f"Stopped at {session.position}: there is nothing to save yet")
            return TrainingInterrupted(exit_code, None)
        folder = self._saves.start()
        self._saves.finish()
        if self._saves.newest_step != session.state.global_step:  # a failed save leaves no newest step
            raise SaveFailed(f"{folder.name} could not be written when the run had to stop")
        session.say(
            f"Stopped at {session.position}. The checkpoint is {folder}; "
            "go on from it with --resume (resume_from_checkpoint: true)"
        )
        return TrainingInterrupted(exit_code, folder)

    def _change_intervals(self, intervals: Mapping[str, int]) -> None:
        """Applies requested intervals; those that conflict with other arguments are only refused."""
        session = self._session
        session.run.control.intervals_problem = None
        try:
            session.args = replace(session.args, **intervals)  # type: ignore[arg-type]  # names of whole numbers
        except ValueError as problem:
            session.run.control.intervals_problem = str(problem)
            session.warn(f"intervals stay as they are: {problem}")
        session.run.arguments = asdict(session.args)
