"""What a command does when nobody reads its output on, or there is no room for it."""

import errno
import os
import sys
from collections.abc import Callable


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


def _silence_output() -> None:
    """Python must not try once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
