"""Says how far the moving of weights is, on standard error: one line that changes, or a line every tenth of the way."""

import sys

_GIB = 2.0**30
_SILENT_BYTES = 2**28  # moved in a second


class Progress:
    """Hears of bytes that were moved."""

    def __init__(self, total_bytes: int) -> None:
        self._total = max(1, total_bytes)
        self._done = 0
        self._shown = -1
        self._is_terminal = sys.stderr.isatty()

    def add(self, num_bytes: int) -> None:
        """Count, and say so if there is something new to say."""
        self._done += num_bytes
        percent = 100 * self._done // self._total
        step = percent if self._is_terminal else percent // 10 * 10
        if step != self._shown and self._total > _SILENT_BYTES:
            self._shown = step
            start, end = ("\r", "") if self._is_terminal else ("", "\n")
            text = f"  {percent:3}%  {self._done / _GIB:.2f} of {self._total / _GIB:.2f} GiB"
            print(f"{start}{text}", end=end, file=sys.stderr, flush=True)

    def finish(self) -> None:
        if self._is_terminal and self._shown >= 0:
            print(file=sys.stderr)
