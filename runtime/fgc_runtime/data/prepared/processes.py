"""Tasks to results, in this process or in several that are copies of it."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")

_do: list[Callable[[Any], Any]] = []


class ProcessDied(OSError):
    """A process was killed, most often by the kernel for want of memory."""


def in_processes(tasks: Sequence[T], do: Callable[[T], R], num_processes: int) -> Iterator[R]:
    """Yields results as they come; `do` needs no name to be imported by. Raises what the first failure raised."""
    if num_processes == 1 or len(tasks) < 2:
        yield from map(do, tasks)
        return
    _do[:] = [do]  # the processes are forked, and have it
    pool = ProcessPoolExecutor(min(num_processes, len(tasks)), multiprocessing.get_context("fork"), initializer=_begin)
    try:
        for future in as_completed([pool.submit(_one, task) for task in tasks]):
            yield future.result()
    except BrokenProcessPool:
        raise ProcessDied(
            f"one of the {num_processes} processes was killed, perhaps for want of memory; fewer (-j) need less"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        _do.clear()


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C: the main process ends this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes are enough; without a word on forks
    torch.set_num_threads(1)


def _one(task: Any) -> Any:
    return _do[0](task)
