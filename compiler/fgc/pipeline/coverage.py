"""The number of calls of a configuration that were compared with a signature, and why the others were not."""

from collections.abc import Iterable

from msgspec import Struct

from fgc.text import Span


class Unchecked(Struct, frozen=True):
    """A call of which nothing is known, and why; `package` is the one that is not installed."""

    name: str
    reason: str
    span: Span
    package: str = ""


class Coverage(Struct, frozen=True):
    """The calls of a configuration, or of several."""

    num_calls: int = 0
    unchecked: tuple[Unchecked, ...] = ()

    @property
    def num_checked(self) -> int:
        return self.num_calls - len(self.unchecked)


def joined(coverages: Iterable[Coverage]) -> Coverage:
    """The calls of several configurations; one in a template that they share counts once for each."""
    every = [*coverages]
    unchecked = tuple(item for coverage in every for item in coverage.unchecked)
    return Coverage(sum(coverage.num_calls for coverage in every), unchecked)
