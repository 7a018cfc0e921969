"""How much work a template may cause: far more than any real one needs, and an end within a second or two."""

from fgc.diagnostics import Diagnostic
from fgc.resolve.errors import Fatal
from fgc.text import Span

MAX_STEPS = 400_000  # statements and calls; the largest library configuration takes about 2,000
MAX_DEPTH = 120  # includes, blocks and macros inside each other; the deepest known is 14
MAX_OUTPUT_SIZE = 8_000_000  # characters of one configuration; the longest known has 60,000
MAX_VALUE_SIZE = 4_000_000  # characters or items of one value
MAX_INTEGER_BITS = 20_000


class Budget:
    """Counts work and stops it."""

    def __init__(self) -> None:
        self._steps = 0
        self._depth = 0
        self._size = 0

    def step(self, span: Span, count: int = 1) -> None:
        """One statement, call or loop iteration. Raises Fatal past the bound."""
        self._steps += count
        if self._steps > MAX_STEPS:
            self._stop(f"this template does not end: more than {MAX_STEPS:,} statements were run", span)

    def enter(self, span: Span) -> None:
        """One more level of includes, blocks and macros. Raises Fatal past the bound."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._stop(f"templates, blocks and macros are nested more than {MAX_DEPTH} deep", span)

    def leave(self) -> None:
        self._depth -= 1

    def write(self, size: int, span: Span) -> None:
        """Characters written. Raises Fatal past the bound."""
        self._size += size
        if self._size > MAX_OUTPUT_SIZE:
            self._stop(f"the output grows past {MAX_OUTPUT_SIZE:,} characters", span)

    def _stop(self, message: str, span: Span) -> None:
        raise Fatal(Diagnostic("FGC208", message, span))
