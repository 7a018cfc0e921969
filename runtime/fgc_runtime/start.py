"""`python -m fgc_runtime.start MODULE|PROGRAM.py WORDS`: runs a module or a program; a signal is no error of it.

Ctrl-C while packages load ends it without a word, and one that torchrun has passed on ends torchrun so. Where a process
of torchrun's fails, it has told its error itself: torchrun adds which one it was, in a line.
"""

import importlib
import os
import runpy
import signal
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

from fgc_runtime.sources import freeze_program

_TORCHRUN = "torch.distributed.run"


def start() -> None:
    """Runs what the first word names with the words behind it.

    Loading torch takes seconds in which nothing needs to be tidied up, and a traceback would tell of nothing.
    """
    _, name, *words = sys.argv
    is_program = name.endswith(".py")
    if is_program:
        name = str(Path(name).absolute())
        sys.path.insert(0, str(Path(name).parent))  # as Python does for a program
        sys.modules["__main__"].__file__ = name
        freeze_program()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if name == _TORCHRUN:  # Slurm sends it to torchrun, which would die of it, and means the programs
        signal.signal(signal.SIGUSR1, _pass_on)
    _load_packages(name, is_program=is_program)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [name, *words]
    try:
        if is_program:
            runpy.run_path(name, run_name="__main__")
        else:
            runpy.run_module(name, run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        sys.exit(_code_of_torchrun(error))


def _pass_on(number: int, _: FrameType | None) -> None:
    """Sends a signal to the processes that this one has started, which bear it twice: Slurm may reach all itself."""
    own = Path(f"/proc/self/task/{os.getpid()}/children")
    with suppress(OSError, ValueError):  # no Linux, or gone meanwhile
        for child in own.read_text(encoding="ascii").split():
            os.kill(int(child), number)


def _load_packages(name: str, *, is_program: bool) -> None:
    if is_program:
        importlib.import_module("fgc_runtime.trainers")
        return
    spec = find_spec(name)  # loads the packages above it
    if spec is not None and spec.submodule_search_locations is not None:
        importlib.import_module(name)


def _code_of_torchrun(error: Exception) -> int:
    """Returns the exit code for an error with which torchrun ends. Raises any other error."""
    number = getattr(error, "sigval", None)  # SignalException: the processes have said what there is to say
    if isinstance(number, int):
        return 128 + number
    if type(error).__name__ != "ChildFailedError":
        raise error
    failed: Any = error
    rank, failure = failed.get_first_failure()
    code = int(failure.exitcode)
    ended = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    print(f"process {rank} of the training {ended}", file=sys.stderr, flush=True)
    return code if code > 0 else 128 - code


if __name__ == "__main__":
    start()
