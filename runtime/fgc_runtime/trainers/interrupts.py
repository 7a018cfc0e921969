"""Ctrl-C, SIGTERM, SIGUSR1 and a closed terminal to a request that the loop answers between two steps."""

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType

from fgc_runtime.output import leave_closed_terminal

_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
_ONE_REQUEST_S = 0.5  # torchrun passes on the Ctrl-C that its processes have also received from the terminal
_NOTICE = b"\nStopping after this step, with a checkpoint. Interrupt again to stop at once.\n"


class TrainingInterrupted(SystemExit):
    """Training stopped before its last step, to go on later or not at all; ends the program with `exit_code`.

    On a signal that is what the shell expects, with a checkpoint: 130 for Ctrl-C, 143 for SIGTERM, 138 for SIGUSR1,
    129 for SIGHUP. 0 for a pause that was asked for, with a checkpoint; 1 for an abort, without.
    """

    def __init__(self, exit_code: int, checkpoint: Path | None) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code
        self.checkpoint = checkpoint


class Interrupts:
    """While entered, the first signal is remembered and the second ends the program.

    Outside the main thread Python delivers no signals, so nothing is handled there. SIGHUP, which a closed terminal
    sends, perhaps twice, stays ignored where it was (`nohup`), and never ends the program at once.
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
        """One number per handled signal: 1 where it was received. Processes add these up to agree."""
        return [int(self._received == number) for number in _HANDLED]

    @staticmethod
    def agreed(flags: Sequence[int]) -> signal.Signals | None:
        """The signal that any process received."""
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
                with suppress(OSError):  # nobody to tell
                    os.write(2, _NOTICE)  # print is not safe in a handler: it may interrupt another print
        elif self._received == signal.SIGUSR1 and not self._is_followed:
            self._is_followed = True  # a warning of Slurm to all processes, which `fgc train` passes on as SIGTERM
        elif number != signal.SIGHUP and time.monotonic() - self._received_s > _ONE_REQUEST_S:
            raise SystemExit(128 + number)

    def _receive_in_worker(self, number: int) -> None:
        """Data loading processes inherit the handler: the terminal's Ctrl-C must leave them to the last step."""
        if number == signal.SIGTERM:
            raise SystemExit(128 + number)
