"""Errors that the runtime raises for a person to read: a few lines on standard error in place of a traceback.

An error is such a refusal if a `raise` statement of the runtime raised it, or the operating system refused a file that
it has named, and no function of the user's stands between. Everything else keeps its traceback.
"""

import opcode
import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType

from fgc_runtime.full_disk import FULL_DISK, reason_of

_SHOW = "FGC_TRACEBACK"  # set to anything: every error has its traceback
_RAISE = opcode.opmap["RAISE_VARARGS"]
_NEVER = (AssertionError, NotImplementedError, KeyError, IndexError)  # of a runtime that did not expect this
_OWN = Path(__file__).parent


def is_refusal(error: BaseException, program: str) -> bool:
    """Returns True if an error of a program needs no traceback to be understood."""
    if os.environ.get(_SHOW) or error.__traceback__ is None or isinstance(error, _NEVER):
        return False
    steps = list(_steps(error.__traceback__))
    if any(_is_users(step.tb_frame, program) for step in steps):
        return False
    if isinstance(error, OSError) and error.errno is not None:
        return error.filename is not None or error.errno in FULL_DISK
    last = steps[-1]
    return _is_below(_OWN, last.tb_frame) and last.tb_frame.f_code.co_code[last.tb_lasti] == _RAISE


def refusal_text(error: BaseException) -> str:
    """Returns what is wrong, where it is configured, and how to see more."""
    message = str(error)
    if isinstance(error, OSError) and error.errno is not None:
        about = f"`{error.filename}`: " if error.filename is not None else ""
        message = f"{about}{reason_of(error) if error.errno in FULL_DISK else error.strerror}"
    notes = "".join(f"\n  {note}" for note in getattr(error, "__notes__", ()))
    rank = os.environ.get("RANK", "0")
    of_rank = f" (process {rank})" if rank != "0" else ""
    return f"error{of_rank}: {message}{notes}\n  {_SHOW}=1 shows the traceback"


def refuse(error: BaseException) -> None:
    """Prints a refusal and ends the program with status 1."""
    print(refusal_text(error), file=sys.stderr, flush=True)
    sys.exit(1)


def _steps(step: TracebackType | None) -> Iterator[TracebackType]:
    while step is not None:
        yield step
        step = step.tb_next


def _is_users(frame: FrameType, program: str) -> bool:
    """Returns True if a frame is neither the program's own nor one of an installed package."""
    file = frame.f_code.co_filename
    return file != program and not file.startswith("<") and not any(_is_below(root, frame) for root in _installed())


def _installed() -> tuple[Path, ...]:
    return (_OWN, *(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib")))


def _is_below(folder: Path, frame: FrameType) -> bool:
    return Path(frame.f_code.co_filename).is_relative_to(folder)
