"""Encodes prompts on a separate thread, so that long ones block nothing else, and limits the time of templates."""

import asyncio
import ctypes
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from fgc_runtime.serve.ending import Ending
from fgc_runtime.serve.faults import RequestError, shutting_down

T = TypeVar("T")


class OutOfTimeError(Exception):
    """Work took longer than its time limit."""


class Encoder:
    """Runs work in the order of arrival; `num_waiting` counts what is not done, and is read on the event loop."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "encode")
        self.num_waiting = 0

    async def made(self, work: Callable[[], T], ending: Ending) -> T:
        """Runs work on the thread and returns its result. Raises RequestError, also if the server ends first."""
        if ending.has_begun:
            raise RequestError(shutting_down())
        made = asyncio.get_running_loop().run_in_executor(self._thread, work)
        over = asyncio.ensure_future(ending.is_over.wait())
        self.num_waiting += 1
        try:
            await asyncio.wait((made, over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.num_waiting -= 1
            over.cancel()
        if made.done():
            return made.result()
        raise RequestError(shutting_down())

    def shutdown(self) -> None:
        self._thread.shutdown(wait=False)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raises OutOfTimeError within the block when its time is over: between two steps of Python, not within a long one.

    A chat template is a program that comes with a model; one that never ends would keep all prompts waiting.
    """
    lock, thread, is_open = threading.Lock(), ctypes.c_ulong(threading.get_ident()), True

    def interrupt() -> None:
        with lock:
            if is_open:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(OutOfTimeError))

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with lock:
            is_open = False
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, None)  # one that is still to come
        timer.cancel()
