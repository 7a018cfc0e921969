"""Limits on the work of a template: far more than any real one needs, and reached within a second or two."""

from collections.abc import Iterator
from typing import Any

from fgc.diagnostics import Diagnostic
from fgc.resolve.errors import Fatal
from fgc.text import Span

MAX_STEPS = 100_000  # statements and calls; the largest library configuration takes about 2,000
MAX_DEPTH = 120  # includes, blocks and macros inside each other; the deepest known is 14
MAX_OUTPUT_SIZE = 8_000_000  # characters of one configuration; the longest known has 60,000
MAX_VALUE_SIZE = 1_000_000  # characters or items of one value
MAX_EXPANDED_SIZE = 2_000_000  # the same for all contents, counted as often as they are contained
MAX_WIDTH = 10_000  # of an indentation, a line, a column
MAX_INTEGER_BITS = 20_000
_ITEMS_PER_STEP = 40  # of an operation on a long value
_CONTAINERS = (list, tuple, dict)


def expanded_size(value: Any) -> int:
    """Returns the number of characters and items that printing, comparing or hashing a value visits.

    A list that is contained twice counts twice, though it is walked only once here. Returns a number above
    MAX_EXPANDED_SIZE for a list that contains itself.
    """
    if isinstance(value, (str, range)):
        return len(value)
    return _size_of_container(value) if isinstance(value, _CONTAINERS) else 1


def _size_of_container(value: Any) -> int:
    sizes: dict[int, int] = {}
    is_open: set[int] = set()
    stack = [value]
    while stack:
        container = stack[-1]
        waiting = [] if id(container) in sizes else [item for item in _inner(container) if id(item) not in sizes]
        if waiting and id(container) in is_open:
            return MAX_EXPANDED_SIZE + 1  # its own part
        if waiting:
            is_open.add(id(container))
            stack += waiting
            continue
        stack.pop()
        is_open.discard(id(container))
        sizes[id(container)] = _own_size(container, sizes)
    return sizes[id(value)]


def _inner(container: Any) -> list[Any]:
    return [item for item in _items(container) if isinstance(item, _CONTAINERS)]


def _items(container: Any) -> Iterator[Any]:
    if isinstance(container, dict):
        yield from container.keys()
        yield from container.values()
    else:
        yield from container


def _own_size(container: Any, sizes: dict[int, int]) -> int:
    return 1 + sum(
        sizes[id(item)] if isinstance(item, _CONTAINERS) else expanded_size(item) for item in _items(container)
    )


class Budget:
    """Counts the work of a configuration, and raises Fatal past a limit."""

    def __init__(self) -> None:
        self._steps = 0
        self._depth = 0
        self._size = 0

    def step(self, span: Span, count: int = 1) -> None:
        """Counts a statement, call or loop iteration. Raises Fatal past the limit."""
        self._steps += count
        if self._steps > MAX_STEPS:
            help = "something loops or calls itself far more often than any configuration needs"
            self._stop(f"this template does not end: more than {MAX_STEPS:,} statements were run", span, help)

    def weigh(self, value: Any, span: Span) -> None:
        """Counts an operation on a value, by its size. Raises Fatal past the limit."""
        size = len(value) if isinstance(value, str) else expanded_size(value)
        if size > MAX_EXPANDED_SIZE:
            help = (
                "lists and mappings that contain each other twice grow with every level: construct them in the program"
            )
            self._stop(
                f"a value of this expression has more than {MAX_EXPANDED_SIZE:,} items, shared ones counted", span, help
            )
        if size > _ITEMS_PER_STEP:
            self.step(span, size // _ITEMS_PER_STEP)

    def enter(self, span: Span) -> None:
        """Enters one more level of includes, blocks and macros. Raises Fatal past the limit."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            help = "something calls or includes itself without end"
            self._stop(f"templates, blocks and macros are nested more than {MAX_DEPTH} deep", span, help)

    def leave(self) -> None:
        self._depth -= 1

    def write(self, size: int, span: Span) -> None:
        """Counts written characters. Raises Fatal past the limit."""
        self._size += size
        if self._size > MAX_OUTPUT_SIZE:
            self._stop(f"the output grows past {MAX_OUTPUT_SIZE:,} characters", span)

    def _stop(self, message: str, span: Span, help: str | None = None) -> None:
        raise Fatal(Diagnostic("FGC208", message, span, help=help))
