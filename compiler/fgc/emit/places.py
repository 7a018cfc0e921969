"""Areas of generated files and their origins."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from msgspec import Struct

from fgc.ir import NodeId
from fgc.text import Origin


class Area(Struct, frozen=True, order=True):
    """A range of a text: lines and columns from 1, end exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int

    def holds(self, line: int, column: int) -> bool:
        """Returns True if the character at a position is in the area."""
        return (self.line, self.column) <= (line, column) < (self.end_line, self.end_column)


class NodeArea(Struct, frozen=True):
    """An area of a generated file, the node that it was made from, and where that is written.

    `component` is the place in a component file whose text this is.
    """

    area: Area
    node: NodeId
    origin: Origin
    component: Origin | None = None


class GeneratedPlace(Struct, frozen=True):
    """An area of a generated file, where it comes from, and the path of its object from a target.

    `component` is the place in a component file whose text this is, at the first line of the area.
    """

    area: Area
    origin: Origin
    path: str
    component: Origin | None = None


class Placed(Protocol):
    """Anything that has an area."""

    @property
    def area(self) -> Area: ...


P = TypeVar("P", bound=Placed)


def innermost(places: Iterable[P], line: int, column: int | None = None, last: int | None = None) -> P | None:
    """Returns the innermost place at a character; for a whole line, the first that begins there, or else contains it.

    `last`: the column of a later character in the line that the place should contain too.
    """
    found = list(places)
    if column is None:
        beginning = [place for place in found if place.area.line == line]
        if beginning:
            return min(beginning, key=_depth)
        around = [place for place in found if place.area.line < line <= place.area.end_line]
    else:
        around = [place for place in found if place.area.holds(line, column)]
        around = [place for place in around if last is None or place.area.holds(line, last)] or around
    return max(around, key=_depth, default=None)


def _depth(place: Placed) -> tuple[int, int, int, int]:
    area = place.area
    return (area.line, area.column, -area.end_line, -area.end_column)
