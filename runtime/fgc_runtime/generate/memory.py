"""Freed memory back to the system: the C library keeps it for itself otherwise."""

import ctypes
import sys


def give_back() -> None:
    """Give free memory of the process back, where the C library can (glibc); takes milliseconds."""
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
