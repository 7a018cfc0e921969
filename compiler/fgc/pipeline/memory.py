"""A net below the counted bounds of evaluation: what nobody counted ends in a finding, not in a full machine."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

MAX_GROWTH_BYTES = 500_000_000  # of the evaluation of one configuration; the largest known takes 20 MB


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Limits how much memory this process may take on, where the platform has such a limit. Raises MemoryError past it.

    The limit is one of the whole process: with other threads, which may have work of their own, there is none.
    """
    held = _held_bytes()
    if held is None or threading.active_count() > 1:
        yield
        return
    import resource  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = held + MAX_GROWTH_BYTES
    if soft != resource.RLIM_INFINITY and soft <= wanted:
        yield
        return
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _held_bytes() -> int | None:
    """Returns the address space that this process has, None where the platform does not say."""
    if sys.platform != "linux":
        return None
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 -- in each compilation
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
