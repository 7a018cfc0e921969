"""What a program does when nobody reads its output on, there is no room for it, or its terminal is gone."""

import errno
import os
import select
import stat
import sys
import termios
from collections.abc import Callable

_has_hung_up = False


def run_command(main: Callable[[], int]) -> int:
    """The exit code of `main`: 130 after Ctrl-C, 0 behind a closed pipe (`| head`), 2 if the output has no room."""
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


def say(text: str, *, is_warning: bool = False) -> None:
    """Print a line, to stderr if it is a warning. Where the terminal has been closed, nothing: work goes on."""
    when_heard(lambda: print(text, file=sys.stderr if is_warning else sys.stdout, flush=True))


def when_heard(write: Callable[[], None]) -> None:
    """Call what writes to standard output or error. Raises its OSError unless that comes of a closed terminal."""
    try:
        write()
    except OSError as error:
        if error.errno not in (errno.EIO, errno.EPIPE) or not leave_closed_terminal():
            raise


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
