"""Memory that a step on a CPU frees, kept for the next step.

glibc hands large blocks back to the kernel when they are freed. Each step then takes its activations and logits from
the kernel again, page by page: thousands of page faults, a tenth of the CPU time of a small model's step.
"""

import ctypes
import os

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of <malloc.h>
_NEVER = -1
_OF_THE_USER = ("GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_")


def keep_freed_memory() -> bool:
    """Lets the C library keep what is freed, for the rest of this process; returns True if it does so.

    Leaves it alone if the user has set it by the environment, and if it is not glibc.
    """
    if any(name in os.environ for name in _OF_THE_USER):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))
