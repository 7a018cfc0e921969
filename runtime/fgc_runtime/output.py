"""Output that nobody reads on, or that there is no room for, or whose terminal is gone: what a program does then."""

import errno
import io
import os
import select
import stat
import sys
import termios
from collections.abc import Callable
from typing import Any

from fgc_runtime.terminal import obeying_nothing

_has_hung_up = False


def run_command(main: Callable[[], int]) -> int:
    """The exit code of `main`: 130 after Ctrl-C, 0 behind a closed pipe (`| head`), 2 if the output has no room.

    What it prints on a terminal is shown and not obeyed: names, data and what a model writes come from others. Bars of
    progress on standard error move as they do.
    """
    output, errors = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = obeying_nothing(output), obeying_nothing(errors, has_bars=True)
    try:
        code = main()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _silence_output()
        return 0
    except OSError as error:
        if error.filename is not None or error.errno != errno.ENOSPC:
            raise
        _silence_output()
        print(f"fgc: the output cannot be written: {error.strerror}", file=sys.stderr)
        return 2
    finally:
        sys.stdout, sys.stderr = output, errors


def open_missing_streams() -> None:
    """Opens standard streams that the caller has closed (`>&-`): the next file would get their number and text."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def outlive_readers() -> None:
    """Lets whatever prints in this process go on when nobody reads it any more, a user's own `print` too."""
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__") and isinstance(stream, io.TextIOWrapper) and stream.fileno() == number:
            stream.flush()
            lasting = io.BufferedWriter(_Lasting(number, "w", closefd=False))
            setattr(
                sys,
                name,
                io.TextIOWrapper(
                    lasting,
                    stream.encoding,
                    stream.errors,
                    line_buffering=stream.line_buffering,
                    write_through=number == 2,
                ),
            )


class _Lasting(io.FileIO):
    """A standard stream; once nobody reads it, what is written goes nowhere."""

    def write(self, data: Any) -> int:
        """Writes, or drops it."""
        try:
            return super().write(data)
        except OSError as error:
            _leave(error)
            return len(data)


def say(text: str, *, is_warning: bool = False) -> None:
    """Print a line, to stderr if it is a warning. Where nobody can read it any more, nothing: work goes on."""
    when_heard(lambda: print(text, file=sys.stderr if is_warning else sys.stdout, flush=True))


def when_heard(write: Callable[[], None]) -> None:
    """Call what writes to standard output or error. Raises its OSError unless nobody is there to read it any more.

    That is so for a closed terminal, and for a pipe whose reader has ended (`| head`).
    """
    try:
        write()
    except OSError as error:
        _leave(error)


def _leave(error: OSError) -> None:
    """Sends output nowhere if nobody reads it. Raises the error of a write if that was not its reason."""
    is_pipe = error.errno == errno.EPIPE
    if not (is_pipe or error.errno == errno.EIO) or not leave_closed_terminal(has_hung_up=_has_hung_up or is_pipe):
        raise error


def leave_closed_terminal(*, has_hung_up: bool = False) -> bool:
    """Send output and errors nowhere, if they go to a terminal that has been closed; whether one of them did.

    With it go its other programs: once it `has_hung_up`, a pipe that nobody reads (`| tee`) is left like it.
    """
    global _has_hung_up
    _has_hung_up = _has_hung_up or has_hung_up
    closed = [n for n in (1, 2) if _is_closed_terminal(n) or (_has_hung_up and _is_closed_pipe(n))]
    if closed:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for descriptor in closed:
            os.dup2(nowhere, descriptor)
        os.close(nowhere)
    return bool(closed)


def _is_closed_terminal(descriptor: int) -> bool:
    try:
        termios.tcgetattr(descriptor)
    except termios.error as error:
        return bool(error.args[0] == errno.EIO)  # a file or a pipe: ENOTTY
    return False


def _is_closed_pipe(descriptor: int) -> bool:
    try:
        is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except OSError:
        return False
    poll = select.poll()
    poll.register(descriptor, 0)  # errors are always told
    return is_pipe and any(event & select.POLLERR for _, event in poll.poll(0))


def _silence_output() -> None:
    """Python must not try once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
