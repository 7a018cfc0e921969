"""Keeps memory that a step on a CPU frees for the next step.

glibc returns large blocks to the kernel when they are freed. Each step then gets memory for its activations and logits
from the kernel again, page by page: thousands of page faults, a tenth of the CPU time of a small model's step.
"""

import ctypes
import os

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of <malloc.h>
_NEVER = -1
_OF_THE_USER = ("GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_")


def keep_freed_memory() -> bool:
    """Makes the C library keep freed memory for the rest of this process. Returns True if it does.

    Changes nothing if the user has set this by the environment, or if the library is not glibc.
    """
    if any(name in os.environ for name in _OF_THE_USER):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))
